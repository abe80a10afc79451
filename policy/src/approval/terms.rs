//! What was asked for: the immutable part of an access request, and whether a call fits it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::approval::person::{Requester, account_of};
use crate::approval::voice::{Approver, Verdict, Voice};
use crate::decide::{GrantScope, GrantTerms, HoldRule};
use crate::name::{Digest, GatewayName, Revision, RuleId};
use crate::principal::CallerKey;
use crate::source::policy::Subject;
use crate::source::rule::Condition;
use crate::time::UnixMillis;

/// One hold rule as it stood when the request was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleTerms {
    pub id: RuleId,
    pub digest: Digest,
    /// Any item suffices; an empty list admits nobody.
    pub approvers: Vec<Subject>,
    /// How many distinct people must approve; at least one.
    pub required: u32,
    pub reason_required: bool,
}

impl From<&HoldRule> for RuleTerms {
    fn from(rule: &HoldRule) -> Self {
        Self {
            id: (*rule.id).clone(),
            digest: rule.digest,
            approvers: rule.approvers.clone(),
            required: rule.required.max(1),
            reason_required: rule.reason_required,
        }
    }
}

impl RuleTerms {
    /// Whether this rule lets `approver` speak.
    #[must_use]
    pub fn admits(&self, approver: &Approver) -> bool {
        self.approvers.iter().any(|item| admits(item, approver))
    }

    fn met_by(&self, voices: &[Voice]) -> bool {
        let approvals = voices
            .iter()
            .filter(|voice| voice.verdict == Verdict::Approve && self.admits(&voice.by))
            .count();
        u32::try_from(approvals).unwrap_or(u32::MAX) >= self.required.max(1)
    }
}

/// What cannot be mapped is refused: an approver brings no claims, so an item with claims fits nobody here.
fn admits(item: &Subject, approver: &Approver) -> bool {
    let of_issuer = |named: &String| {
        approver
            .issuers
            .iter()
            .any(|issuer| issuer.as_str() == named)
    };
    let named = |name: &String| *name == approver.username || approver.aliases.contains(name);
    !item.is_empty()
        && item.claims.is_empty()
        && item.issuer.as_ref().is_none_or(of_issuer)
        && (item.users.is_empty() || item.users.iter().any(named))
        && (item.groups.is_empty()
            || item
                .groups
                .iter()
                .any(|group| approver.groups.contains(group)))
        && match account_of(&approver.username) {
            // A ServiceAccount approves only if named, never by a group that it is in.
            Some(account) => item.service_accounts.iter().any(|named| named.is(&account)),
            None => item.service_accounts.is_empty(),
        }
}

/// Who may approve, in words.
#[must_use]
pub fn describe(item: &Subject) -> String {
    let accounts = item.service_accounts.iter();
    let accounts: Vec<String> = accounts
        .map(|account| format!("{}/{}", account.namespace, account.name))
        .collect();
    let claims: Vec<String> = item.claims.keys().cloned().collect();
    let parts = [
        ("user", &item.users),
        ("group", &item.groups),
        ("service account", &accounts),
        ("claim", &claims),
    ];
    let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
    let parts: Vec<String> = parts
        .map(|(what, names)| format!("{what} `{}`", names.join("`, `")))
        .collect();
    parts.join(" with ")
}

/// What an approval would cover.
#[derive(Clone, Debug, PartialEq)]
pub enum Scope {
    /// One exact call, once.
    Call {
        /// Of [`crate::approval::Binding`].
        digest: Digest,
    },
    /// Calls of one tool for a while (law 22).
    Tool(Window),
}

/// The bounds of a `scope: Tool` grant, beside tool, pin and rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// Whatever client acts for the requester may use it.
    pub any_client: bool,
    /// Unlimited within the window where none.
    pub max_uses: Option<u32>,
    /// What each use must meet: the rules' own conditions, gathered for readers. The guard evaluates them by
    /// `HoldRule::grant_covers` and says so in its [`Claim`].
    pub when: Vec<Condition>,
}

