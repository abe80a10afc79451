//! The path of a mapped claim with its text, which errors and audit records repeat. The syntax is the policy's own:
//! `sub`, `realm_access.roles`, `['kubernetes.io'].namespace`, `https://example.com/groups`.

use std::fmt;
use std::str::FromStr;

use sallyport_policy::condition::claim::{self, ClaimPathError};
use serde_json::{Map, Value};

/// Where a claim stands in a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath {
    text: String,
    path: claim::ClaimPath,
}

impl ClaimPath {
    /// What stands there; null counts as absent.
    pub(super) fn find<'a>(&self, claims: &'a Map<String, Value>) -> Vec<&'a Value> {
        let mut found = self.path.select(claims);
        found.retain(|value| !value.is_null());
        found
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for ClaimPath {
    type Err = ClaimPathError;

    fn from_str(text: &str) -> Result<Self, ClaimPathError> {
        // Without the optional `$`, so that one claim has one text.
        let text = text.strip_prefix("$.").unwrap_or(text);
        let path = claim::ClaimPath::parse(text)?;
        Ok(Self {
            text: text.to_owned(),
            path,
        })
    }
}
