//! Attacks that one request cannot tell: time, crowds, approvers, a server that changes its mind. The corpus names them.

mod approvals;
mod changes;
mod floods;
mod http2;
mod keys;
mod loris;
mod sessions;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sallyport_attacks::{Case, Chapter};

use super::Outcome;
use super::bed::{Bed, Target};
use super::hostile::Hostile;
use super::record;

/// A script; several of one group share a guard.
type Script = fn(&Target) -> Result<()>;

/// Scripts that may run side by side on one guard, and do.
const TOGETHER: &[(&str, &[(&str, Script)])] =
    &[("crowds", loris::ALL), ("approvers", approvals::ALL)];

/// Scripts that need the server or the guard for themselves.
const ALONE: &[(&str, &[(&str, Script)])] = &[
    ("sessions", sessions::ALL),
    ("changes", changes::ALL),
    ("floods", floods::ALL),
];

/// Needs a guard of its own, which is ended under its clients.
const RESTARTED: &str = "restarted_guard";

/// Runs every script that the corpus names.
pub(super) fn run(bed: &Bed, chapters: &[Chapter], only: Option<&str>) -> Result<Outcome> {
    let cases: Vec<&Case> = chapters
        .iter()
        .flat_map(|chapter| &chapter.cases)
        .filter(|case| case.script.is_some() && only.is_none_or(|text| case.name.contains(text)))
        .collect();
    all_known(&cases)?;
    let mut found = groups(bed, &cases);
    for case in cases.iter().filter(|case| is(case, RESTARTED)) {
        let result = sessions::restarted_guard(bed);
        found.push(result.map_err(|error| format!("{}: {error:#}", case.name)));
    }
    let mut outcome = Outcome {
        passed: 0,
        failures: Vec::new(),
        note: String::new(),
    };
    for result in found {
        match result {
            Ok(()) => outcome.passed += 1,
            Err(failure) => outcome.failures.push(failure),
        }
    }
    Ok(outcome)
}

fn is(case: &Case, script: &str) -> bool {
    case.script.as_deref() == Some(script)
}

/// A case whose script nobody wrote would pass unseen.
fn all_known(cases: &[&Case]) -> Result<()> {
    let known = || {
        let groups = TOGETHER.iter().chain(ALONE);
        groups.flat_map(|(_, scripts)| scripts.iter().map(|(name, _)| *name))
    };
    for case in cases.iter().filter(|case| !is(case, RESTARTED)) {
        if !known().any(|name| is(case, name)) {
            bail!("`{}`: there is no script of that name", case.name);
        }
    }
    Ok(())
}

fn groups(bed: &Bed, cases: &[&Case]) -> Vec<Result<(), String>> {
    let together = TOGETHER.iter().map(|group| (group, true));
    let alone = ALONE.iter().map(|group| (group, false));
    std::thread::scope(|scope| {
        let jobs: Vec<_> = together
            .chain(alone)
            .map(|((name, scripts), together)| {
                let wanted: Vec<(&Case, Script)> = scripts
                    .iter()
                    .filter_map(|(script, work)| {
                        Some((*cases.iter().find(|case| is(case, script))?, *work))
                    })
                    .collect();
                scope.spawn(move || group(bed, name, &wanted, together))
            })
            .collect();
        let panicked = || vec![Err("a script panicked".to_owned())];
        jobs.into_iter()
            .flat_map(|job| job.join().unwrap_or_else(|_| panicked()))
            .collect()
    })
}

/// The scripts of one guard, side by side or one after the other; then its recording.
fn group(
    bed: &Bed,
    name: &'static str,
    scripts: &[(&Case, Script)],
    together: bool,
) -> Vec<Result<(), String>> {
    if scripts.is_empty() {
        return Vec::new();
    }
    let mut target = match bed.own(name) {
        Ok(target) => target,
        Err(error) => return vec![Err(format!("{name}: {error:#}"))],
    };
    let told = |case: &Case, result: Result<()>| {
        result.map_err(|error| format!("{}: {error:#}", case.name))
    };
    let mut found: Vec<_> = if together {
        let target = &target;
        std::thread::scope(|scope| {
            let jobs: Vec<_> = scripts
                .iter()
                .map(|(case, work)| (case, scope.spawn(move || work(target))))
                .collect();
            let joined = jobs.into_iter().map(|(case, job)| {
                told(
                    case,
                    job.join()
                        .unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked"))),
                )
            });
            joined.collect()
        })
    } else {
        scripts
            .iter()
            .map(|(case, work)| {
                if let Some(hostile) = &target.hostile {
                    hostile.behave();
                }
                told(case, work(&target))
            })
            .collect()
    };
    found.push(
        record::check(&mut target, &[])
            .map(drop)
            .map_err(|error| format!("the recording of {name}: {error:#}")),
    );
    found
}

fn own(target: &Target) -> Result<&Hostile> {
    target.hostile.as_ref().context("a server of our own")
}

/// Asks until there is something, within a limit.
fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = ask()? {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("{what} does not come");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Another caller is served as if nothing were.
fn others_are_served(target: &Target, user: &str) -> Result<()> {
    let client = target.client(user, "2025-06-18")?;
    let heard = super::wire::ask(
        target.address,
        &client.call(target.address, 1, "echo", r#"{"message":"served"}"#),
    )?;
    if heard.status != 200 || !heard.text().contains("said") {
        bail!("another caller is not served: {}", heard.text());
    }
    Ok(())
}
