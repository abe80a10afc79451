//! What a sidecar holds: the compiled policy of one gateway, its revision, and the signed envelope it travels in.
//!
//! [`BundleContent`] is plain data with one canonical form; a [`Bundle`] is that content made ready, immutable and
//! whole. Having none is a value that denies everything.

mod activate;
mod built_in;
mod content;
mod envelope;
pub(crate) mod millis;
mod resolve;
mod settings;
pub mod shards;
mod subject;
mod validity;

use std::sync::Arc;

pub use content::{BundleContent, FORMAT, ObjectContent, RuleContent};
pub use envelope::{BundleKey, Envelope, EnvelopeError, Expected, Header, KeyPair, Opened};
pub(crate) use resolve::budgets;
pub use settings::{
    ApprovalSettings, Budget, LimitSettings, PinSettings, RecordingSettings, Settings,
};
pub(crate) use subject::ActiveSubject;
pub use subject::IssuerContext;
pub(crate) use validity::ActiveValidity;
pub use validity::UnknownZone;

use crate::condition::Problem;
use crate::condition::glob::Glob;
use crate::decide::{ActiveBudget, ActiveObject, ActiveRule, DenyReason, Index};
use crate::json::JsonError;
use crate::name::{GatewayName, Issuer, Revision, RuleId};
use crate::time::UnixMillis;

/// The policy in force: immutable, swapped whole.
#[derive(Debug)]
pub struct Bundle {
    pub(crate) gateway: GatewayName,
    pub(crate) revision: Revision,
    pub(crate) settings: Settings,
    /// Denies everything, whatever the rules say.
    pub(crate) refusal: Option<DenyReason>,
    pub(crate) expires: Option<UnixMillis>,
    pub(crate) issuers: IssuerContext,
    pub(crate) objects: Vec<ActiveObject>,
    /// In order of precedence among equals: guardrails first, then policies by name, rules as written.
    pub(crate) rules: Vec<ActiveRule>,
    pub(crate) index: Index,
    pub(crate) budgets: Vec<ActiveBudget>,
    /// Tools whose answers nobody could mask (law 7).
    pub(crate) unreadable: Vec<Glob>,
    /// The whole gateway is in Observe.
    pub(crate) observes: bool,
    pub(crate) has_observed: bool,
    pub(crate) open_rule: Arc<RuleId>,
    pub(crate) observe_rule: Arc<RuleId>,
}

/// Why content cannot be put in force. Whoever compiled or carried it is at fault, never a caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("the bundle is not readable: {0}")]
    Unreadable(String),
    #[error("the bundle is not strict JSON: {0}")]
    NotJson(#[from] JsonError),
    #[error("the bundle is not in its canonical form")]
    NotCanonical,
    #[error(
        "the bundle has format {0}; this sidecar reads format {FORMAT}; upgrade the older of the two"
    )]
    Format(u32),
    #[error(
        "rule `{rule}` of the bundle does not compile at `{path}`: expected {expected}, found {found}"
    )]
    Rule {
        rule: String,
        path: String,
        expected: String,
        found: String,
    },
    #[error("`{object}` of the bundle does not compile: {what}")]
    Object { object: String, what: String },
}

impl BundleError {
    fn rule(id: &RuleId, problem: &Problem) -> Self {
        Self::Rule {
            rule: id.to_string(),
            path: problem.path.clone(),
            expected: problem.expected.clone(),
            found: problem.found.clone(),
        }
    }
}

impl Bundle {
    /// The digest of the content: the same policy has the same revision everywhere.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    #[must_use]
    pub fn gateway(&self) -> &GatewayName {
        &self.gateway
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many rules it holds.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// What an issuer that is left out means here (law 10).
    #[must_use]
    pub fn issuers(&self) -> &IssuerContext {
        &self.issuers
    }

    /// Tokens of this issuer count as the gateway's first issuer's.
    #[must_use]
    pub fn with_standalone_issuer(mut self, issuer: Issuer) -> Self {
        self.issuers.standalone = Some(issuer);
        self
    }

    /// From `end` on everything is denied.
    #[must_use]
    pub fn with_expiry(mut self, end: UnixMillis) -> Self {
        self.expires = Some(end);
        self
    }

    #[must_use]
    pub fn expires(&self) -> Option<UnixMillis> {
        self.expires
    }

    /// Why everything is denied whoever calls, if it is.
    #[must_use]
    pub fn refusal(&self) -> Option<DenyReason> {
        self.refusal
    }
}
