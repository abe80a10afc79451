//! What a sidecar holds: the compiled policy of one gateway, its revision, and the signed envelope it travels in.
//!
//! Content is plain data with one canonical form; a [`Bundle`] is that content made ready, immutable and whole.
//! Having none is a value that denies everything.

pub mod millis;
mod settings;
mod subject;

pub use settings::{ApprovalSettings, Budget, BudgetKey, LimitSettings};
pub use subject::{IssuerContext, SubjectItem};

use crate::decide::{Budgets, Decision, Facts, GrantUse, Listed, Operation};
use crate::name::{GatewayName, Issuer, Revision};
use crate::principal::Principal;
use crate::time::UnixMillis;

/// Effective settings; grows with the compiler.
#[derive(Clone, Debug)]
pub struct Settings {
    pub limits: LimitSettings,
    pub approvals: ApprovalSettings,
}

/// Compiled policy as data.
#[derive(Clone, Debug)]
pub struct BundleContent {
    pub gateway: GatewayName,
}

/// Why a bundle's content cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("the bundle is not readable: {0}")]
    Unreadable(String),
}

/// The policy in force.
#[derive(Debug)]
pub struct Bundle {
    revision: Revision,
}

impl Bundle {
    pub fn activate(content: BundleContent) -> Result<Self, BundleError> {
        todo!()
    }
    /// No policy: denies everything.
    pub fn none(gateway: GatewayName) -> Self {
        todo!()
    }
    /// Law 9.
    pub fn built_in(gateway: GatewayName) -> Self {
        todo!()
    }
    /// The issuer of standalone tokens, which stands in for the gateway's first one.
    pub fn with_standalone_issuer(self, issuer: Issuer) -> Self {
        todo!()
    }
    /// After `at` everything is denied.
    pub fn with_expiry(self, at: UnixMillis) -> Self {
        todo!()
    }
    pub fn revision(&self) -> Revision {
        self.revision
    }
    pub fn gateway(&self) -> &GatewayName {
        todo!()
    }
    pub fn settings(&self) -> &Settings {
        todo!()
    }
    pub fn decide(
        &self,
        operation: &Operation<'_>,
        facts: &Facts<'_>,
        budgets: &mut Budgets,
    ) -> Decision {
        todo!()
    }
    pub fn decide_granted(
        &self,
        operation: &Operation<'_>,
        facts: &Facts<'_>,
        grant: &GrantUse,
    ) -> Decision {
        todo!()
    }
    pub fn visible(&self, listed: &Listed<'_>, facts: &Facts<'_>) -> bool {
        todo!()
    }
    pub fn next_edge(&self, principal: &Principal, now: UnixMillis) -> Option<UnixMillis> {
        todo!()
    }
    pub fn server_request_allowed(&self, method: &str, facts: &Facts<'_>) -> bool {
        todo!()
    }
}
