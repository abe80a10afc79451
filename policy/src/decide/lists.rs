//! Which entries of a list a caller sees, by three-valued logic: what is not surely denied and possibly permitted
//! for some arguments stays visible.

use super::index::Posting;
use super::operation::{Facts, Listed, Operation};
use super::rule::{ActiveObject, ActiveRule, Prospect};
use crate::bundle::Bundle;
use crate::name::RuleSource;
use crate::source::Effect;

impl Bundle {
    /// Whether a list entry could be allowed or held for some arguments (three-valued: what is not surely denied
    /// and possibly permitted stays visible).
    #[must_use]
    pub fn visible(&self, listed: &Listed<'_>, facts: &Facts<'_>) -> bool {
        if self.standing_refusal(facts.now).is_some() {
            return false;
        }
        let Some((possible, certain)) = self.list_postings(listed) else {
            return false;
        };
        let mut applying = self.about(&certain, facts.principal);
        let denied = applying.any(|(rule, object)| {
            !object.observed
                && object.excludes(facts, &self.issuers).is_none()
                && surely_denies(rule.effect, rule.prospect(facts))
        });
        if denied {
            return false;
        }
        self.observes
            || self
                .about(&possible, facts.principal)
                .any(|(rule, object)| {
                    !object.observed
                        && object.excludes(facts, &self.issuers).is_none()
                        && may_permit(rule, object, facts)
                })
    }

    /// Targets that may name the entry, and those that surely do.
    fn list_postings<'b>(
        &'b self,
        listed: &Listed<'_>,
    ) -> Option<(Vec<&'b Posting>, Vec<&'b Posting>)> {
        let operation = match listed {
            Listed::Tool { name } => Operation::Tool {
                name,
                arguments: None,
            },
            Listed::Prompt { name } => Operation::Prompt {
                name,
                arguments: None,
            },
            Listed::Resource { uri } => Operation::Resource { uri },
            Listed::Method { method } => Operation::Method { method },
            Listed::Template { uri_template } => {
                let prefix = uri_template.split('{').next().unwrap_or_default();
                let (possible, mut certain) = self.index.resources.find_prefix(prefix);
                certain.push(&self.index.always);
                self.index
                    .denied_methods
                    .find("resources/read", &mut certain);
                return Some((possible, certain));
            }
        };
        let found = self.postings(&operation).ok()?;
        Some((found.clone(), found))
    }
}

/// Whether no arguments could get past a rule that applies.
pub(super) fn surely_denies(effect: Effect, prospect: Prospect) -> bool {
    match (effect, prospect) {
        (Effect::Deny, Prospect::Surely | Prospect::CannotBeEvaluated)
        | (Effect::RequireApproval, Prospect::CannotBeEvaluated) => true,
        (Effect::Deny, Prospect::Maybe | Prospect::Never)
        | (Effect::RequireApproval, Prospect::Surely | Prospect::Maybe | Prospect::Never)
        | (Effect::Allow, _) => false,
    }
}

fn may_permit(rule: &ActiveRule, object: &ActiveObject, facts: &Facts<'_>) -> bool {
    permits(rule, object) && matches!(rule.prospect(facts), Prospect::Surely | Prospect::Maybe)
}

/// Whether a match would let a call run, at once or with approval (law 6).
pub(super) fn permits(rule: &ActiveRule, object: &ActiveObject) -> bool {
    match rule.effect {
        Effect::Allow => true,
        Effect::RequireApproval => object.source != RuleSource::Guardrail,
        Effect::Deny => false,
    }
}
