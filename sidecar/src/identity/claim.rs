//! Paths into the claims of a token: `sub`, `realm_access.roles`, `['kubernetes.io'].namespace`,
//! `https://example.com/groups`.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

/// Where a claim stands, as a list of member names; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath {
    text: String,
    members: Vec<String>,
}

/// What is wrong with a claim path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a path of claims; expected names joined by dots, or `['name']` where a name has dots"
)]
pub struct NotAClaimPath(String);

impl ClaimPath {
    /// The path of a claim at the top of the token.
    #[must_use]
    pub fn top(name: &str) -> Self {
        Self {
            text: name.to_owned(),
            members: vec![name.to_owned()],
        }
    }

    /// The value there; none where it, or anything on the way, is absent or null.
    pub(super) fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.members.split_first()?;
        let mut value = claims.get(first)?;
        for member in rest {
            value = value.as_object()?.get(member)?;
        }
        (!value.is_null()).then_some(value)
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for ClaimPath {
    type Err = NotAClaimPath;

    /// A text with `://` is one name: issuers put custom claims under URLs, whose dots mean nothing.
    fn from_str(text: &str) -> Result<Self, NotAClaimPath> {
        if text.contains("://") {
            return Ok(Self::top(text));
        }
        let members = split(text).ok_or_else(|| NotAClaimPath(text.to_owned()))?;
        Ok(Self {
            text: text.to_owned(),
            members,
        })
    }
}

fn split(text: &str) -> Option<Vec<String>> {
    let mut members = Vec::new();
    let mut rest = text;
    loop {
        let (member, after) = next_member(rest)?;
        if member.is_empty() {
            return None;
        }
        members.push(member.to_owned());
        if after.is_empty() {
            return Some(members);
        }
        rest = after
            .strip_prefix('.')
            .or_else(|| after.starts_with("['").then_some(after))?;
    }
}

fn next_member(text: &str) -> Option<(&str, &str)> {
    if let Some(quoted) = text.strip_prefix("['") {
        return quoted.split_once("']");
    }
    let end = text.find(['.', '[', ']', '\'']).unwrap_or(text.len());
    text.split_at_checked(end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_finds_its_claim() {
        let claims = json!({
            "sub": "ada", "realm_access": {"roles": ["a"]}, "kubernetes.io": {"namespace": "shop"},
            "https://example.com/groups": ["b"], "gone": null, "a.b": 1
        });
        let claims = claims.as_object().unwrap();
        let rows = [
            ("a top claim", "sub", Some(json!("ada"))),
            ("a nested claim", "realm_access.roles", Some(json!(["a"]))),
            (
                "a quoted name, then a plain one",
                "['kubernetes.io'].namespace",
                Some(json!("shop")),
            ),
            (
                "two quoted names",
                "['kubernetes.io']['namespace']",
                Some(json!("shop")),
            ),
            (
                "a name that is a URL",
                "https://example.com/groups",
                Some(json!(["b"])),
            ),
            ("null counts as absent", "gone", None),
            ("a dotted name is never taken for a path", "a.b", None),
            ("through a text there is no way", "sub.x", None),
        ];
        for (name, path, expected) in rows {
            let path: ClaimPath = path.parse().unwrap();
            assert_eq!(path.find(claims), expected.as_ref(), "{name}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "", ".", "a.", ".a", "a..b", "['a'", "['']", "a]b", "a['b']c", "'a'",
        ] {
            assert!(text.parse::<ClaimPath>().is_err(), "`{text}`");
        }
    }
}
