//! The three verdicts as types: a [`Permit`] is consumed by the sender, an [`ApprovalNeeded`] by the desk, a
//! [`Denial`] by the answer. Only the evaluator makes a `Permit`; it cannot be cloned or written by hand.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::explanation::Explanation;
use super::operation::{Facts, Operation};
use crate::condition::{Predicate, Reading, Truth};
use crate::name::{Digest, RequestId, Revision, RuleId};
use crate::source::rule::{GrantScope, Preview};
use crate::source::{Condition, Subject};

/// What happens to a call, with the one explanation made while deciding.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    Allow(Permit, Explanation),
    Hold(ApprovalNeeded, Explanation),
    Deny(Denial, Explanation),
}

impl Decision {
    #[must_use]
    pub fn explanation(&self) -> &Explanation {
        match self {
            Self::Allow(_, explanation)
            | Self::Hold(_, explanation)
            | Self::Deny(_, explanation) => explanation,
        }
    }

    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Allow(..) => Verdict::Allow,
            Self::Hold(..) => Verdict::Hold,
            Self::Deny(..) => Verdict::Deny,
        }
    }

    /// The rule that caused it; for a hold the first of its rules.
    #[must_use]
    pub fn rule(&self) -> Option<&RuleId> {
        match self {
            Self::Allow(permit, _) => Some(permit.rule()),
            Self::Hold(needed, _) => needed.rules.first().map(|rule| &*rule.id),
            Self::Deny(denial, _) => denial.rule.as_deref(),
        }
    }
}

/// A decision without its data, for records, metrics and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    Allow,
    Hold,
    Deny,
}

/// The right to send one call upstream once. Taken by value by the sender.
#[derive(Debug)]
pub struct Permit {
    rule: Arc<RuleId>,
    revision: Revision,
    grant: Option<RequestId>,
}

impl Permit {
    pub(super) fn new(rule: Arc<RuleId>, revision: Revision, grant: Option<RequestId>) -> Self {
        Self {
            rule,
            revision,
            grant,
        }
    }

    pub(super) fn into_rule(self) -> Arc<RuleId> {
        self.rule
    }

    /// The Allow that carried it, or with a grant the hold that was approved.
    #[must_use]
    pub fn rule(&self) -> &RuleId {
        &self.rule
    }

    /// The policy that it was decided under.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The access request whose grant was consumed for it.
    #[must_use]
    pub fn grant(&self) -> Option<&RequestId> {
        self.grant.as_ref()
    }
}

/// Why a call may not run and what the caller may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub reason: DenyReason,
    pub rule: Option<Arc<RuleId>>,
    /// The author's own words (`message` of the rule).
    pub message: Option<String>,
    /// For the step-up challenge; only with [`DenyReason::InsufficientScope`].
    pub missing_scopes: Vec<String>,
    /// When a repeat may pass; only with budgets and concurrency.
    pub retry_after: Option<Duration>,
}

impl Denial {
    #[must_use]
    pub fn new(reason: DenyReason) -> Self {
        Self {
            reason,
            rule: None,
            message: None,
            missing_scopes: Vec::new(),
            retry_after: None,
        }
    }

    /// What to tell the caller: the author's message, else the reason's.
    #[must_use]
    pub fn text(&self) -> &str {
        self.message.as_deref().unwrap_or(self.reason.text())
    }
}

