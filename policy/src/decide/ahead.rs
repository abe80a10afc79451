//! Which rules could hold a tool's calls for somebody who asks for a window ahead, when there is no call yet.
//!
//! Three-valued, and leaning towards more: a rule that may hold is named, so its approvers must agree to the window
//! as well. A rule that is left out here costs the window's owner a second request, never anybody a call that no
//! approver agreed to, since at each use the rules that match are compared with those that were approved.

use std::sync::Arc;

use super::lists::{permits, surely_denies};
use super::operation::{Facts, Operation, ToolFacts, no_header};
use super::rule::{ActiveObject, Prospect};
use super::verdict::{DenyReason, HoldRule};
use crate::bundle::{Bundle, IssuerContext};
use crate::name::RuleId;
use crate::principal::Principal;
use crate::time::UnixMillis;

/// Somebody who will call later.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// What is known of the caller; claims, scopes and address are not.
    pub principal: &'a Principal,
    /// Whatever client acts for the caller.
    pub any_client: bool,
    /// The first and the last moment at which a call may come.
    pub from: UnixMillis,
    pub until: UnixMillis,
}

/// Why there is nothing to ask for; whoever asks can act on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWindow {
    #[error("this gateway refuses every call now: {}", .0.text())]
    Standing(DenyReason),
    #[error("rule `{0}` denies every such call; no approval can change that")]
    Denied(RuleId),
    #[error("no rule allows this tool for this caller, with or without approval")]
    NotAllowed,
    #[error("no rule holds this tool for this caller, so it needs no approval: call it")]
    NotHeld,
}

/// Whether an object is about a caller of whom not all is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Applies {
    Never,
    Maybe,
    Surely,
}

impl Bundle {
    /// Every rule that can hold a call of `tool` for `asker`, in the bundle's order.
    pub fn holds_ahead(
        &self,
        tool: &str,
        facts: ToolFacts<'_>,
        asker: &Asker<'_>,
    ) -> Result<Vec<Arc<HoldRule>>, NoWindow> {
        if let Some(reason) = self.standing_refusal(asker.from) {
            return Err(NoWindow::Standing(reason));
        }
        let operation = Operation::Tool {
            name: tool,
            arguments: None,
        };
        let facts = Facts {
            principal: asker.principal,
            now: asker.from,
            source: None,
            header: &no_header,
            tool: Some(facts),
        };
        let postings = self.postings(&operation).map_err(NoWindow::Standing)?;
        let mut permitted = self.observes;
        let mut holds = Vec::new();
        for (rule, object) in self.about(&postings, asker.principal) {
            let applies = object.applies_ahead(asker, &self.issuers);
            if object.observed || applies == Applies::Never {
                continue;
            }
            let prospect = rule.prospect_ahead(&facts);
            if applies == Applies::Surely && surely_denies(rule.effect, prospect) {
                return Err(NoWindow::Denied((*rule.id).clone()));
            }
            if !matches!(prospect, Prospect::Surely | Prospect::Maybe) {
                continue;
            }
            permitted |= permits(rule, object);
            holds.extend(rule.hold.clone());
        }
        match (permitted, holds.is_empty()) {
            (false, _) => Err(NoWindow::NotAllowed),
            (true, true) => Err(NoWindow::NotHeld),
            (true, false) => Ok(holds),
        }
    }
}

impl ActiveObject {
    fn applies_ahead(&self, asker: &Asker<'_>, issuers: &IssuerContext) -> Applies {
        if self.broken {
            return Applies::Surely;
        }
        self.concerns(asker.principal, issuers)
            .min(self.admits(asker))
            .min(self.in_force(asker))
    }

    fn concerns(&self, principal: &Principal, issuers: &IssuerContext) -> Applies {
        if self.is_about(principal, issuers) {
            return Applies::Surely;
        }
        let may_fit = |item: &crate::bundle::ActiveSubject| item.may_fit(principal, issuers);
        Applies::maybe(self.subjects.iter().any(may_fit))
    }

    fn admits(&self, asker: &Asker<'_>) -> Applies {
        match (self.clients.is_empty(), asker.any_client) {
            (true, _) => Applies::Surely,
            (false, true) => Applies::Maybe,
            (false, false) if self.admits_client(asker.principal) => Applies::Surely,
            (false, false) => Applies::Never,
        }
    }

    fn in_force(&self, asker: &Asker<'_>) -> Applies {
        let now = self.validity.holds(asker.from);
        let edge = self.validity.next_edge(asker.from);
        let changes = edge.is_some_and(|edge| edge <= asker.until);
        match (now, changes) {
            (true, false) => Applies::Surely,
            (_, true) => Applies::Maybe,
            (false, false) => Applies::Never,
        }
    }
}

impl Applies {
    fn maybe(yes: bool) -> Self {
        if yes { Self::Maybe } else { Self::Never }
    }
}
