//! Precedence, in one place: deny beats hold beats allow, and nothing matched is deny (law 1).

use std::sync::Arc;

use super::rule::{ActiveRule, Judged};
use super::verdict::{DenyReason, Verdict};
use crate::name::{RuleId, RuleSource};
use crate::source::Effect;

/// What the rules that count said about one call. The first of each kind, in the bundle's order, is the cause.
#[derive(Debug, Default)]
pub(super) struct Tally<'b> {
    deny: Option<&'b ActiveRule>,
    /// A RequireApproval that cannot be evaluated.
    unjudged_hold: Option<&'b ActiveRule>,
    holds: Vec<&'b ActiveRule>,
    allow: Option<Arc<RuleId>>,
    /// A policy's hold permits with approval; a guardrail's permits nothing by itself (law 6).
    held_by_policy: bool,
    lacks_scopes: Option<(&'b ActiveRule, Vec<String>)>,
}

/// What follows from a tally.
#[derive(Debug)]
pub(super) enum Conclusion<'b> {
    Deny {
        reason: DenyReason,
        rule: Option<&'b ActiveRule>,
        missing_scopes: Vec<String>,
    },
    Hold(Vec<&'b ActiveRule>),
    Allow(Arc<RuleId>),
}

impl<'b> Tally<'b> {
    /// A tally in which something that is no rule of the bundle allows the call.
    pub(super) fn allowed_by(rule: Option<&Arc<RuleId>>) -> Self {
        Self {
            allow: rule.cloned(),
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, rule: &'b ActiveRule, source: RuleSource, judged: &Judged) {
        match (rule.effect, judged) {
            (_, Judged::Not(_)) => {}
            // Law 3: a Deny that cannot be evaluated matches.
            (
                Effect::Deny,
                Judged::Matched | Judged::CannotBeEvaluated(_) | Judged::LacksScopes(_),
            ) => {
                self.deny = self.deny.or(Some(rule));
            }
            (Effect::RequireApproval, Judged::Matched | Judged::LacksScopes(_)) => {
                self.holds.push(rule);
                self.held_by_policy |= source != RuleSource::Guardrail;
            }
            // Law 3: what nobody could judge is not put before an approver.
            (Effect::RequireApproval, Judged::CannotBeEvaluated(_)) => {
                self.unjudged_hold = self.unjudged_hold.or(Some(rule));
            }
            // The compiler refuses an Allow in a guardrail; were there one, it would still permit nothing (law 6).
            (Effect::Allow, _) if source == RuleSource::Guardrail => {}
            (Effect::Allow, Judged::Matched) => {
                self.allow.get_or_insert_with(|| Arc::clone(&rule.id));
            }
            (Effect::Allow, Judged::LacksScopes(missing)) => {
                self.lacks_scopes
                    .get_or_insert_with(|| (rule, missing.clone()));
            }
            (Effect::Allow, Judged::CannotBeEvaluated(_)) => {}
        }
    }

    /// The table.
    pub(super) fn conclude(self) -> Conclusion<'b> {
        if let Some(rule) = self.deny {
            return Conclusion::denied(DenyReason::DeniedByRule, Some(rule));
        }
        if let Some(rule) = self.unjudged_hold {
            return Conclusion::denied(DenyReason::ConditionError, Some(rule));
        }
        let held = self.held_by_policy && !self.holds.is_empty();
        match (self.allow, self.lacks_scopes) {
            (Some(_), _) if !self.holds.is_empty() => Conclusion::Hold(self.holds),
            (Some(rule), _) => Conclusion::Allow(rule),
            (None, _) if held => Conclusion::Hold(self.holds),
            (None, Some((rule, missing_scopes))) => Conclusion::Deny {
                reason: DenyReason::InsufficientScope,
                rule: Some(rule),
                missing_scopes,
            },
            (None, None) => Conclusion::denied(DenyReason::NoRule, None),
        }
    }

    /// For what is open to everyone: only a Deny counts (law 1). There is nothing to wait for.
    pub(super) fn conclude_open(self, open: &Arc<RuleId>) -> Conclusion<'b> {
        match self.deny {
            Some(rule) => Conclusion::denied(DenyReason::DeniedByRule, Some(rule)),
            None => Conclusion::Allow(Arc::clone(open)),
        }
    }
}

impl<'b> Conclusion<'b> {
    fn denied(reason: DenyReason, rule: Option<&'b ActiveRule>) -> Self {
        Self::Deny {
            reason,
            rule,
            missing_scopes: Vec::new(),
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Deny { .. } => Verdict::Deny,
            Self::Hold(_) => Verdict::Hold,
            Self::Allow(_) => Verdict::Allow,
        }
    }

    pub(super) fn reason(&self) -> Option<DenyReason> {
        match self {
            Self::Deny { reason, .. } => Some(*reason),
            Self::Hold(_) | Self::Allow(_) => None,
        }
    }

    pub(super) fn rule(&self) -> Option<Arc<RuleId>> {
        match self {
            Self::Deny { rule, .. } => rule.map(|rule| Arc::clone(&rule.id)),
            Self::Hold(rules) => rules.first().map(|rule| Arc::clone(&rule.id)),
            Self::Allow(rule) => Some(Arc::clone(rule)),
        }
    }
}