/// Defines the closed set of reasons with their stable codes and default texts, once.
macro_rules! deny_reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Every reason a call is refused for. Codes are stable: recordings, metrics and clients rely on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum DenyReason {
            $($(#[$doc])* $name,)*
        }

        impl DenyReason {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable snake_case code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What a caller is told where the author says nothing.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

deny_reasons! {
    /// Default deny (law 1).
    NoRule = "no_rule", "no rule allows this call";
    /// A Deny rule matched.
    DeniedByRule = "denied_by_rule", "a rule denies this call";
    /// A RequireApproval rule could not be judged (law 3).
    ConditionError = "condition_error", "a condition of an approval rule cannot be evaluated for this call";
    /// An Allow would match if the token had more scopes.
    InsufficientScope = "insufficient_scope", "the token lacks a scope that this call needs";
    /// A key that another parser could take for one that rules or schema name (law 4).
    AmbiguousKey = "ambiguous_key", "a key of the arguments can be mistaken for another one";
    /// A resource URI that is not in its one plain form.
    AmbiguousUri = "ambiguous_uri", "the uri is not in its normal form";
    /// A budget is used up (law 8).
    BudgetExhausted = "budget_exhausted", "the budget for such calls is used up";
    /// As many calls as `limits.concurrentCalls` are running.
    TooManyCalls = "too_many_calls", "too many calls are running";
    /// No verified policy is in force.
    NoPolicy = "no_policy", "no policy is in force";
    /// The policy in force is older than `policyMaxAge`.
    PolicyExpired = "policy_expired", "the policy in force has expired";
    /// The gateway is below the platform's floor (law 6).
    BelowGuardrail = "below_guardrail", "the gateway is below a guardrail";
    /// The gateway, or this tool, is under masking that no longer compiles (law 7).
    MaskingUnreadable = "masking_unreadable", "a part of the masking in force cannot be read";
    /// The resumed call is held by other rules than those approved (law 19).
    GrantMismatch = "grant_mismatch", "the approval does not cover the rules that now hold this call";
    /// The method table does not name this method.
    UnknownMethod = "unknown_method", "the method is not known to this gateway";
    /// The server lists no such tool (law 29).
    UnknownTool = "unknown_tool", "the server lists no such tool";
    /// The tool's definition differs from its pin.
    ToolQuarantined = "tool_quarantined", "the tool's definition changed and awaits review";
    /// A reviewer said no; stands until the request expires (law 20).
    ApprovalDenied = "approval_denied", "an approver denied this call";
    /// Nobody decided in time.
    ApprovalExpired = "approval_expired", "the access request expired";
    /// The approval was already used (law 21).
    GrantUsed = "grant_used", "the approval was already used";
    /// The grant was revoked (law 22).
    GrantRevoked = "grant_revoked", "the grant was revoked";
    /// No new approval is possible now.
    ApprovalsUnavailable = "approvals_unavailable", "approvals are not available now";
    /// As many requests as `approvals.maxPending` are open.
    TooManyPending = "too_many_pending", "too many access requests of this caller are pending";
    /// Strict recording could not make the request durable.
    RecordingUnavailable = "recording_unavailable", "the call cannot be recorded";
}

/// A call that runs only with an approver's word.
#[derive(Clone, Debug, PartialEq)]
pub struct ApprovalNeeded {
    /// All hold rules that match, in order of id; each must be satisfied (law 19).
    pub rules: Vec<Arc<HoldRule>>,
    pub revision: Revision,
}

impl ApprovalNeeded {
    /// The sorted digests of all its rules, as law 19 binds them.
    #[must_use]
    pub fn digests(&self) -> Vec<Digest> {
        let mut digests: Vec<_> = self.rules.iter().map(|rule| rule.digest).collect();
        digests.sort_unstable();
        digests
    }
}

/// One RequireApproval rule as the desk needs it.
#[derive(Clone, Debug)]
pub struct HoldRule {
    pub id: Arc<RuleId>,
    /// Digest of the rule as written, with its id.
    pub digest: Digest,
    /// Never empty; any item suffices.
    pub approvers: Vec<Subject>,
    /// Distinct people that must approve, at least 1.
    pub required: u32,
    /// Whether the caller must give a reason.
    pub reason_required: bool,
    /// What an approver is shown of the arguments.
    pub preview: Preview,
    pub grant: GrantTerms,
    pub message: Option<String>,
    /// The grant's `when`, made ready.
    pub(crate) when: Vec<Predicate>,
}

impl HoldRule {
    /// Whether a window under this rule covers a use: all conditions of the grant hold, read as an Allow reads them.
    #[must_use]
    pub fn grant_covers(&self, operation: &Operation<'_>, facts: &Facts<'_>) -> bool {
        let arguments = operation.arguments();
        self.when
            .iter()
            .all(|part| part.judge(arguments, facts, Reading::Granting) == Truth::True)
    }
}

impl PartialEq for HoldRule {
    /// The digest covers all that was written.
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.grant == other.grant
    }
}

/// What an approval gives, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantTerms {
    pub scope: GrantScope,
    /// How long it may be used; already cut to `approvals.maxGrant`.
    pub duration: Duration,
    /// For windows: how often it may be used; none for any number.
    pub max_uses: Option<u32>,
    /// For windows: what each use must meet, as written.
    pub when: Vec<Condition>,
}

/// A grant that was consumed durably before resumption: the word of the desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantUse {
    request: RequestId,
    rules: Vec<Digest>,
}

impl GrantUse {
    /// `rules`: digests of the hold rules that the request was approved under.
    #[must_use]
    pub fn consumed(request: RequestId, mut rules: Vec<Digest>) -> Self {
        rules.sort_unstable();
        rules.dedup();
        Self { request, rules }
    }

    #[must_use]
    pub fn request(&self) -> &RequestId {
        &self.request
    }

    #[must_use]
    pub fn rules(&self) -> &[Digest] {
        &self.rules
    }
}
