//! What was asked for: the immutable part of an access request, and whether a call fits it.

use std::time::Duration;

use crate::approval::person::Requester;
use crate::name::{Digest, GatewayName, Revision, RuleId};
use crate::principal::CallerKey;
use crate::time::UnixMillis;

/// One hold rule as it stood when the request was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleTerms {
    pub id: RuleId,
    pub digest: Digest,
    /// How many distinct people must approve; at least one.
    pub required: u32,
    pub reason_required: bool,
    /// How long an approval lasts.
    pub window: Duration,
}

/// What an approval would cover.
#[derive(Clone, Debug, PartialEq)]
pub enum Scope {
    /// One exact call, once.
    Call { digest: Digest },
    /// Calls of one tool for a while (law 22).
    Tool(Window),
}

/// The bounds of a `scope: Tool` grant.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    pub tool: String,
    pub pin: Option<Digest>,
    /// Whatever client acts for the requester may use it.
    pub any_client: bool,
    /// Unlimited within the window where none.
    pub max_uses: Option<u32>,
}

/// The immutable part of one access request.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    pub gateway: GatewayName,
    pub requester: Requester,
    pub scope: Scope,
    pub rules: Vec<RuleTerms>,
    pub revision: Revision,
    pub reason: Option<String>,
    /// Digest of the preview that approvers are shown.
    pub preview: Option<Digest>,
    pub opened: UnixMillis,
    /// After this nobody can approve it, and a denial no longer refuses.
    pub expires: UnixMillis,
    /// How long a grant lasts from the deciding approval on.
    pub window: Duration,
}

/// A call that wants to use a grant.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    pub gateway: GatewayName,
    pub caller: CallerKey,
    /// Of [`crate::approval::Binding`].
    pub digest: Digest,
    /// Set for `tools/call`.
    pub tool: Option<String>,
    pub pin: Option<Digest>,
    /// Digests of all hold rules that match the call now.
    pub rules: Vec<Digest>,
    /// The policy in force now; recorded beside the one the request was opened under.
    pub revision: Revision,
}

/// Why a grant does not cover a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    #[error("it is for another gateway")]
    Gateway,
    #[error("it is for another caller or client")]
    Caller,
    #[error("it is for another call")]
    Call,
    #[error("it is for another tool, or the tool's definition has changed")]
    Tool,
    #[error("other approval rules apply now")]
    Rules,
}
