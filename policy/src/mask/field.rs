//! Field rules of one gateway, compiled; and which values of a document they name (law 26).

use std::collections::BTreeMap;

use crate::json::path::Path;
use crate::json::{Kind, Node};
use crate::source::masking::MaskAction;

use super::settings::{FieldRule, MaskError};

/// A compiled rule.
#[derive(Debug)]
pub(super) struct Rule {
    tool: String,
    path: Path,
    act: Act,
}

/// What happens to a named value. Ordered by precedence: of several, the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Act {
    pub(super) action: MaskAction,
    pub(super) keep_last: u8,
}

impl Rule {
    pub(super) fn new(rule: &FieldRule) -> Result<Self, MaskError> {
        let path = Path::parse(&rule.path).map_err(|why| MaskError::Path {
            tool: rule.tool.clone(),
            why: why.to_string(),
        })?;
        Ok(Self {
            tool: rule.tool.clone(),
            path,
            act: Act {
                action: rule.action,
                keep_last: rule.keep_last,
            },
        })
    }

    pub(super) fn applies_to(&self, tool: &str) -> bool {
        fits(&self.tool, tool)
    }
}

/// Whether the tool of a field rule means this one.
pub(super) fn fits(pattern: &str, tool: &str) -> bool {
    glob(pattern.as_bytes(), tool.as_bytes())
}

/// The values that rules name, by where they begin in the document.
pub(super) fn named_by(rules: &[&Rule], root: Node<'_>) -> BTreeMap<usize, Act> {
    let mut acts = BTreeMap::new();
    for rule in rules {
        for node in rule.path.select(root) {
            acts.entry(node.span().start)
                .and_modify(|act: &mut Act| *act = rule.act.min(*act))
                .or_insert(rule.act);
        }
    }
    acts
}

/// The scalars under the named values: what must not stand anywhere else in the answer either.
pub(super) fn leaves<'d>(rules: &[&Rule], root: Node<'d>) -> Vec<(Node<'d>, Act)> {
    let mut found = Vec::new();
    for rule in rules {
        for node in rule.path.select(root) {
            descend(node, rule.act, &mut found);
        }
    }
    found
}

fn descend<'d>(node: Node<'d>, act: Act, found: &mut Vec<(Node<'d>, Act)>) {
    match node.kind() {
        Kind::Array => node
            .elements()
            .for_each(|element| descend(element, act, found)),
        Kind::Object => node
            .members()
            .for_each(|(_, value)| descend(value, act, found)),
        Kind::String | Kind::Number => found.push((node, act)),
        Kind::Null | Kind::Bool => {}
    }
}

/// `*` matches any characters, everything else itself (law 5).
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut of) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < name.len() {
        match (pattern.get(of), name.get(at), retry) {
            (Some(b'*'), _, _) => {
                retry = Some((of + 1, at));
                of += 1;
            }
            (Some(wanted), Some(byte), _) if wanted == byte => {
                at += 1;
                of += 1;
            }
            (_, _, Some((star, from))) => {
                retry = Some((star, from + 1));
                of = star;
                at = from + 1;
            }
            _ => return false,
        }
    }
    pattern.iter().skip(of).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_any_characters_and_everything_else_itself() {
        let table = [
            ("*", "anything", true),
            ("get_*", "get_customer", true),
            ("*_customer", "get_customer", true),
            ("g*t*r", "get_customer", true),
            ("get", "get_customer", false),
            ("get_customer", "get", false),
            ("", "", true),
            ("a*b", "ab", true),
            ("a*b", "aXbX", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(
                glob(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} on {name}"
            );
        }
    }
}
