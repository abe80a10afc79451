//! What is in force at one gateway beside its rules: every default filled in, every guardrail applied.
//!
//! Nobody after the compiler asks what a missing field means; the numbers here are the numbers enforced.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::IssuerContext;
use crate::mask::Unreadable;
use crate::name::Issuer;
use crate::source::authentication::Authentication;
use crate::source::gateway::{Credential, Egress, Listener, Server};
use crate::source::guardrail::IdentityMapping;
use crate::source::masking::Masking;
use crate::source::settings::{
    BudgetKey, Capture, DeclaredPin, Enforcement, OnPinChange, Payloads, RecordingAnchor,
    RecordingMode,
};

/// Everything at a gateway that is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    pub server: Server,
    pub listener: Listener,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    pub additional_urls: Vec<String>,
    /// Issuers with their audiences, algorithms and claims as written; guardrail defaults where the gateway names none.
    pub authentication: Authentication,
    pub credentials: Vec<Credential>,
    /// Of gateway, policies and guardrails together; `detectors` and every `action` are given.
    pub masking: Masking,
    /// What stored masking that no longer compiles withholds (law 7).
    #[serde(default, skip_serializing_if = "Unreadable::is_nothing")]
    pub unreadable_masking: Unreadable,
    /// Detectors that guardrails ask for: what approvers' previews are masked by, which no author can change (law 23).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platform_detectors: Vec<String>,
    pub recording: RecordingSettings,
    pub approvals: ApprovalSettings,
    pub limits: LimitSettings,
    pub tool_pins: PinSettings,
    pub enforcement: Enforcement,
    pub capture: Capture,
    /// How long this policy may stay in force without being signed anew.
    #[serde(with = "super::millis")]
    pub policy_max_age: Duration,
    pub egress: Egress,
    /// Which cluster user is which principal (law 23).
    pub identity_map: Vec<IdentityMapping>,
}

impl Settings {
    /// Every name of this resource: `publicUrl`, then `additionalUrls`.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        let more = self.additional_urls.iter().map(String::as_str);
        self.public_url.as_deref().into_iter().chain(more)
    }

    /// What a subject item without issuer means.
    #[must_use]
    pub fn issuer_context(&self, standalone: Option<Issuer>) -> IssuerContext {
        let first = self.authentication.issuers.first();
        IssuerContext {
            first: first.map(|issuer| Issuer::new(issuer.issuer.clone())),
            standalone,
        }
    }
}

/// How calls are recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordingSettings {
    pub mode: RecordingMode,
    pub payloads: Payloads,
    #[serde(with = "super::millis")]
    pub retention: Duration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<RecordingAnchor>,
}

/// How held calls wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalSettings {
    /// How long a client is kept waiting on one held call.
    #[serde(with = "super::millis")]
    pub hold: Duration,
    /// How long an access request stays open.
    #[serde(with = "super::millis")]
    pub request_ttl: Duration,
    /// The longest grant that any rule may give.
    #[serde(with = "super::millis")]
    pub max_grant: Duration,
    /// Open requests of one caller.
    pub max_pending: u32,
}

/// Bounds, all per sidecar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitSettings {
    /// Bytes of one request body.
    pub request_bytes: u64,
    /// Bytes of one JSON response or one SSE event.
    pub response_bytes: u64,
    /// Calls that run at once.
    pub concurrent_calls: u32,
    #[serde(with = "super::millis")]
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
    #[serde(with = "super::millis")]
    pub per: Duration,
    /// Whose calls share it.
    pub by: BudgetKey,
}

/// What a changed tool definition leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PinSettings {
    pub on_change: OnPinChange,
    pub pins: Vec<DeclaredPin>,
}
