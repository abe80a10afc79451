//! Operators and their values, made ready; each value that does not suit its operator is told with its place.

use regex::RegexSetBuilder;

use super::compile::{Problem, collect, operator_name};
use super::test::{Exact, Order, Test, Values};
use super::within::{PlainPath, network};
use crate::source::{Condition, Literal, Operator};

/// A compiled pattern may take so much memory; a policy is not a program.
const PATTERN_BYTES: usize = 1 << 20;
const PATTERN_NESTING: u32 = 64;

/// What the operator asks, with its values read; `is_address`: of the address that a call comes from.
pub(super) fn compile(written: &Condition, is_address: bool) -> Result<Test, Vec<Problem>> {
    let values = &written.values;
    let takes_none = matches!(written.operator, Operator::Exists | Operator::DoesNotExist);
    if takes_none != values.is_empty() {
        let expected = if takes_none {
            "no values"
        } else {
            "at least one value"
        };
        return Err(vec![Problem::new(
            "values",
            expected,
            format!("{} values", values.len()),
        )]);
    }
    if is_address {
        return address_test(written.operator, values);
    }
    match written.operator {
        Operator::Exists => Ok(Test::Present),
        Operator::DoesNotExist => Ok(Test::Absent),
        Operator::Equals | Operator::NotEquals => {
            single(values)?;
            one_of(values)
        }
        Operator::In | Operator::NotIn => one_of(values),
        Operator::Matches | Operator::NotMatches => pattern(values),
        Operator::StartsWith => texts(values).map(Test::StartsWith),
        Operator::EndsWith => texts(values).map(Test::EndsWith),
        Operator::LessThan => order(Order::Less, values),
        Operator::LessThanOrEqual => order(Order::LessOrEqual, values),
        Operator::GreaterThan => order(Order::Greater, values),
        Operator::GreaterThanOrEqual => order(Order::GreaterOrEqual, values),
        Operator::Within => within(values),
    }
}

fn single(values: &[Literal]) -> Result<&Literal, Vec<Problem>> {
    match values {
        [value] => Ok(value),
        [] | [_, _, ..] => Err(vec![
            Problem::new("values", "one value", format!("{} values", values.len()))
                .with_hint("use `In` or `NotIn` for several"),
        ]),
    }
}

fn one_of(values: &[Literal]) -> Result<Test, Vec<Problem>> {
    let mut sorted = Values::default();
    let mut problems = Vec::new();
    for (index, value) in values.iter().enumerate() {
        match value {
            Literal::Text(text) => {
                sorted.texts.insert(text.clone());
            }
            Literal::Bool(flag) => {
                sorted.flags.insert(*flag);
            }
            Literal::Number(_) => {
                if let Some(number) = collect(exact(index, value), &mut problems) {
                    sorted.numbers.push(number);
                }
            }
        }
    }
    none_wrong(problems)?;
    Ok(Test::OneOf(sorted))
}

fn none_wrong(problems: Vec<Problem>) -> Result<(), Vec<Problem>> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn exact(index: usize, value: &Literal) -> Result<Exact, Problem> {
    let wrong = || {
        Problem::new(
            &format!("values[{index}]"),
            "a number",
            format!("`{value}`"),
        )
    };
    let Literal::Number(number) = value else {
        return Err(wrong());
    };
    Exact::new(number.to_string()).ok_or_else(wrong)
}

fn order(order: Order, values: &[Literal]) -> Result<Test, Vec<Problem>> {
    let value = single(values).map_err(|_| {
        vec![Problem::new(
            "values",
            "one number",
            format!("{} values", values.len()),
        )]
    })?;
    exact(0, value)
        .map(|bound| Test::Order(order, bound))
        .map_err(|problem| vec![problem])
}

fn texts(values: &[Literal]) -> Result<Vec<String>, Vec<Problem>> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for (index, value) in values.iter().enumerate() {
        match value {
            Literal::Text(text) if !text.is_empty() => found.push(text.clone()),
            Literal::Text(_) | Literal::Bool(_) | Literal::Number(_) => {
                problems.push(Problem::new(
                    &format!("values[{index}]"),
                    "a text that is not empty",
                    format!("`{value}`"),
                ));
            }
        }
    }
    none_wrong(problems)?;
    Ok(found)
}

fn pattern(values: &[Literal]) -> Result<Test, Vec<Problem>> {
    let patterns = texts(values)?;
    let mut problems = Vec::new();
    for (index, pattern) in patterns.iter().enumerate() {
        // One at a time, so that the mistake has its place.
        if let Err(error) = build(std::slice::from_ref(pattern)) {
            let reason = error.to_string();
            let reason = reason
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            problems.push(
                Problem::new(
                    &format!("values[{index}]"),
                    "a regular expression (RE2-like)",
                    format!("`{pattern}`"),
                )
                .with_hint(reason),
            );
        }
    }
    none_wrong(problems)?;
    build(&patterns).map(Test::Pattern).map_err(|error| {
        vec![Problem::new(
            "values",
            "regular expressions that compile together",
            error.to_string(),
        )]
    })
}

fn build(patterns: &[String]) -> Result<regex::RegexSet, regex::Error> {
    RegexSetBuilder::new(patterns)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES)
        .nest_limit(PATTERN_NESTING)
        .build()
}

fn within(values: &[Literal]) -> Result<Test, Vec<Problem>> {
    let texts = texts(values)?;
    let networks: Option<Vec<_>> = texts.iter().map(|text| network(text)).collect();
    if let Some(networks) = networks {
        return Ok(Test::Networks(networks));
    }
    let mut paths = Vec::new();
    let mut problems = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match PlainPath::parse(text) {
            Some(path) if network(text).is_none() => paths.push(path),
            Some(_) | None => problems.push(Problem::new(
                &format!("values[{index}]"),
                "networks such as `10.0.0.0/8` only, or paths such as `/srv/data` only",
                format!("`{text}`"),
            )),
        }
    }
    none_wrong(problems)?;
    Ok(Test::Paths(paths))
}

fn address_test(operator: Operator, values: &[Literal]) -> Result<Test, Vec<Problem>> {
    match operator {
        Operator::Exists => return Ok(Test::Present),
        Operator::DoesNotExist => return Ok(Test::Absent),
        Operator::Within
        | Operator::Equals
        | Operator::NotEquals
        | Operator::In
        | Operator::NotIn => {}
        Operator::Matches
        | Operator::NotMatches
        | Operator::StartsWith
        | Operator::EndsWith
        | Operator::LessThan
        | Operator::LessThanOrEqual
        | Operator::GreaterThan
        | Operator::GreaterThanOrEqual => {
            return Err(vec![Problem::new(
                "operator",
                "`Within`, `In`, `NotIn`, `Equals`, `NotEquals`, `Exists` or `DoesNotExist` on an address",
                format!("`{}`", operator_name(operator)),
            )]);
        }
    }
    let mut networks = Vec::new();
    let mut problems = Vec::new();
    for (index, text) in texts(values)?.iter().enumerate() {
        match network(text) {
            Some(network) => networks.push(network),
            None => problems.push(Problem::new(
                &format!("values[{index}]"),
                "an address or a network such as `10.0.0.0/8`",
                format!("`{text}`"),
            )),
        }
    }
    none_wrong(problems)?;
    Ok(Test::Networks(networks))
}
