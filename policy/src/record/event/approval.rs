//! Events of a held call's approval.

use serde::{Deserialize, Serialize};

use crate::name::{CallId, Digest, RequestId, Revision, RuleId};
use crate::time::UnixMillis;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalRequested {
    pub call: CallId,
    pub request: RequestId,
    /// The binding digest of law 19.
    pub digest: Digest,
    pub rules: Vec<RuleId>,
    /// Distinct approvals needed, the largest of all rules.
    pub required: u32,
    pub expires_at: UnixMillis,
    /// An identical request was already there and is shared.
    #[serde(default)]
    pub joined: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ApprovalVerdict {
    Approved,
    Denied,
    Expired,
    Withdrawn,
    Revoked,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalDecided {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    pub request: RequestId,
    pub verdict: ApprovalVerdict,
    /// Everybody whose voice counted, as stamped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<Voice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One approver, and how sure we are that it was they (law 24).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Voice {
    pub user: String,
    /// `Asserted` or `Verified`.
    pub assurance: String,
    /// Uid of the peer on the approval socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalConsumed {
    pub call: CallId,
    pub request: RequestId,
    /// The policy under which it was asked for, and the one under which it is used (law 19).
    pub asked_under: Revision,
    pub used_under: Revision,
}
