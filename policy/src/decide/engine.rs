//! The evaluation itself: refusals that stand, twins, rules, precedence, budgets; in this order, once a call.

use std::sync::Arc;
use std::time::Duration;

use super::budget::Budgets;
use super::explanation::{Explanation, Looked, Outcome, Shadow, Why};
use super::index::{Posting, RuleIndex, candidates};
use super::operation::{Facts, Operation};
use super::precedence::{Conclusion, Tally};
use super::rule::{ActiveObject, ActiveRule, Judged};
use super::twins;
use super::verdict::{ApprovalNeeded, Decision, Denial, DenyReason, GrantUse, Permit};
use crate::bundle::Bundle;
use crate::condition::uri;
use crate::principal::Principal;
use crate::time::UnixMillis;

/// What the rules said: the conclusion that counts, and what was looked at.
struct Weighed<'b> {
    conclusion: Conclusion<'b>,
    explanation: Explanation,
}

impl Bundle {
    /// Decides one call. The only place where a [`Permit`] comes from without a grant.
    pub fn decide(
        &self,
        operation: &Operation<'_>,
        facts: &Facts<'_>,
        budgets: &mut Budgets,
    ) -> Decision {
        let weighed = match self.weigh(operation, facts) {
            Ok(weighed) => weighed,
            Err(refused) => return *refused,
        };
        let Weighed {
            conclusion,
            explanation,
        } = weighed;
        // Held calls are charged when they come, so that approval is not followed by a refusal.
        if !matches!(conclusion, Conclusion::Deny { .. })
            && let Err(wait) = self.charge(operation, facts, budgets)
        {
            let mut denial = Denial::new(DenyReason::BudgetExhausted);
            denial.retry_after = Some(wait);
            return Decision::Deny(denial, explanation);
        }
        self.finish(conclusion, explanation)
    }

    /// Decides a held call again, after its grant was consumed: allowed, or held by exactly the rules that were
    /// approved, it runs (law 19). Budgets were charged when the call came.
    pub fn decide_granted(
        &self,
        operation: &Operation<'_>,
        facts: &Facts<'_>,
        grant: &GrantUse,
    ) -> Decision {
        let weighed = match self.weigh(operation, facts) {
            Ok(weighed) => weighed,
            Err(refused) => return *refused,
        };
        match self.finish(weighed.conclusion, weighed.explanation) {
            Decision::Hold(needed, explanation) => self.satisfied(&needed, grant, explanation),
            Decision::Allow(permit, explanation) => {
                let rule = permit.into_rule();
                let permit = Permit::new(rule, self.revision(), Some(grant.request().clone()));
                Decision::Allow(permit, explanation)
            }
            denied @ Decision::Deny(..) => denied,
        }
    }

    fn satisfied(
        &self,
        needed: &ApprovalNeeded,
        grant: &GrantUse,
        explanation: Explanation,
    ) -> Decision {
        match needed.rules.first() {
            Some(first) if needed.digests() == grant.rules() => {
                let permit = Permit::new(
                    Arc::clone(&first.id),
                    self.revision(),
                    Some(grant.request().clone()),
                );
                Decision::Allow(permit, explanation)
            }
            first => {
                let mut denial = Denial::new(DenyReason::GrantMismatch);
                denial.rule = first.map(|rule| Arc::clone(&rule.id));
                Decision::Deny(denial, explanation)
            }
        }
    }

    fn charge(
        &self,
        operation: &Operation<'_>,
        facts: &Facts<'_>,
        budgets: &mut Budgets,
    ) -> Result<(), Duration> {
        let Operation::Tool { name, .. } = operation else {
            return Ok(());
        };
        let counting = self.budgets.iter().filter(|budget| budget.counts(name));
        budgets.charge(counting, facts.principal, facts.now)
    }

    fn finish(&self, conclusion: Conclusion<'_>, explanation: Explanation) -> Decision {
        match conclusion {
            Conclusion::Allow(rule) => {
                Decision::Allow(Permit::new(rule, self.revision(), None), explanation)
            }
            Conclusion::Hold(rules) => self.hold(&rules, explanation),
            Conclusion::Deny {
                reason,
                rule,
                missing_scopes,
            } => {
                let denial = Denial {
                    reason,
                    rule: rule.map(|rule| Arc::clone(&rule.id)),
                    message: rule.and_then(|rule| rule.message.clone()),
                    missing_scopes,
                    retry_after: None,
                };
                Decision::Deny(denial, explanation)
            }
        }
    }

