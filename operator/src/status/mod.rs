//! What is told in the status of our kinds. Pure: facts and the status of before go in, the status of now comes out.
//!
//! A condition that did not change keeps its time, so that what is true already is written once.

pub mod gateway;
pub mod guardrail;
pub mod policy;
#[cfg(test)]
mod tests;

use sallyport_crds::conditions::{ConditionType, Reason};
use sallyport_policy::source::Timestamp;
use sallyport_policy::source::access::{ConditionStatus, StatusCondition};
use sallyport_policy::time::UnixMillis;

/// Most names in a list of what needs attention.
pub const ATTENTION: usize = 16;
/// The longest message, in characters; a condition takes 32768 bytes.
const MESSAGE: usize = 2048;

/// Conditions while they are put together.
#[derive(Debug)]
pub(crate) struct Conditions<'b> {
    before: &'b [StatusCondition],
    generation: Option<i64>,
    now: UnixMillis,
    all: Vec<StatusCondition>,
}

impl<'b> Conditions<'b> {
    pub(crate) fn new(
        before: &'b [StatusCondition],
        generation: Option<i64>,
        now: UnixMillis,
    ) -> Self {
        Self {
            before,
            generation,
            now,
            all: Vec::new(),
        }
    }

    pub(crate) fn set(
        &mut self,
        kind: ConditionType,
        status: ConditionStatus,
        reason: Reason,
        message: impl AsRef<str>,
    ) {
        let before = self.before.iter().find(|one| one.kind == kind.as_str());
        let since = before
            .filter(|before| before.status == status)
            .map_or_else(|| seconds(self.now), |before| before.last_transition_time);
        self.all.push(StatusCondition {
            kind: kind.to_string(),
            status,
            observed_generation: self.generation,
            last_transition_time: since,
            reason: reason.to_string(),
            message: message.as_ref().chars().take(MESSAGE).collect(),
        });
    }

    /// True or false.
    pub(crate) fn is(&mut self, kind: ConditionType, holds: bool, reason: Reason, why: &str) {
        let status = if holds {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        };
        self.set(kind, status, reason, why);
    }

    /// The first of those so far that is false.
    pub(crate) fn first_false(&self) -> Option<&StatusCondition> {
        self.all
            .iter()
            .find(|one| one.status == ConditionStatus::False)
    }

    /// `Ready`, and kstatus' words where they are true: `Stalled` where only a person can help, `Reconciling` where
    /// waiting does.
    pub(crate) fn finish(mut self, waiting: bool) -> Vec<StatusCondition> {
        let wrong = self.first_false().cloned();
        match wrong {
            None => self.is(ConditionType::Ready, true, Reason::Ready, ""),
            Some(wrong) => {
                let why = format!("{}: {}", wrong.kind, wrong.message);
                self.is(ConditionType::Ready, false, Reason::NotReady, &why);
                let word = if waiting {
                    ConditionType::Reconciling
                } else {
                    ConditionType::Stalled
                };
                let reason = if waiting {
                    Reason::Pending
                } else {
                    Reason::NotReady
                };
                self.is(word, true, reason, &why);
            }
        }
        self.all
    }
}

/// Whole seconds, as Kubernetes writes times: a finer one would come back different and look like a change.
fn seconds(now: UnixMillis) -> Timestamp {
    Timestamp::new(UnixMillis(now.seconds().saturating_mul(1000)))
}

/// Numbers of objects are counted in 32 bits.
pub(crate) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A few names, for a message.
pub(crate) fn some(names: &[String]) -> String {
    const SOME: usize = 5;
    let shown = names
        .iter()
        .take(SOME)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(SOME) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
