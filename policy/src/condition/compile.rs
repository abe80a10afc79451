//! Conditions as written, made ready; every mistake of one condition is told at once.

use std::fmt::Write as _;
use std::sync::Arc;

use regex::RegexSetBuilder;

use super::claim::ClaimPath;
use super::test::{Exact, Order, Test, Values};
use super::within::{PlainPath, network};
use super::{Operand, Predicate};
use crate::json::path::Path;
use crate::source::rule::{Operand as Written, SourceFact};
use crate::source::{Condition, Effect, Literal, Operator};

/// A compiled pattern may take so much memory; a policy is not a program.
const PATTERN_BYTES: usize = 1 << 20;
const PATTERN_NESTING: u32 = 64;

/// The hints that the protocol defines.
const HINTS: [&str; 4] = [
    "readOnlyHint",
    "destructiveHint",
    "idempotentHint",
    "openWorldHint",
];

/// One mistake, with its place inside the part that was compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Such as `values[0]`; empty for the part itself.
    pub path: String,
    pub expected: String,
    pub found: String,
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(path: &str, expected: &str, found: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            expected: expected.to_owned(),
            found: found.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Predicate {
    /// Compiles a condition of a rule with this effect.
    pub fn compile(written: &Condition, effect: Effect) -> Result<Self, Vec<Problem>> {
        let Some(operand) = written.operand() else {
            return Err(vec![Problem::new(
                "",
                "exactly one of argument, principal, source, tool and header",
                "none or several",
            )]);
        };
        let mut problems = Vec::new();
        let text = words(operand, written);
        check_header_use(operand, written.operator, effect, &mut problems);
        let is_address = matches!(operand, Written::Source(SourceFact::Address));
        let operand = collect(compile_operand(operand), &mut problems);
        let test = collect_all(compile_test(written, is_address), &mut problems);
        match (operand, test) {
            (Some(operand), Some(test)) if problems.is_empty() => Ok(Self {
                operand,
                test,
                negated: is_negated(written.operator),
                text,
            }),
            (_, _) => Err(problems),
        }
    }
}

fn collect<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

fn collect_all<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}

fn is_negated(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::NotEquals | Operator::NotIn | Operator::NotMatches
    )
}

/// The condition for people: `$.limit LessThanOrEqual 1000`.
fn words(operand: Written<'_>, written: &Condition) -> Arc<str> {
    let mut text = match operand {
        Written::Argument(path) => format!("argument {path}"),
        Written::Principal(path) => format!("principal {path}"),
        Written::Source(SourceFact::Address) => "source address".to_owned(),
        Written::Tool(path) => format!("tool {path}"),
        Written::Header(name) => format!("header {name}"),
    };
    text.push(' ');
    text.push_str(operator_name(written.operator));
    for (index, value) in written.values.iter().take(4).enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        if write!(text, "{comma} {value}").is_err() {
            break;
        }
    }
    if written.values.len() > 4 {
        text.push_str(", ...");
    }
    text.into()
}

fn operator_name(operator: Operator) -> &'static str {
    match operator {
        Operator::Equals => "Equals",
        Operator::NotEquals => "NotEquals",
        Operator::In => "In",
        Operator::NotIn => "NotIn",
        Operator::Matches => "Matches",
        Operator::NotMatches => "NotMatches",
        Operator::StartsWith => "StartsWith",
        Operator::EndsWith => "EndsWith",
        Operator::LessThan => "LessThan",
        Operator::LessThanOrEqual => "LessThanOrEqual",
        Operator::GreaterThan => "GreaterThan",
        Operator::GreaterThanOrEqual => "GreaterThanOrEqual",
        Operator::Exists => "Exists",
        Operator::DoesNotExist => "DoesNotExist",
        Operator::Within => "Within",
    }
}

/// Law 12: whoever calls writes the headers, so they neither allow nor exempt.
fn check_header_use(
    operand: Written<'_>,
    operator: Operator,
    effect: Effect,
    problems: &mut Vec<Problem>,
) {
    let Written::Header(name) = operand else {
        return;
    };
    if effect == Effect::Allow {
        problems.push(
            Problem::new("header", "another operand in an Allow", format!("`{name}`"))
                .with_hint("a header proves nothing; use it in Deny or RequireApproval only"),
        );
    }
    if is_negated(operator) || operator == Operator::DoesNotExist {
        problems.push(
            Problem::new(
                "operator",
                "a positive operator on a header",
                format!("`{}`", operator_name(operator)),
            )
            .with_hint("a caller could send the header to be exempt"),
        );
    }
}

fn compile_operand(operand: Written<'_>) -> Result<Operand, Problem> {
    match operand {
        Written::Argument(path) => Path::parse(path).map(Operand::Argument).map_err(|error| {
            Problem::new("argument", "a path such as `$.limit`", error.to_string())
        }),
        Written::Principal(path) => ClaimPath::parse(path).map(Operand::Principal).map_err(|_| {
            Problem::new(
                "principal",
                "a claim such as `department` or `realm_access.roles`",
                format!("`{path}`"),
            )
        }),
        Written::Source(SourceFact::Address) => Ok(Operand::Address),
        Written::Tool(path) => hint_name(path).map(Operand::Hint),
        Written::Header(name) => {
            let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(is_token) {
                return Err(Problem::new("header", "a header name", format!("`{name}`")));
            }
            Ok(Operand::Header(name.to_ascii_lowercase()))
        }
    }
}

fn hint_name(path: &str) -> Result<String, Problem> {
    let hint = path.strip_prefix("annotations.").unwrap_or(path);
    if path.starts_with("annotations.") && HINTS.contains(&hint) {
        return Ok(hint.to_owned());
    }
    let problem = Problem::new(
        "tool",
        "`annotations.` and one of the four hints of a tool",
        format!("`{path}`"),
    );
    let near = HINTS
        .into_iter()
        .max_by(|a, b| strsim::jaro_winkler(a, hint).total_cmp(&strsim::jaro_winkler(b, hint)));
    Err(match near {
        Some(near) => problem.with_hint(format!("did you mean `annotations.{near}`?")),
        None => problem,
    })
}

fn compile_test(written: &Condition, is_address: bool) -> Result<Test, Vec<Problem>> {
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
                ))
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
