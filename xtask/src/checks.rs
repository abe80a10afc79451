//! `cargo xtask test`: everything that must hold, cheapest first, one line a step.

mod directions;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::console::say;
use crate::tally::{Count, Tally};
use crate::workspace::cargo;
use crate::{attacks, cluster, conformance, differential, matrix, process, setup, soak};

/// A cold build of everything on two cores stays well below this.
const BUILD_LIMIT: Duration = Duration::from_secs(2400);
/// The advisory database is fetched from the network; where there is none, that is found out soon.
const ADVISORY_LIMIT: Duration = Duration::from_secs(60);

/// As many as take some seconds; `cargo xtask differential` reads a million.
const DIFFERENTIAL_DOCUMENTS: u64 = 50_000;
const DIFFERENTIAL_SEED: u64 = 1;

/// A part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Formatting.
    Fmt,
    /// Lints of the whole workspace, tests included.
    Clippy,
    /// Licences, sources and bans of dependencies, and known advisories.
    Deny,
    /// Which crate may depend on which.
    Directions,
    /// Unit, property and integration tests.
    Unit,
    /// What JSON readers of several languages read differently is refused.
    Differential,
    /// Official clients and real servers, through the guard.
    Clients,
    /// The corpus of attacks, on the running guard.
    Attacks,
    /// The official conformance suite, through the guard as without it.
    Conformance,
    /// A short soak.
    Soak,
    /// A real cluster: injection, push, and ways around the sidecar.
    Cluster,
}

/// Runs the given parts, or all. True: nothing failed.
pub(crate) fn test(only: &[Part], row: Option<&str>) -> Result<bool> {
    let began = Instant::now();
    let mut tally = Tally::default();
    let wanted = |part| only.is_empty() || only.contains(&part);
    if wanted(Part::Fmt) {
        tally.step("cargo fmt --check", || {
            quiet(cargo().args(["fmt", "--all", "--", "--check", "--files-with-diff"]))
        });
    }
    if wanted(Part::Directions) {
        tally.step("crate directions", directions::proved);
    }
    if wanted(Part::Clippy) {
        tally.step("cargo clippy", || quiet(&mut clippy()));
    }
    if wanted(Part::Deny) {
        deny(&mut tally);
    }
    if wanted(Part::Unit) {
        tally.step("cargo test", unit_tests);
    }
    if wanted(Part::Differential) {
        tally.judge("differential", |tally| {
            tally.step("differential parsing", || {
                differential::run(DIFFERENTIAL_DOCUMENTS, DIFFERENTIAL_SEED)
            });
            Ok("what languages read differently is refused".into())
        });
    }
    if wanted(Part::Clients) {
        tally.judge("clients", |tally| {
            matrix::run(tally, row).map(|()| "every row is as it is without the guard".into())
        });
    }
    if wanted(Part::Attacks) {
        tally.judge("attacks", |tally| attacks::run(tally, row));
    }
    if wanted(Part::Conformance) {
        tally.judge("conformance", |tally| {
            conformance::judge(tally, &conformance::Choice::default())
        });
    }
    if wanted(Part::Soak) {
        tally.judge("soak", soak::quick);
    }
    if wanted(Part::Cluster) {
        cluster::judge(&mut tally, only.contains(&Part::Cluster));
    }
    say(&format!(
        "whole run: {:.0} s",
        began.elapsed().as_secs_f64()
    ));
    Ok(tally.close())
}

fn quiet(command: &mut Command) -> Result<Count> {
    process::run(command, "", BUILD_LIMIT)?.good("it")?;
    Ok(Count::one(""))
}

fn clippy() -> Command {
    let mut command = cargo();
    command.args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]);
    command
}

fn deny(tally: &mut Tally) {
    let check = |what: &[&str], limit| -> Result<process::Said> {
        let mut command = Command::new(setup::cargo_deny()?);
        command
            .args(["--all-features", "check", "--hide-inclusion-graph"])
            .args(what);
        process::run(command.current_dir(crate::workspace::root()), "", limit)
    };
    tally.step("cargo deny: bans, licences, sources", || {
        check(&["bans", "licenses", "sources"], BUILD_LIMIT)?.good("cargo deny")?;
        Ok(Count::one(""))
    });
    tally.step("cargo deny: advisories", || {
        match check(&["advisories"], ADVISORY_LIMIT) {
            Ok(said) if said.status.success() => Ok(Count::one("")),
            Ok(said) if !unfetched(&said.stderr) => bail!("{}", said.stderr),
            Ok(_) | Err(_) => Ok(Count::none(
                "NOT CHECKED: the advisory database cannot be fetched from here",
            )),
        }
    });
}

fn unfetched(stderr: &str) -> bool {
    stderr.contains("failed to fetch advisory database")
        || stderr.contains("unable to load advisory")
}

/// Counts single tests from the lines with which each test binary closes.
fn unit_tests() -> Result<Count> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    let said = process::run(&mut command, "", BUILD_LIMIT)?;
    let (mut passed, mut failed) = (0, 0);
    for line in said
        .stdout
        .lines()
        .filter(|line| line.starts_with("test result:"))
    {
        passed += before(line, " passed");
        failed += before(line, " failed");
    }
    if passed == 0 || (!said.status.success() && failed == 0) {
        said.good("cargo test")?;
        bail!("no test ran");
    }
    if failed > 0 {
        failures(&said.stdout);
    }
    Ok(Count {
        passed,
        failed,
        note: format!("{passed} tests"),
    })
}

/// The number that stands before a word in `test result: ok. 12 passed; 0 failed; ...`.
fn before(line: &str, word: &str) -> usize {
    let number = line
        .split(word)
        .next()
        .and_then(|head| head.rsplit(' ').next());
    number.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Each failed test's own words, which cargo prints between two headings.
fn failures(stdout: &str) {
    let mut telling = false;
    for line in stdout.lines() {
        match line {
            "failures:" => telling = !telling,
            line if telling => say(&format!("    {line}")),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::before;

    #[test]
    fn counts_are_read_from_the_closing_line_of_a_test_binary() {
        let line =
            "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!((before(line, " passed"), before(line, " failed")), (12, 3));
        assert_eq!(before("test result: nonsense", " passed"), 0);
    }
}