    /// A hold whose approval section is missing cannot be asked for; activation sees to it that none is.
    fn hold(&self, rules: &[&ActiveRule], explanation: Explanation) -> Decision {
        let terms: Option<Vec<_>> = rules.iter().map(|rule| rule.hold.clone()).collect();
        match terms {
            Some(rules) => Decision::Hold(
                ApprovalNeeded {
                    rules,
                    revision: self.revision(),
                },
                explanation,
            ),
            None => Decision::Deny(Denial::new(DenyReason::ConditionError), explanation),
        }
    }

    /// What refuses every call, whatever it asks for.
    #[must_use]
    pub fn standing_refusal(&self, now: UnixMillis) -> Option<DenyReason> {
        let expired = self.expires.is_some_and(|end| end <= now);
        self.refusal
            .or(expired.then_some(DenyReason::PolicyExpired))
    }

    fn weigh<'b>(
        &'b self,
        operation: &Operation<'_>,
        facts: &Facts<'_>,
    ) -> Result<Weighed<'b>, Box<Decision>> {
        let refuse = |reason| {
            let explanation = Explanation {
                revision: Some(self.revision()),
                ..Explanation::default()
            };
            Box::new(Decision::Deny(Denial::new(reason), explanation))
        };
        if let Some(reason) = self.standing_refusal(facts.now) {
            return Err(refuse(reason));
        }
        let postings = self.postings(operation).map_err(refuse)?;
        self.check_twins(operation, facts, &postings)
            .map_err(refuse)?;
        let weighed = self.weigh_rules(operation, facts, &postings);
        Ok(self.unless_unreadable(operation, weighed))
    }

    /// A tool whose answers could not be masked does not run for nothing (law 7); no Observe lifts that (law 6).
    fn unless_unreadable<'b>(
        &self,
        operation: &Operation<'_>,
        weighed: Weighed<'b>,
    ) -> Weighed<'b> {
        let Operation::Tool { name, .. } = operation else {
            return weighed;
        };
        let denied = matches!(weighed.conclusion, Conclusion::Deny { .. });
        if denied || !self.unreadable.iter().any(|glob| glob.matches(name)) {
            return weighed;
        }
        Weighed {
            conclusion: Conclusion::Deny {
                reason: DenyReason::MaskingUnreadable,
                rule: None,
                missing_scopes: Vec::new(),
            },
            ..weighed
        }
    }

    /// The postings of every target that names what the call asks for. `methods` of an Allow or hold say nothing
    /// about tools, prompts and resources, which have targets of their own, nor about what is open; a Deny on the
    /// method says all.
    pub(super) fn postings<'b>(
        &'b self,
        operation: &Operation<'_>,
    ) -> Result<Vec<&'b Posting>, DenyReason> {
        let index = &self.index;
        let mut found = vec![&index.always];
        match operation {
            Operation::Tool { name, .. } => {
                index.tools.find(name, &mut found);
                index.denied_methods.find("tools/call", &mut found);
            }
            Operation::Prompt { name, .. } => {
                index.prompts.find(name, &mut found);
                index.denied_methods.find("prompts/get", &mut found);
            }
            Operation::Resource { uri } => {
                let plain = uri::plain(uri).ok_or(DenyReason::AmbiguousUri)?;
                index.resources.find(&plain, &mut found);
                index.denied_methods.find("resources/read", &mut found);
            }
            Operation::Method { method } => index.methods.find(method, &mut found),
            Operation::Open { method } => index.denied_methods.find(method, &mut found),
        }
        Ok(found)
    }

    fn check_twins(
        &self,
        operation: &Operation<'_>,
        facts: &Facts<'_>,
        postings: &[&Posting],
    ) -> Result<(), DenyReason> {
        let Some(arguments) = operation.arguments() else {
            return Ok(());
        };
        let named = postings
            .iter()
            .flat_map(|posting| &posting.names)
            .map(|name| &**name);
        let declared = match operation {
            Operation::Tool { .. } => facts
                .tool
                .map(|tool| tool.input_properties)
                .unwrap_or_default(),
            Operation::Prompt { .. }
            | Operation::Resource { .. }
            | Operation::Method { .. }
            | Operation::Open { .. } => &[],
        };
        match twins::find(arguments, named.chain(declared.iter().map(String::as_str))) {
            Some(_) => Err(DenyReason::AmbiguousKey),
            None => Ok(()),
        }
    }

    /// The rules that may be about this call, each with its object, in the bundle's order.
    pub(super) fn about<'b>(
        &'b self,
        postings: &[&Posting],
        principal: &Principal,
    ) -> impl Iterator<Item = (&'b ActiveRule, &'b ActiveObject)> {
        let keys = self.index.keys.of_principal(principal);
        let found: Vec<RuleIndex> = candidates(postings, &keys);
        found.into_iter().filter_map(|index| {
            let rule = self.rules.get(usize::try_from(index).ok()?)?;
            Some((rule, self.objects.get(rule.object)?))
        })
    }

    fn weigh_rules<'b>(
        &'b self,
        operation: &Operation<'_>,
        facts: &Facts<'_>,
        postings: &[&Posting],
    ) -> Weighed<'b> {
        let mut enforced = Tally::allowed_by(self.observes.then_some(&self.observe_rule));
        let mut shadow = Tally::default();
        let mut looked = Vec::new();
        // Rules come in the order of their objects, so each object is judged once.
        let mut last: Option<(usize, Option<Why>)> = None;
        for (rule, object) in self.about(postings, facts.principal) {
            let excluded = match last {
                Some((index, excluded)) if index == rule.object => excluded,
                Some(_) | None => object.excludes(facts, &self.issuers),
            };
            last = Some((rule.object, excluded.clone()));
            let outcome = match excluded {
                Some(why) => Outcome::NotApplicable { why },
                None => {
                    let judged = rule.judge(operation.arguments(), facts);
                    if self.has_observed {
                        shadow.add(rule, object.source, &judged);
                    }
                    if !object.observed {
                        enforced.add(rule, object.source, &judged);
                    }
                    Outcome::from(judged)
                }
            };
            looked.push(Looked {
                rule: Arc::clone(&rule.id),
                outcome,
                observed: object.observed,
            });
        }
        let conclusion = self.conclude(enforced, operation);
        let shadow = self.has_observed.then(|| self.conclude(shadow, operation));
        self.with_shadow(conclusion, shadow, looked)
    }

    fn conclude<'b>(&'b self, tally: Tally<'b>, operation: &Operation<'_>) -> Conclusion<'b> {
        match operation {
            Operation::Open { .. } => tally.conclude_open(&self.open_rule),
            Operation::Tool { .. }
            | Operation::Prompt { .. }
            | Operation::Resource { .. }
            | Operation::Method { .. } => tally.conclude(),
        }
    }

    fn with_shadow<'b>(
        &self,
        enforced: Conclusion<'b>,
        shadow: Option<Conclusion<'b>>,
        looked: Vec<Looked>,
    ) -> Weighed<'b> {
        let mut explanation = Explanation {
            looked,
            shadow: None,
            revision: Some(self.revision()),
        };
        let conclusion = match (enforced, shadow) {
            // Both allow: the policy's own rule says more than that it is only observed.
            (Conclusion::Allow(_), Some(allow @ Conclusion::Allow(_))) if self.observes => allow,
            (enforced, Some(shadow)) if shadow.verdict() != enforced.verdict() => {
                explanation.shadow = Some(Shadow {
                    verdict: shadow.verdict(),
                    reason: shadow.reason(),
                    rule: shadow.rule(),
                });
                enforced
            }
            (enforced, Some(_) | None) => enforced,
        };
        Weighed {
            conclusion,
            explanation,
        }
    }

    /// Whether the server may ask this of the client: only a clean Allow; nobody waits for an approver here.
    #[must_use]
    pub fn server_request_allowed(&self, method: &str, facts: &Facts<'_>) -> bool {
        let operation = Operation::Method { method };
        self.weigh(&operation, facts)
            .is_ok_and(|weighed| matches!(weighed.conclusion, Conclusion::Allow(_)))
    }

    /// The next point after `now` at which time alone may change a verdict for this caller (law 28).
    #[must_use]
    pub fn next_edge(&self, principal: &Principal, now: UnixMillis) -> Option<UnixMillis> {
        let concerned = self
            .objects
            .iter()
            .filter(|object| object.is_about(principal, &self.issuers));
        let edges = concerned.filter_map(|object| object.validity.next_edge(now));
        let end = self.expires.filter(|end| *end > now);
        edges.chain(end).min()
    }
}

impl From<Judged> for Outcome {
    fn from(judged: Judged) -> Self {
        match judged {
            Judged::Matched => Self::Matched,
            Judged::Not(why) => Self::NotMatched { why },
            Judged::CannotBeEvaluated(why) => Self::CannotBeEvaluated { why },
            Judged::LacksScopes(missing) => Self::NotMatched {
                why: Why::Scopes(missing),
            },
        }
    }
}