/// The immutable part of one access request.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    pub gateway: GatewayName,
    pub requester: Requester,
    /// The requester's verified e-mail address, for people to read.
    pub email: Option<String>,
    pub method: String,
    /// The tool or prompt name, or the resource's URI.
    pub target: Option<String>,
    pub pin: Option<Digest>,
    pub scope: Scope,
    pub rules: Vec<RuleTerms>,
    pub revision: Revision,
    pub reason: Option<String>,
    /// The masked preview, as approvers are shown it.
    pub preview: Option<String>,
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
    /// Whether `HoldRule::grant_covers` holds for every rule that matches the call now. A grant without
    /// conditions asks for nothing.
    pub when_holds: bool,
}

impl Scope {
    /// What approving a call that these rules hold would give: a window only where every rule says so, and then
    /// the narrowest of them.
    #[must_use]
    pub fn of(grants: &[GrantTerms], digest: Digest) -> Self {
        let windows = !grants.is_empty()
            && grants.iter().all(|grant| match grant.scope {
                GrantScope::Call => false,
                GrantScope::Tool => true,
            });
        if !windows {
            return Self::Call { digest };
        }
        Self::Tool(Window {
            any_client: false,
            max_uses: grants.iter().filter_map(|grant| grant.max_uses).min(),
            when: grants.iter().flat_map(|grant| grant.when.clone()).collect(),
        })
    }

    /// How often it may be used at most.
    #[must_use]
    pub fn max_uses(&self) -> Option<usize> {
        match self {
            Self::Call { .. } => Some(1),
            Self::Tool(window) => Some(usize::try_from(window.max_uses?).unwrap_or(usize::MAX)),
        }
    }
}

impl Terms {
    /// Whether the approvals among `voices` satisfy every rule. No rules at all are satisfied by nobody.
    #[must_use]
    pub fn met_by(&self, voices: &[Voice]) -> bool {
        !self.rules.is_empty() && self.rules.iter().all(|rule| rule.met_by(voices))
    }

    /// The digest of the preview; a review carries it to say what its author saw.
    #[must_use]
    pub fn preview_digest(&self) -> Option<Digest> {
        self.preview
            .as_ref()
            .map(|text| Digest::of(text.as_bytes()))
    }

    /// Who may approve, rule by rule, in words.
    #[must_use]
    pub fn wanted(&self) -> String {
        let rules = self.rules.iter().map(|rule| {
            let items: Vec<String> = rule.approvers.iter().map(describe).collect();
            format!(
                "{} of {} for {}",
                rule.required,
                items.join(" or "),
                rule.id
            )
        });
        rules.collect::<Vec<_>>().join("; ")
    }

    /// Whether a grant on these terms covers the call (law 22).
    pub fn covers(&self, claim: &Claim) -> Result<(), Misfit> {
        if self.gateway != claim.gateway {
            return Err(Misfit::Gateway);
        }
        let mine = &self.requester.key;
        let same_person =
            mine.issuer == claim.caller.issuer && mine.subject == claim.caller.subject;
        let same_client = mine.client == claim.caller.client && mine.actor == claim.caller.actor;
        match &self.scope {
            Scope::Call { digest } => {
                covered(same_person && same_client, Misfit::Caller)?;
                covered(*digest == claim.digest, Misfit::Call)?;
                covered(self.rule_digests() == claim.rule_set(), Misfit::Rules)
            }
            Scope::Tool(window) => {
                covered(
                    same_person && (same_client || window.any_client),
                    Misfit::Caller,
                )?;
                covered(
                    claim.tool.is_some() && claim.tool == self.target,
                    Misfit::Tool,
                )?;
                covered(claim.pin == self.pin, Misfit::Tool)?;
                let rules = claim.rule_set();
                let approved = !rules.is_empty() && rules.is_subset(&self.rule_digests());
                covered(approved, Misfit::Rules)?;
                covered(window.when.is_empty() || claim.when_holds, Misfit::When)
            }
        }
    }

    fn rule_digests(&self) -> BTreeSet<Digest> {
        self.rules.iter().map(|rule| rule.digest).collect()
    }
}

impl Claim {
    fn rule_set(&self) -> BTreeSet<Digest> {
        self.rules.iter().copied().collect()
    }
}

fn covered(fits: bool, otherwise: Misfit) -> Result<(), Misfit> {
    if fits { Ok(()) } else { Err(otherwise) }
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
    #[error("its conditions do not hold for this call")]
    When,
}
