//! Sections that gateways and guardrails share: recording, approvals, limits, pins, enforcement, capture.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{self, GoDuration, Quantity};
use crate::name::Digest;

/// How sessions are recorded, laws 30 to 33.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recording {
    /// Whether a call waits for its record. Default: `Strict`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<RecordingMode>,
    /// What is kept of bodies. Default: `Masked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payloads: Option<Payloads>,
    /// How long recordings are kept. Default: `9600h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<GoDuration>,
    /// Where signed heads of the chains are written out, so that a cut tail can be proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<RecordingAnchor>,
}

/// A place outside the recordings that learns the signed heads of their chains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordingAnchor {
    /// A file, on another volume than the recordings, to which heads are appended.
    #[schemars(length(min = 1, max = 4096))]
    pub file: String,
    /// How often. Default: `5m`, and at exit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<GoDuration>,
}

/// Whether a call waits for its record.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum RecordingMode {
    /// Nothing is sent on before its event is durable; what cannot be recorded is refused.
    Strict,
    /// Calls do not wait; a gap is itself recorded.
    BestEffort,
    /// Nothing is recorded.
    Disabled,
}

/// What is kept of bodies.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Payloads {
    /// Bodies as the client got them, with secrets masked.
    Masked,
    /// The unmasked copy too, sealed to an auditor's key.
    Full,
    /// No bodies: who, what, when, decision and sizes.
    Metadata,
}

/// How long held calls and grants live, laws 19 to 24.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approvals {
    /// How long a client is kept waiting before it hears "pending". Default: `45s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<GoDuration>,
    /// How long a request stays open. Default: `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_ttl: Option<GoDuration>,
    /// The longest grant that a rule or an approver may give. Default: `8h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_grant: Option<GoDuration>,
    /// How many requests one principal and client may have open. Default: 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub max_pending: Option<u32>,
}

/// Bounds on sizes, numbers and rates. Where several objects set one, the smaller counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// The largest JSON body of a request. Default: `4Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_bytes: Option<Quantity>,
    /// The largest JSON body or stream event of a response. Default: `16Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<Quantity>,
    /// How many calls run at once in one sidecar. Default: 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65536))]
    pub concurrent_calls: Option<u32>,
    /// A session without a call for so long is over. Default: `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_idle: Option<GoDuration>,
    /// How many children a stdio server may have at once. Default: 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub children: Option<u32>,
    /// What one sidecar may use; above it new calls are refused. Default: `512Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
    /// How many calls may be made in a span of time. Default: none but these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub budgets: Vec<Budget>,
}

/// So many calls of these tools in such a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// Globs over tool names; calls of any of them count.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256)))]
    pub tools: Vec<String>,
    /// How many calls.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub calls: u32,
    /// In how long.
    pub per: GoDuration,
    /// Who shares the budget. Default: `Principal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<BudgetKey>,
}

/// Who shares a budget.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum BudgetKey {
    /// One budget a principal.
    Principal,
    /// One budget a client (agent), whoever it acts for.
    Client,
    /// One budget a session.
    Session,
    /// One budget for all callers of the gateway.
    Gateway,
}

/// Reviewed digests of tool definitions, law 29.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolPins {
    /// What happens to a tool whose definition is not the pinned one. Default: `Quarantine`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_change: Option<OnPinChange>,
    /// Declared pins. A tool may have several, any of which is trusted; others are trusted on first use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["tool", "digest"]))]
    pub pins: Vec<DeclaredPin>,
}

/// What happens to a tool whose definition is not the pinned one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum OnPinChange {
    /// Hidden from lists and refused when called, until somebody accepts it.
    Quarantine,
    /// Told in an event; the tool stays usable.
    Alert,
    /// Not looked at.
    Disabled,
}

/// One reviewed definition of one tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeclaredPin {
    /// The name of the tool.
    #[schemars(length(min = 1, max = 256))]
    pub tool: String,
    /// The digest of its definition, as `sallyport pins list` prints it.
    #[schemars(schema_with = "scalar::digest")]
    pub digest: Digest,
}

/// Whether verdicts are carried out.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Enforcement {
    /// Verdicts are carried out.
    Enforce,
    /// Verdicts are only recorded. Never applies to guardrails, authentication, masking, limits or recording.
    Observe,
}

/// How traffic is made to pass the sidecar.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Capture {
    /// The best way that the cluster allows.
    Auto,
    /// An init container sets rules in the pod's network namespace.
    Init,
    /// A CNI plugin sets them; the pod needs no capability.
    Cni,
    /// No rules: the server is reached over a Unix socket that only it and the sidecar mount.
    Socket,
}
