//! What all clients saw, by revision.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::marks;

/// Samples kept of what should not have been.
const SAMPLES: usize = 40;

/// What came of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    /// As policy says.
    Refused,
    /// Held, and decided or timed out as the call asked for.
    Held,
    /// An error that the fault explains.
    Told,
    /// The guard was away.
    Lost,
    /// The client went away itself.
    Left,
    Unexpected(String),
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Row {
    calls: u64,
    answered: u64,
    refused: u64,
    held: u64,
    told: u64,
    lost: u64,
    left: u64,
    unexpected: u64,
    /// Microseconds, of plain calls that were answered.
    p50: u64,
    p99: u64,
    #[serde(skip)]
    took: Vec<u32>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    rows: BTreeMap<&'static str, Row>,
    /// How often each kind of step was taken.
    steps: BTreeMap<String, u64>,
    /// Marks of one client in the hands of another.
    wrong: Vec<String>,
    wrong_count: u64,
    unexpected: Vec<String>,
    unexpected_count: u64,
    /// Sessions that a new guard rightly did not know.
    stale: u64,
    /// Strangers' sessions that were tried, all in vain.
    strangers: u64,
    /// Tokens that ended meanwhile.
    expired: u64,
    /// Answers under either policy.
    swapped: [u64; 2],
    /// Marks of calls that were sent and never answered, and what was heard instead.
    lost_nonces: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    report: Mutex<Report>,
    sessions: Mutex<HashMap<String, Vec<Known>>>,
}

/// A session, and the marks of whose it is.
#[derive(Debug)]
struct Known {
    session: String,
    owner: String,
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at everything that a client hears.
    pub(crate) fn look(&self, text: &str, owner: &str) {
        if let Some(mark) = marks::foreign(text, owner) {
            let mut report = self.lock();
            report.wrong_count += 1;
            if report.wrong.len() < SAMPLES {
                report.wrong.push(format!("`{owner}` heard `{mark}`"));
            }
        }
    }

    pub(crate) fn count(
        &self,
        revision: &'static str,
        step: &str,
        outcome: Outcome,
        took: Option<u32>,
    ) {
        let mut report = self.lock();
        *report.steps.entry(step.to_owned()).or_default() += 1;
        let row = report.rows.entry(revision).or_default();
        row.calls += 1;
        match &outcome {
            Outcome::Answered => row.answered += 1,
            Outcome::Refused => row.refused += 1,
            Outcome::Held => row.held += 1,
            Outcome::Told => row.told += 1,
            Outcome::Lost => row.lost += 1,
            Outcome::Left => row.left += 1,
            Outcome::Unexpected(_) => row.unexpected += 1,
        }
        row.took
            .extend(took.filter(|_| outcome == Outcome::Answered));
        if let Outcome::Unexpected(what) = outcome {
            report.unexpected_count += 1;
            if report.unexpected.len() < SAMPLES {
                report
                    .unexpected
                    .push(format!("{revision}, {step}: {what}"));
            }
        }
    }

    pub(crate) fn with(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.lock());
    }

    /// Remembers a session for strangers to try.
    pub(crate) fn opened(&self, target: &str, session: &str, owner: &str) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sessions.entry(target.to_owned()).or_default();
        if known.len() >= 256 {
            known.remove(0);
        }
        known.push(Known {
            session: session.to_owned(),
            owner: owner.to_owned(),
        });
    }

    /// Somebody else's session at this guard, by chance: never one that `owner` ever had, which may well live on.
    pub(crate) fn others_session(&self, target: &str, owner: &str, chance: u64) -> Option<String> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sessions.get(target)?;
        let at = usize::try_from(chance).ok()?.checked_rem(known.len())?;
        let found = known.get(at).filter(|known| known.owner != owner)?;
        Some(found.session.clone())
    }

    /// One line of how it goes.
    pub(crate) fn line(&self) -> String {
        let report = self.lock();
        let calls: u64 = report.rows.values().map(|row| row.calls).sum();
        format!(
            "{calls} calls, {} in wrong hands, {} unexpected",
            report.wrong_count, report.unexpected_count
        )
    }

    pub(crate) fn report(&self) -> Report {
        let mut report = std::mem::take(&mut *self.lock());
        for row in report.rows.values_mut() {
            row.took.sort_unstable();
            let part = |percent: usize| {
                let at = row.took.len().saturating_sub(1) * percent / 100;
                row.took.get(at).copied().map_or(0, u64::from)
            };
            (row.p50, row.p99) = (part(50), part(99));
        }
        report
    }
}

impl Report {
    pub(crate) fn stale(&mut self) {
        self.stale += 1;
    }

    pub(crate) fn stranger(&mut self) {
        self.strangers += 1;
    }

    pub(crate) fn expired(&mut self) {
        self.expired += 1;
    }

    pub(crate) fn swapped(&mut self, left: bool) {
        let [a, b] = &mut self.swapped;
        *(if left { a } else { b }) += 1;
    }

    pub(crate) fn lost(&mut self, nonce: &str, why: &str) {
        self.lost_nonces.insert(nonce.to_owned(), why.to_owned());
    }
}
