//! What two versions of a policy decide differently, over given calls.

use super::call::{OwnedCall, TestFacts};
use super::probe::Probe;
use crate::bundle::Bundle;
use crate::decide::{Budgets, Decision, DenyReason, Verdict};
use crate::name::{Issuer, RuleId};
use crate::time::UnixMillis;

/// One verdict, as a difference tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub verdict: Verdict,
    pub rule: Option<RuleId>,
    pub reason: Option<DenyReason>,
}

/// A call that two bundles decide differently.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub probe: Probe,
    pub before: Found,
    pub after: Found,
}

/// Decides each probe under both bundles. `now` is the time of all of them. Budgets are not charged. Probes that
/// cannot be written as a request are skipped: neither bundle would see them.
#[must_use]
pub fn diff(before: &Bundle, after: &Bundle, probes: &[Probe], now: UnixMillis) -> Vec<Difference> {
    let mut differences = Vec::new();
    for probe in probes {
        let Ok(Some(call)) = OwnedCall::read(&probe.call) else {
            continue;
        };
        let (old, new) = (
            decide(before, probe, &call, now),
            decide(after, probe, &call, now),
        );
        if old.verdict != new.verdict {
            differences.push(Difference {
                probe: probe.clone(),
                before: old,
                after: new,
            });
        }
    }
    differences
}

fn decide(bundle: &Bundle, probe: &Probe, call: &OwnedCall, now: UnixMillis) -> Found {
    let issuers = bundle.issuers();
    let issuer = issuers.first.clone().or_else(|| issuers.standalone.clone());
    let issuer = issuer.unwrap_or_else(|| Issuer::new(""));
    let facts = TestFacts::read(&probe.caller, &issuer, &probe.scopes);
    let decision = facts.with(call, now, |operation, facts| {
        bundle.decide(operation, facts, &mut Budgets::new())
    });
    Found {
        verdict: decision.verdict(),
        rule: decision.rule().cloned(),
        reason: match decision {
            Decision::Deny(denial, _) => Some(denial.reason),
            Decision::Allow(..) | Decision::Hold(..) => None,
        },
    }
}
