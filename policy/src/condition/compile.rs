//! Conditions as written, made ready; every mistake of one condition is told at once.

use std::fmt::Write as _;
use std::sync::Arc;

use super::claim::ClaimPath;
use super::{Operand, Predicate, values};
use crate::json::path::Path;
use crate::source::rule::{Operand as Written, SourceFact};
use crate::source::{Condition, Effect, Operator};

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
        let test = collect_all(values::compile(written, is_address), &mut problems);
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

pub(super) fn collect<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
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

pub(super) fn operator_name(operator: Operator) -> &'static str {
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
