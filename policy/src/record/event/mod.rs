//! What can be recorded: one type an event, all plain data.
//!
//! Events are metadata that may be kept for years; whatever a caller or a server said (arguments, results, texts of
//! denials with values in them) is a *payload*, stored apart and only named here by its digest, so that it can be
//! purged without breaking the chain (law 32). Never put an unmasked value, a token or a credential into an event.

mod approval;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::name::{CallId, Digest, GatewayName, Revision, RuleId};
use crate::principal::CallerKey;

pub use approval::{ApprovalConsumed, ApprovalDecided, ApprovalRequested, ApprovalVerdict, Voice};
pub use upkeep::{
    Gap, GapCause, LegalHold, PolicyChanged, PurgeCause, Purged, PurgedThing, Recovered, ViewKind,
    Viewed, WriterBegan, WriterEnded,
};

/// One thing that happened. The order of variants is the order in which a call meets them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Event {
    /// A process began to write; first event of the writer's own chain.
    WriterBegan(WriterBegan),
    /// What a writer found when it opened a folder that another one had left without saying goodbye.
    Recovered(Recovered),
    SessionBegan(Box<SessionBegan>),
    CallRequested(Box<CallRequested>),
    Decided(Box<Decided>),
    ApprovalRequested(ApprovalRequested),
    ApprovalDecided(ApprovalDecided),
    ApprovalConsumed(ApprovalConsumed),
    /// Written before the first byte goes upstream.
    Forwarded(Forwarded),
    /// The server's answer, before it is released to the client.
    Answered(Answered),
    /// One data event of a stream, before it is released.
    StreamEvent(StreamEvent),
    /// A request of the server to the client.
    ServerRequest(ServerRequest),
    /// The terminal record of a call: exactly one for every `CallRequested` (law 30).
    CallEnded(CallEnded),
    SessionEnded(SessionEnded),
    PolicyChanged(PolicyChanged),
    /// Events of this session were lost here.
    Gap(Gap),
    /// Somebody read a recording.
    Viewed(Viewed),
    /// The tombstone of what was deleted (law 32).
    Purged(Purged),
    /// A legal hold was placed on, or lifted from, a session.
    LegalHold(LegalHold),
    /// A process ended in good order; last event of its chain.
    WriterEnded(WriterEnded),
}

impl Event {
    /// The stable name of the event, as written in its `type`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::WriterBegan(_) => "writerBegan",
            Self::Recovered(_) => "recovered",
            Self::SessionBegan(_) => "sessionBegan",
            Self::CallRequested(_) => "callRequested",
            Self::Decided(_) => "decided",
            Self::ApprovalRequested(_) => "approvalRequested",
            Self::ApprovalDecided(_) => "approvalDecided",
            Self::ApprovalConsumed(_) => "approvalConsumed",
            Self::Forwarded(_) => "forwarded",
            Self::Answered(_) => "answered",
            Self::StreamEvent(_) => "streamEvent",
            Self::ServerRequest(_) => "serverRequest",
            Self::CallEnded(_) => "callEnded",
            Self::SessionEnded(_) => "sessionEnded",
            Self::PolicyChanged(_) => "policyChanged",
            Self::Gap(_) => "gap",
            Self::Viewed(_) => "viewed",
            Self::Purged(_) => "purged",
            Self::LegalHold(_) => "legalHold",
            Self::WriterEnded(_) => "writerEnded",
        }
    }

    /// The call that the event belongs to.
    #[must_use]
    pub fn call(&self) -> Option<&CallId> {
        match self {
            Self::CallRequested(event) => Some(&event.call),
            Self::Decided(event) => Some(&event.call),
            Self::ApprovalRequested(event) => Some(&event.call),
            Self::ApprovalDecided(event) => event.call.as_ref(),
            Self::ApprovalConsumed(event) => Some(&event.call),
            Self::Forwarded(event) => Some(&event.call),
            Self::Answered(event) => Some(&event.call),
            Self::StreamEvent(event) => event.call.as_ref(),
            Self::ServerRequest(event) => event.call.as_ref(),
            Self::CallEnded(event) => Some(&event.call),
            Self::WriterBegan(_)
            | Self::Recovered(_)
            | Self::SessionBegan(_)
            | Self::SessionEnded(_)
            | Self::PolicyChanged(_)
            | Self::Gap(_)
            | Self::Viewed(_)
            | Self::Purged(_)
            | Self::LegalHold(_)
            | Self::WriterEnded(_) => None,
        }
    }
}

