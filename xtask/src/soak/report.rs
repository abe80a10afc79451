//! What the clients of one load report, whether it is good, and the table of all.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::tally::Count;

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Report {
    rows: BTreeMap<String, Row>,
    steps: BTreeMap<String, u64>,
    wrong: Vec<String>,
    wrong_count: u64,
    unexpected: Vec<String>,
    unexpected_count: u64,
    stale: u64,
    strangers: u64,
    expired: u64,
    swapped: [u64; 2],
    /// By the call's mark: what its client heard instead of an answer.
    pub(super) lost_nonces: BTreeMap<String, String>,
}

/// One revision.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    calls: u64,
    answered: u64,
    refused: u64,
    held: u64,
    told: u64,
    lost: u64,
    left: u64,
    unexpected: u64,
    p50: u64,
    p99: u64,
}

impl Report {
    pub(super) fn calls(&self) -> u64 {
        self.rows.values().map(|row| row.calls).sum()
    }

    pub(super) fn stale(&self) -> u64 {
        self.stale
    }

    pub(super) fn saw_both_policies(&self) -> bool {
        self.swapped.iter().all(|seen| *seen > 0)
    }

    /// An error that tells what should not have been.
    pub(super) fn judged(&self) -> Result<Count> {
        let answered: u64 = self.rows.values().map(|row| row.answered).sum();
        if self.wrong_count > 0 {
            bail!(
                "{} answers in wrong hands: {}",
                self.wrong_count,
                self.wrong.join("; ")
            );
        }
        if self.unexpected_count > 0 {
            let samples = self.unexpected.join("\n      ");
            bail!(
                "{} unexpected of {} calls:\n      {samples}",
                self.unexpected_count,
                self.calls()
            );
        }
        if answered == 0 {
            bail!("nothing was answered");
        }
        Ok(Count::one(format!(
            "{} calls, {answered} answered",
            self.calls()
        )))
    }
}

/// All acts, a line a revision.
pub(super) fn table(acts: &[(&'static str, Report)]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<10} {:<11} {:>8} {:>8} {:>8} {:>6} {:>8} {:>6} {:>6} {:>10} {:>9} {:>9}",
        "act",
        "revision",
        "calls",
        "answered",
        "refused",
        "held",
        "errors",
        "lost",
        "left",
        "unexpected",
        "p50 ms",
        "p99 ms"
    )];
    for (act, report) in acts {
        for (revision, row) in &report.rows {
            lines.push(format!(
                "{act:<10} {revision:<11} {:>8} {:>8} {:>8} {:>6} {:>8} {:>6} {:>6} {:>10} {:>9.1} {:>9.1}",
                row.calls, row.answered, row.refused, row.held, row.told, row.lost, row.left, row.unexpected,
                millis(row.p50), millis(row.p99)
            ));
        }
    }
    lines.push("errors: of faults that the call asked for; lost: the guard was away; left: the client went away".into());
    lines
}

fn millis(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64() * 1000.0
}
