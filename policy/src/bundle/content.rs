//! Compiled policy as data: what is digested, signed and sent. Plain, ordered, with one canonical form.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{BundleError, Settings};
use crate::decide::DenyReason;
use crate::json::{self, Document, Limits};
use crate::name::{Digest, GatewayName, Revision, RuleId, RuleSource};
use crate::source::policy::Validity;
use crate::source::settings::Enforcement;
use crate::source::{Effect, Rule, Subject};

/// The version of this form; a sidecar refuses any other.
pub const FORMAT: u32 = 1;

/// A bundle may be so deep and hold so many values.
const BUNDLE_LIMITS: Limits = Limits {
    depth: 64,
    nodes: 1 << 24,
    safe_integers: false,
};

/// The compiled policy of one gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundleContent {
    pub format: u32,
    pub gateway: GatewayName,
    /// Denies everything for this reason: below a guardrail, or a gateway that no longer compiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<DenyReason>,
    pub settings: Settings,
    /// Guardrails by name, then policies by name.
    pub objects: Vec<ObjectContent>,
}

/// The rules of one guardrail or policy, and about whom and when they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectContent {
    pub source: RuleSource,
    pub name: String,
    pub enforcement: Enforcement,
    /// Any item; none: every authenticated principal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Subject>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity: Option<Validity>,
    /// Whom it is about or when no longer compiles: law 7 holds for each of its rules, whoever calls.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broken: bool,
    pub rules: Vec<RuleContent>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleContent {
    pub rule: Rule,
    /// It no longer compiles: a Deny or RequireApproval matches everything, an Allow nothing (law 7).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broken: bool,
}

impl BundleContent {
    /// RFC 8785 key order, so that equal content has equal bytes wherever it is written.
    pub fn canonical(&self) -> Result<Vec<u8>, BundleError> {
        canonical(self)
    }

    /// The digest of the canonical form.
    pub fn revision(&self) -> Result<Revision, BundleError> {
        Ok(Digest::of(&self.canonical()?))
    }

    /// Reads exactly what [`Self::canonical`] writes: no unknown field, no duplicate key, no other spelling.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        let content: Self = decode(bytes)?;
        if content.format != FORMAT {
            return Err(BundleError::Format(content.format));
        }
        Ok(content)
    }
}

impl ObjectContent {
    pub(crate) fn rule_id(&self, rule: &Rule) -> RuleId {
        RuleId {
            source: self.source,
            object: self.name.clone(),
            rule: rule.name.clone(),
        }
    }
}

/// What law 19 binds an approval to: the rule as written, with its id.
pub(crate) fn rule_digest(id: &RuleId, rule: &Rule) -> Result<Digest, BundleError> {
    debug_assert_eq!(rule.effect, Effect::RequireApproval);
    Ok(Digest::of(&canonical(&(id, rule))?))
}

pub(crate) fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, BundleError> {
    let text =
        serde_json::to_vec(value).map_err(|error| BundleError::Unreadable(error.to_string()))?;
    let document = Document::parse(Bytes::from(text), BUNDLE_LIMITS)?;
    Ok(json::canonical(document.root())?)
}

pub(crate) fn decode<T: Serialize + for<'de> Deserialize<'de>>(
    bytes: &[u8],
) -> Result<T, BundleError> {
    let document = Document::parse(Bytes::copy_from_slice(bytes), BUNDLE_LIMITS)?;
    let value: T = serde_json::from_slice(document.bytes())
        .map_err(|error| BundleError::Unreadable(error.to_string()))?;
    if canonical(&value)? != bytes {
        return Err(BundleError::NotCanonical);
    }
    Ok(value)
}