/// Counts of masked spans by kind of detector or field rule; never a value.
pub type MaskCounts = BTreeMap<String, u64>;

/// Who a session belongs to (law 30).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionBegan {
    pub caller: CallerKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    #[serde(default)]
    pub anonymous: bool,
    pub gateway: GatewayName,
    /// The policy in force; none where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// What the client says of itself (`clientInfo`): told, never trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_client: Option<String>,
}

/// Who sent the message that a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    ClientToServer,
    ServerToClient,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallRequested {
    pub call: CallId,
    pub direction: Direction,
    /// As sent; `-` where the body could not be read far enough to know.
    pub method: String,
    #[serde(default)]
    pub notification: bool,
    /// The JSON-RPC id as JSON text, so that `1` and `"1"` stay apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the tool or prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// URI of a resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Digest of the reviewed tool definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Size of the body as received, in bytes.
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// `traceparent` of the caller, told, never trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    Allow,
    Hold,
    Deny,
}

/// One evaluation. A call that was held is decided again when it resumes, so it can have several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decided {
    pub call: CallId,
    pub verdict: Verdict,
    /// The rule that caused it; none for default deny and for what failed before any rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
    /// All hold rules that matched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<RuleId>,
    /// Stable code of the deny reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The policy that decided; none where nothing was in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// What an observed policy would have said (law 6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shadow {
    pub verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Forwarded {
    pub call: CallId,
    /// Size of the body as sent upstream, in bytes.
    pub bytes: u64,
    /// Names of the headers that were injected or forwarded; never values.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub headers: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answered {
    pub call: CallId,
    /// HTTP status of the server, 200 over stdio; none where its answer was withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A JSON-RPC error, or a result with `isError`.
    #[serde(default)]
    pub is_error: bool,
    /// Size of the answer as received, in bytes.
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "MaskCounts::is_empty")]
    pub masks: MaskCounts,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamEvent {
    /// The call whose stream it is; none on a session's standing stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    pub direction: Direction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The `id` field of the server-sent event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "MaskCounts::is_empty")]
    pub masks: MaskCounts,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerRequest {
    /// The client's call during which the server asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    pub method: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "MaskCounts::is_empty")]
    pub masks: MaskCounts,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    Succeeded,
    /// The server answered with an error.
    Failed,
    Denied,
    /// Held, and the client was told so; the request stays open.
    Pending,
    /// The answer was not given to the client.
    Withheld,
    Cancelled,
    /// An approval was taken back while the call ran: effect unknown (law 22).
    Revoked,
    /// The client went away.
    Disconnected,
    /// The server could not be reached, or broke off.
    UpstreamFailed,
    /// The guard stopped before it knew.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallEnded {
    pub call: CallId,
    pub outcome: Outcome,
    /// Whether the server was given the call; a withheld answer is `withheld, executed` (law 13).
    pub executed: bool,
    /// Stable code of why, where the outcome needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// HTTP status given to the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// From request to here, in milliseconds; none where the writer that knew is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SessionEnd {
    Idle,
    /// The client ended the protocol session.
    Closed,
    /// The token ran out and no fresh one came.
    Expired,
    /// A grant or the session itself was revoked.
    Revoked,
    /// A policy change took the caller's access away.
    PolicyChanged,
    Shutdown,
    /// Written by the next writer, after a crash.
    Restart,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionEnded {
    pub reason: SessionEnd,
}

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PayloadKind {
    /// The masked body of a request.
    Request,
    /// The masked body of an answer, as released.
    Response,
    /// The masked data of one stream event, as released.
    Stream,
    /// The masked body of a server's request, or of the client's answer to it.
    ServerRequest,
    /// The preview that approvers saw.
    Preview,
    /// Why the decision was taken: the explanation, as JSON.
    Explanation,
    /// What we answered in the server's place.
    Reply,
}

/// Whether calls wait for the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mode {
    /// Nothing is forwarded or released before its event is durable.
    Strict,
    /// Calls go on; a loss is itself recorded.
    BestEffort,
    Disabled,
}

/// Which payloads are kept. `Full` is not among them: it needs an auditor's key and the recorder service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Capture {
    Masked,
    /// Only sizes and facts; no payload is written.
    Metadata,
}
