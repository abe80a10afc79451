//! The status of a `McpGuardrail`.

use sallyport_crds::conditions::{ConditionType, Reason};
use sallyport_crds::kinds::{Attachments, McpGuardrailStatus};
use sallyport_policy::time::UnixMillis;

use super::policy::{Target, current, programmed};
use super::{ATTENTION, Conditions, count};

/// What is known of a guardrail.
#[derive(Clone, Debug)]
pub struct Facts<'b> {
    pub before: &'b McpGuardrailStatus,
    pub generation: Option<i64>,
    pub now: UnixMillis,
    pub unreadable: Option<String>,
    pub mistakes: Vec<String>,
    pub gateways: Vec<Target>,
}

#[must_use]
pub fn status(facts: &Facts<'_>) -> McpGuardrailStatus {
    let mut conditions = Conditions::new(&facts.before.conditions, facts.generation, facts.now);
    let (reason, message) = if let Some(what) = &facts.unreadable {
        let what = format!("{what}; every gateway denies everything");
        (Reason::Invalid, what)
    } else if facts.mistakes.is_empty() {
        (Reason::Accepted, String::new())
    } else {
        (Reason::RuleUnreadable, facts.mistakes.join("; "))
    };
    let good = reason == Reason::Accepted;
    conditions.is(ConditionType::Accepted, good, reason, &message);
    programmed(&facts.gateways, &mut conditions);
    let attention = facts
        .gateways
        .iter()
        .filter(|gateway| gateway.below || !gateway.programmed)
        .map(|gateway| gateway.name.clone());
    McpGuardrailStatus {
        observed_generation: facts.generation,
        conditions: conditions.finish(good),
        gateways: Attachments {
            total: count(facts.gateways.len()),
            current: count(current(&facts.gateways)),
            attention: attention.take(ATTENTION).collect(),
        },
    }
}
