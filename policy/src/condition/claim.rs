//! Paths into a token's claims: `department`, `realm_access.roles`, `['https://example.com/dept'].name`, `roles[*]`.

use serde_json::{Map, Value};

/// A compiled claim path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    /// Every element of an array.
    Elements,
}

/// What is wrong with a claim path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{path}` is not a claim path; expected names with dots between, such as `realm_access.roles`, or `['a name']`"
)]
pub struct ClaimPathError {
    path: String,
}

impl ClaimPath {
    /// A leading `$` is accepted. A path that holds `://` and no bracket is one claim's whole name.
    pub fn parse(text: &str) -> Result<Self, ClaimPathError> {
        let wrong = || ClaimPathError {
            path: text.to_owned(),
        };
        if text.contains("://") && !text.contains('[') {
            return Ok(Self {
                steps: vec![Step::Name(text.to_owned())],
            });
        }
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = next_step(rest, steps.is_empty()).ok_or_else(wrong)?;
            steps.push(step);
            rest = after;
        }
        match steps.first() {
            Some(Step::Name(_)) => Ok(Self { steps }),
            Some(Step::Elements) | None => Err(wrong()),
        }
    }

    /// Every value the path names.
    #[must_use]
    pub fn select<'c>(&self, claims: &'c Map<String, Value>) -> Vec<&'c Value> {
        let mut steps = self.steps.iter();
        let Some(Step::Name(first)) = steps.next() else {
            return Vec::new();
        };
        let mut found: Vec<&Value> = claims.get(first).into_iter().collect();
        for step in steps {
            found = found
                .into_iter()
                .flat_map(|value| match step {
                    Step::Name(name) => value.get(name).into_iter().collect(),
                    Step::Elements => value
                        .as_array()
                        .map(|items| items.iter().collect::<Vec<_>>())
                        .unwrap_or_default(),
                })
                .collect();
        }
        found
    }
}

fn next_step(rest: &str, first: bool) -> Option<(Step, &str)> {
    if let Some(after) = rest.strip_prefix("[*]") {
        return Some((Step::Elements, after));
    }
    if let Some(inner) = rest.strip_prefix("['") {
        let (name, after) = inner.split_once("']")?;
        return (!name.is_empty()).then(|| (Step::Name(name.to_owned()), after));
    }
    let plain = match rest.strip_prefix('.') {
        Some(plain) => plain,
        None if first => rest,
        None => return None,
    };
    let (name, after) = plain.split_at(plain.find(['.', '[']).unwrap_or(plain.len()));
    (!name.is_empty() && !name.contains(']')).then(|| (Step::Name(name.to_owned()), after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_claim_path_finds_plain_nested_quoted_and_repeated_claims() {
        let claims = json!({
            "department": "warehouse",
            "realm_access": { "roles": ["a", "b"] },
            "https://example.com/dept": { "name": "x" },
        });
        let claims = claims.as_object().unwrap();
        let rows = [
            ("department", vec![json!("warehouse")]),
            ("$.department", vec![json!("warehouse")]),
            ("realm_access.roles", vec![json!(["a", "b"])]),
            ("realm_access.roles[*]", vec![json!("a"), json!("b")]),
            ("['https://example.com/dept'].name", vec![json!("x")]),
            ("https://example.com/dept", vec![json!({"name": "x"})]),
            ("absent.name", vec![]),
            ("department.name", vec![]),
        ];
        for (path, expected) in rows {
            let found: Vec<_> = ClaimPath::parse(path)
                .unwrap()
                .select(claims)
                .into_iter()
                .cloned()
                .collect();
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn a_malformed_claim_path_is_refused() {
        for path in ["", "$", ".", "a..b", "a.", "[*]", "['a", "['']", "a]b"] {
            assert!(ClaimPath::parse(path).is_err(), "{path}");
        }
    }
}
