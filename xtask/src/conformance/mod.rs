//! The official conformance suite as a judge: every check must come out through the guard as it does straight at the
//! server, in four runs for each set of requirements, and the same for client scenarios with the guard in between.

mod bed;
mod clients;
mod compare;
mod suite;

use std::fmt;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::tally::{Count, Tally};
use bed::Bed;
use compare::{Pair, equal};
use suite::Checks;

/// The sets that the suite has, each named by the revision that it is about.
const REQUIREMENTS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// A way through the guard; each is a gateway of `xtask/conformance/policy.yaml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Run {
    /// Callers without a token.
    Anonymous,
    /// A forwarder adds a token.
    Token,
    /// Masking looks through everything and finds nothing.
    Masking,
    /// Lists are decided entry by entry, and all are kept.
    Filtering,
}

impl Run {
    const ALL: [Self; 4] = [Self::Anonymous, Self::Token, Self::Masking, Self::Filtering];
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "anonymous",
            Self::Token => "token",
            Self::Masking => "masking",
            Self::Filtering => "filtering",
        })
    }
}

/// What is to be run; nothing chosen is everything.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    pub(crate) requirements: Option<String>,
    pub(crate) run: Option<Run>,
}

impl Choice {
    fn requirements(&self) -> impl Iterator<Item = &'static str> + '_ {
        let wanted = |set: &&str| self.requirements.as_deref().is_none_or(|text| text == *set);
        REQUIREMENTS.into_iter().filter(wanted)
    }

    fn runs(&self) -> Vec<Run> {
        let wanted = |run: &Run| self.run.is_none_or(|chosen| chosen == *run);
        Run::ALL.into_iter().filter(wanted).collect()
    }
}

/// `cargo xtask conformance`. True: every check is equal.
pub(crate) fn run(choice: &Choice) -> bool {
    let mut tally = Tally::default();
    tally.judge("conformance", |tally| judge(tally, choice));
    tally.close()
}

/// Takes every step, and says how many checks were compared.
pub(crate) fn judge(tally: &mut Tally, choice: &Choice) -> Result<String> {
    let bed = Bed::set_up()?;
    let mut equals = Equals::default();
    for set in choice.requirements() {
        servers(tally, &bed, set, &choice.runs(), &mut equals);
        if choice.run.is_none() {
            clients::judge(tally, &bed, set, &mut equals);
        }
    }
    Ok(format!(
        "{} checks equal in {} runs",
        equals.checks, equals.runs
    ))
}

/// What was found equal so far.
#[derive(Debug, Default)]
struct Equals {
    checks: usize,
    runs: usize,
}

impl Equals {
    fn add(&mut self, checks: usize) -> Count {
        self.checks += checks;
        self.runs += 1;
        Count::one(format!("{checks} checks equal"))
    }
}

/// One set of requirements: once straight at the server, then all ways through the guard side by side, each before a
/// server of its own.
fn servers(tally: &mut Tally, bed: &Bed, set: &'static str, runs: &[Run], equals: &mut Equals) {
    let mut direct = None;
    tally.step(
        &format!("conformance {set}: straight at the server"),
        || {
            let checks = straight(bed, set)?;
            let note = format!("{} checks", checks.all.len());
            direct = Some(checks);
            Ok(Count::one(note))
        },
    );
    let Some(direct) = direct else { return };
    std::thread::scope(|scope| {
        let running: Vec<_> = runs
            .iter()
            .map(|run| (*run, scope.spawn(|| bed.through(*run, set))))
            .collect();
        for (run, thread) in running {
            tally.step(&format!("conformance {set}: {run}"), || {
                let first = thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("the run broke off"))?;
                let name = format!("{set}-{run}");
                let checks = again(&direct, first, &name, || bed.through(run, set))?;
                Ok(equals.add(checks))
            });
        }
    });
}

/// What the suite says of the server itself. It has windows of half a second, so that a machine with too much to do can
/// fail it: it has a second chance.
fn straight(bed: &Bed, set: &str) -> Result<Checks> {
    let first = bed.straight(set)?;
    if first.bad().is_empty() {
        return Ok(first);
    }
    let second = bed.straight(set)?;
    anyhow::ensure!(
        second.bad().is_empty(),
        "the server itself does not pass:\n    {}",
        second.bad().join("\n    ")
    );
    Ok(second)
}

/// Compares, and where something differs, runs it once more, alone: only what differs both times is a difference, and
/// both are written down.
fn again(
    direct: &Checks,
    first: Result<Checks>,
    name: &str,
    once_more: impl FnOnce() -> Result<Checks>,
) -> Result<usize> {
    let tried = first.and_then(|through| {
        equal(&Pair {
            direct,
            through: &through,
            name,
        })
    });
    let Err(earlier) = tried else { return tried };
    let through = once_more().with_context(|| format!("again, after: {earlier:#}"))?;
    let name = format!("{name}-again");
    equal(&Pair {
        direct,
        through: &through,
        name: &name,
    })
    .with_context(|| format!("twice; the first time: {earlier:#}"))
}
