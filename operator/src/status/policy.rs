//! The status of a `McpAccessPolicy`.

use sallyport_crds::conditions::{ConditionType, Reason};
use sallyport_crds::kinds::{Attachments, McpAccessPolicyStatus};
use sallyport_policy::compile::TestResult;
use sallyport_policy::source::access::ConditionStatus;
use sallyport_policy::time::UnixMillis;

use super::{ATTENTION, Conditions, count, some};

/// What is known of a policy.
#[derive(Clone, Debug)]
pub struct Facts<'b> {
    pub before: &'b McpAccessPolicyStatus,
    pub generation: Option<i64>,
    pub now: UnixMillis,
    /// It cannot be read at all.
    pub unreadable: Option<String>,
    /// What of it no longer compiles.
    pub mistakes: Vec<String>,
    /// Gateways that it names and that do not exist.
    pub missing: Vec<String>,
    pub gateways: Vec<Target>,
    pub tests: Vec<TestResult>,
}

/// A gateway under the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub name: String,
    /// Every pod of it enforces what it compiles to.
    pub programmed: bool,
    /// It is below a guardrail.
    pub below: bool,
}

#[must_use]
pub fn status(facts: &Facts<'_>) -> McpAccessPolicyStatus {
    let mut conditions = Conditions::new(&facts.before.conditions, facts.generation, facts.now);
    accepted(facts, &mut conditions);
    programmed(&facts.gateways, &mut conditions);
    tests_passed(&facts.tests, &mut conditions);
    let waiting = facts.unreadable.is_none() && facts.mistakes.is_empty();
    let lagging = facts.gateways.iter().filter(|gateway| !gateway.programmed);
    let attention = facts
        .missing
        .iter()
        .cloned()
        .chain(lagging.map(|gateway| gateway.name.clone()));
    McpAccessPolicyStatus {
        observed_generation: facts.generation,
        conditions: conditions.finish(waiting),
        gateways: Attachments {
            total: count(facts.gateways.len() + facts.missing.len()),
            current: count(current(&facts.gateways)),
            attention: attention.take(ATTENTION).collect(),
        },
    }
}

fn accepted(facts: &Facts<'_>, conditions: &mut Conditions<'_>) {
    let (reason, message) = if let Some(what) = &facts.unreadable {
        let what = format!("{what}; its gateways deny everything");
        (Reason::Invalid, what)
    } else if !facts.mistakes.is_empty() {
        let what = facts.mistakes.join("; ");
        (Reason::RuleUnreadable, what)
    } else if !facts.missing.is_empty() {
        let what = format!("no McpGateway {} in this namespace", some(&facts.missing));
        (Reason::TargetNotFound, what)
    } else {
        (Reason::Accepted, String::new())
    };
    let good = reason == Reason::Accepted;
    conditions.is(ConditionType::Accepted, good, reason, &message);
}

pub(super) fn current(gateways: &[Target]) -> usize {
    gateways.iter().filter(|gateway| gateway.programmed).count()
}

pub(super) fn programmed(gateways: &[Target], conditions: &mut Conditions<'_>) {
    let (current, total) = (current(gateways), gateways.len());
    let good = current == total;
    let reason = if good {
        Reason::Programmed
    } else {
        Reason::Pending
    };
    let message = format!("{current} of {total} gateways enforce it on every pod");
    conditions.is(ConditionType::Programmed, good, reason, &message);
}

fn tests_passed(tests: &[TestResult], conditions: &mut Conditions<'_>) {
    let kind = ConditionType::TestsPassed;
    let failed: Vec<_> = tests.iter().filter(|test| !test.passed()).collect();
    let Some(first) = failed.first() else {
        if tests.is_empty() {
            conditions.set(kind, ConditionStatus::Unknown, Reason::NoTests, "");
        } else {
            let all = tests.len();
            let what = format!("{all} of {all} tests pass");
            conditions.is(kind, true, Reason::TestsPassed, &what);
        }
        return;
    };
    let what = format!(
        "{} of {} tests fail, such as `{}`; run `sallyport policy test`",
        failed.len(),
        tests.len(),
        first.name
    );
    conditions.is(kind, false, Reason::TestFailed, &what);
}
