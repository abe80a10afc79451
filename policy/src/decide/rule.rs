//! Rules and the objects they stand in, made ready: one rule judged on one call.

use std::sync::Arc;

use super::explanation::Why;
use super::operation::Facts;
use super::verdict::HoldRule;
use crate::bundle::{ActiveSubject, ActiveValidity, IssuerContext};
use crate::condition::glob::Glob;
use crate::condition::{Predicate, Reading, Truth};
use crate::json::Node;
use crate::name::{RuleId, RuleSource};
use crate::principal::Principal;
use crate::source::Effect;

/// A guardrail or policy: about whom, through which agents, when.
#[derive(Debug)]
pub(crate) struct ActiveObject {
    pub(crate) source: RuleSource,
    /// Any item; none: every authenticated principal.
    pub(crate) subjects: Vec<ActiveSubject>,
    pub(crate) clients: Vec<Glob>,
    pub(crate) validity: ActiveValidity,
    /// Its verdicts are only recorded (law 6).
    pub(crate) observed: bool,
    /// Applies to everybody, always (law 7).
    pub(crate) broken: bool,
}

impl ActiveObject {
    /// Why it does not apply; none if it does.
    pub(super) fn excludes(&self, facts: &Facts<'_>, issuers: &IssuerContext) -> Option<Why> {
        if self.broken {
            return None;
        }
        if !self.is_about(facts.principal, issuers) {
            return Some(Why::Subject);
        }
        if !self.admits_client(facts.principal) {
            return Some(Why::Client);
        }
        (!self.validity.holds(facts.now)).then_some(Why::Validity)
    }

    pub(crate) fn is_about(&self, principal: &Principal, issuers: &IssuerContext) -> bool {
        self.subjects.is_empty()
            || self
                .subjects
                .iter()
                .any(|item| item.fits(principal, issuers))
    }

    /// What the token calls the client and, where it names one, the actor: both must be listed (law 10).
    pub(super) fn admits_client(&self, principal: &Principal) -> bool {
        let listed = |name: &str| self.clients.iter().any(|glob| glob.matches(name));
        let client = principal
            .client
            .as_ref()
            .is_some_and(|client| listed(client.as_str()));
        let actor = principal.actor.as_deref().is_none_or(listed);
        self.clients.is_empty() || (client && actor)
    }
}

/// One rule made ready.
#[derive(Debug)]
pub(crate) struct ActiveRule {
    pub(crate) id: Arc<RuleId>,
    /// Index of its object in the bundle.
    pub(crate) object: usize,
    pub(crate) effect: Effect,
    pub(crate) when: Vec<Predicate>,
    pub(crate) scopes: Vec<String>,
    pub(crate) message: Option<String>,
    /// Of RequireApproval; none where the stored approval section does not compile.
    pub(crate) hold: Option<Arc<HoldRule>>,
    pub(crate) broken: bool,
}

/// What one rule says about one call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Judged {
    Matched,
    Not(Why),
    CannotBeEvaluated(Why),
    /// An Allow that matches but for scopes the token lacks.
    LacksScopes(Vec<String>),
}

/// What one rule could say about a list entry, whatever the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prospect {
    Never,
    Maybe,
    Surely,
    /// For no arguments can it be judged.
    CannotBeEvaluated,
}

impl ActiveRule {
    fn reading(&self) -> Reading {
        match self.effect {
            Effect::Allow => Reading::Granting,
            Effect::Deny | Effect::RequireApproval => Reading::Restricting,
        }
    }

    /// A condition that is surely false decides, even beside one that cannot be evaluated.
    pub(super) fn judge(&self, arguments: Option<Node<'_>>, facts: &Facts<'_>) -> Judged {
        if self.broken {
            return self.judge_broken();
        }
        let mut unjudged = None;
        for part in &self.when {
            match part.judge(arguments, facts, self.reading()) {
                Truth::True => {}
                Truth::False => return Judged::Not(Why::Condition(Arc::clone(part.text()))),
                Truth::CannotBeEvaluated => unjudged = unjudged.or(Some(part)),
            }
        }
        if let Some(part) = unjudged {
            return Judged::CannotBeEvaluated(Why::Condition(Arc::clone(part.text())));
        }
        let missing = self.missing_scopes(facts.principal);
        if missing.is_empty() {
            Judged::Matched
        } else {
            Judged::LacksScopes(missing)
        }
    }

    /// Law 7: what restricts matches everything, what grants matches nothing.
    fn judge_broken(&self) -> Judged {
        match (self.effect, &self.hold) {
            (Effect::Allow, _) => Judged::Not(Why::Broken),
            (Effect::RequireApproval, Some(_)) => Judged::Matched,
            (Effect::RequireApproval, None) | (Effect::Deny, _) => {
                Judged::CannotBeEvaluated(Why::Broken)
            }
        }
    }

    fn missing_scopes(&self, principal: &Principal) -> Vec<String> {
        let lacking = self
            .scopes
            .iter()
            .filter(|scope| !principal.scopes.contains(*scope));
        lacking.cloned().collect()
    }

    /// Judges all conditions but those on arguments, which the caller has not chosen yet. Scopes may still be
    /// stepped up to, so they hide nothing.
    pub(super) fn prospect(&self, facts: &Facts<'_>) -> Prospect {
        self.prospect_where(facts, |part| !part.is_about_arguments())
    }

    /// The same before there is any call: only what the tool's definition says is known.
    pub(super) fn prospect_ahead(&self, facts: &Facts<'_>) -> Prospect {
        self.prospect_where(facts, Predicate::is_about_the_tool)
    }

    fn prospect_where(&self, facts: &Facts<'_>, known: impl Fn(&Predicate) -> bool) -> Prospect {
        if self.broken {
            return match self.judge_broken() {
                Judged::Matched => Prospect::Surely,
                Judged::CannotBeEvaluated(_) => Prospect::CannotBeEvaluated,
                Judged::Not(_) | Judged::LacksScopes(_) => Prospect::Never,
            };
        }
        let open = self.when.iter().any(|part| !known(part));
        let known = self
            .when
            .iter()
            .filter(|part| known(part))
            .map(|part| part.judge(None, facts, self.reading()))
            .fold(Truth::True, Truth::and);
        match (known, open) {
            (Truth::False, _) => Prospect::Never,
            (Truth::True, false) => Prospect::Surely,
            (Truth::True, true) => Prospect::Maybe,
            (Truth::CannotBeEvaluated, false) => Prospect::CannotBeEvaluated,
            // Never a clean match: for some arguments unjudged, for others false.
            (Truth::CannotBeEvaluated, true) => Prospect::Never,
        }
    }
}
