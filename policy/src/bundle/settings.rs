//! What is in force at one gateway beside its rules: every default filled in, every guardrail applied.
//!
//! Nobody after the compiler asks what a missing field means; the numbers here are the numbers enforced.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of `limits`, all per sidecar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitSettings {
    /// Bytes of one request body.
    pub request_bytes: u64,
    /// Bytes of one JSON response or one SSE event.
    pub response_bytes: u64,
    /// Calls that run at once.
    pub concurrent_calls: u32,
    #[serde(with = "crate::bundle::millis")]
    pub session_idle: Duration,
    /// Child processes of a stdio server.
    pub children: u32,
    /// Bytes of the whole process, above which new calls are refused.
    pub memory: u64,
    pub budgets: Vec<Budget>,
}

/// So many calls of some tools in some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// Globs of tool names.
    pub tools: Vec<String>,
    pub calls: u32,
    #[serde(with = "crate::bundle::millis")]
    pub per: Duration,
    pub by: BudgetKey,
}

/// Whose calls share a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BudgetKey {
    #[default]
    Principal,
    Client,
    Gateway,
}

/// How held calls wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalSettings {
    /// How long a client is kept waiting on one held call.
    #[serde(with = "crate::bundle::millis")]
    pub hold: Duration,
    /// How long an access request stays open.
    #[serde(with = "crate::bundle::millis")]
    pub request_ttl: Duration,
    /// The longest grant that any rule may give.
    #[serde(with = "crate::bundle::millis")]
    pub max_grant: Duration,
    /// Open requests of one caller.
    pub max_pending: u32,
}
