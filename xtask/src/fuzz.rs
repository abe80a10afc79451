//! Coverage-guided fuzzing with the stable compiler: libFuzzer over the properties of the crate `fuzz`.
//!
//! The whole tree is compiled once more with LLVM's coverage counters, debug assertions and overflow checks, into a
//! folder of its own. What reaches new code stays in a work folder beside it; `--keep` brings the least of it that
//! reaches the same code into the repository, where every `cargo test` replays it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::console::say;
use crate::tally::{Count, Tally};
use crate::{process, setup, workspace};

const PACKAGE: &str = "sallyport-fuzz-engine";
/// The instrumented build: edges counted, compared values told, nothing that needs more than a stable compiler.
const INSTRUMENTED: &[&str] = &[
    "--cfg",
    "sallyport_fuzz",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
const BUILD_LIMIT: Duration = Duration::from_secs(3600);
/// An input that takes longer is a finding.
const SLOWEST: &str = "-timeout=10";
const MEMORY: &str = "-rss_limit_mb=2048";

/// What is wanted.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// One target; none is all of them.
    pub(crate) target: Option<String>,
    pub(crate) minutes: f64,
    pub(crate) keep: bool,
}

/// A target as the engine tells it.
#[derive(Debug)]
struct Target {
    name: String,
    longest: String,
    corpus: PathBuf,
    law: String,
}

/// Prints the targets and their laws.
pub(crate) fn list() -> Result<()> {
    for target in targets(&commands()?)? {
        say(&format!("{:10} {}", target.name, target.law));
    }
    Ok(())
}

/// Fuzzes one target or all, one after the other. True: nothing was found.
pub(crate) fn run(wanted: &Wanted) -> Result<bool> {
    setup::cpp()?;
    let commands = commands()?;
    let known = targets(&commands)?;
    let chosen: Vec<&Target> = known
        .iter()
        .filter(|target| {
            wanted
                .target
                .as_ref()
                .is_none_or(|name| *name == target.name)
        })
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = known.iter().map(|target| target.name.as_str()).collect();
        bail!("no such target; there are {}", names.join(", "));
    }
    let engine = instrumented()?;
    let mut tally = Tally::default();
    for target in chosen {
        tally.step(&format!("fuzz {}", target.name), || {
            let work = Work::prepare(target, &commands)?;
            let note = work.fuzz(&engine, wanted.minutes)?;
            if wanted.keep {
                work.keep(&engine)?;
            }
            Ok(Count::one(note))
        });
    }
    Ok(tally.close())
}

/// The engine of an ordinary build: it lists, makes seeds and replays.
fn commands() -> Result<PathBuf> {
    let folder = folder()?;
    workspace::build(PACKAGE, PACKAGE, workspace::Profile::Dev, &folder)
}

/// Where builds, inputs and findings lie.
fn folder() -> Result<PathBuf> {
    let folder = workspace::target()?.join("fuzz");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn targets(commands: &Path) -> Result<Vec<Target>> {
    let text = process::run(Command::new(commands).arg("list"), "", BUILD_LIMIT)?
        .good("the list of targets")?;
    let target = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        Some(Target {
            name: fields.next()?,
            longest: fields.next()?,
            corpus: PathBuf::from(fields.next()?),
            law: fields.next()?,
        })
    };
    Ok(text.lines().filter_map(target).collect())
}

/// Builds the engine with counters in all of our code and that of our dependencies; not in the standard library.
fn instrumented() -> Result<PathBuf> {
    say("building with coverage counters; the first time takes some minutes");
    let host = host()?;
    let target = workspace::target()?.join("coverage-guided");
    let mut build = workspace::cargo();
    build
        .args([
            "build",
            "--quiet",
            "--profile",
            "fuzz",
            "--package",
            PACKAGE,
        ])
        // With a target named, the flags below do not reach build scripts and macros.
        .args(["--target", &host, "--target-dir"])
        .arg(&target)
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTED.join("\u{1f}"));
    process::run(&mut build, "", BUILD_LIMIT)?.good("the instrumented build")?;
    Ok(target.join(host).join("fuzz").join(PACKAGE))
}

fn host() -> Result<String> {
    let text = process::run(
        Command::new("rustc")
            .arg("-vV")
            .current_dir(workspace::root()),
        "",
        BUILD_LIMIT,
    )?
    .good("`rustc -vV`")?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("`rustc -vV` names no host")?.to_owned())
}

/// The folders of one target.
#[derive(Debug)]
struct Work<'t> {
    target: &'t Target,
    folder: PathBuf,
}

impl<'t> Work<'t> {
    fn prepare(target: &'t Target, commands: &Path) -> Result<Self> {
        let folder = folder()?.join(&target.name);
        for name in ["inputs", "found"] {
            fs::create_dir_all(folder.join(name))?;
        }
        // The engine reads it, whether or not anything was kept yet.
        fs::create_dir_all(&target.corpus)?;
        let mut prepare = Command::new(commands);
        prepare.args(["prepare", &target.name]).arg(&folder);
        process::run(&mut prepare, "", BUILD_LIMIT)?.good("the seeds")?;
        Ok(Self { target, folder })
    }

    fn engine(&self, engine: &Path) -> Command {
        let mut command = Command::new(engine);
        command
            .env("SALLYPORT_FUZZ_TARGET", &self.target.name)
            .args([SLOWEST, MEMORY])
            .stdin(Stdio::null());
        command
    }

    /// The closing figures; an error is a finding, with the file that repeats it.
    fn fuzz(&self, engine: &Path, minutes: f64) -> Result<String> {
        let log = self.folder.join("log");
        let seconds = (minutes * 60.0).max(1.0);
        let mut command = self.engine(engine);
        command
            .arg(format!("-max_total_time={seconds:.0}"))
            .arg(format!("-max_len={}", self.target.longest))
            .arg(format!("-dict={}", self.folder.join("words").display()))
            .arg(format!(
                "-artifact_prefix={}/",
                self.folder.join("found").display()
            ))
            .args(["-print_final_stats=1", "-use_value_profile=1", "-reload=0"])
            .arg(self.folder.join("inputs"))
            .args([&self.target.corpus, &self.folder.join("seeds")])
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?);
        let status = command.status().context("the engine cannot be started")?;
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        if !status.success() {
            bail!("a law does not hold:\n{}", finding(&text));
        }
        figures(&text).with_context(|| format!("no figures in {}", log.display()))
    }

    /// The least set of inputs that reaches all code reached so far takes the place of the kept one; inputs that
    /// people named, such as past findings, stay.
    fn keep(&self, engine: &Path) -> Result<()> {
        let fresh = self.folder.join("least");
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        fs::create_dir_all(&fresh)?;
        let mut command = self.engine(engine);
        command
            .args(["-set_cover_merge=1", "-use_counters=0"])
            .arg(format!("-max_len={}", self.target.longest))
            .arg(&fresh)
            .args([&self.target.corpus, &self.folder.join("inputs")]);
        process::run(&mut command, "", BUILD_LIMIT)?.good("the merge")?;
        for entry in fs::read_dir(&self.target.corpus)? {
            let entry = entry?;
            if by_engine(&entry.file_name().to_string_lossy()) {
                fs::remove_file(entry.path())?;
            }
        }
        for entry in fs::read_dir(&fresh)? {
            let entry = entry?;
            fs::copy(entry.path(), self.target.corpus.join(entry.file_name()))?;
        }
        Ok(())
    }
}

/// Whether a file has the name that libFuzzer gives: the SHA-1 of its content.
fn by_engine(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What the engine says of a finding, without the stacks of its own.
fn finding(log: &str) -> String {
    let telling = |line: &&str| {
        [
            "panicked at",
            "ERROR: libFuzzer",
            "artifact_prefix",
            "Test unit written",
            "Base64:",
        ]
        .iter()
        .any(|word| line.contains(word))
    };
    let lines: Vec<&str> = log.lines().collect();
    let mut told: Vec<&str> = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        if telling(line) {
            told.push(line);
            if line.contains("panicked at") {
                told.extend(lines.iter().skip(place + 1).take(3));
            }
        }
    }
    told.join("\n    ")
}

/// Runs, edges and inputs, from the engine's last lines.
fn figures(log: &str) -> Option<String> {
    let runs = log
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    let last = log.lines().rev().find(|line| line.contains(" cov: "))?;
    let after = |word: &str| last.split(word).nth(1)?.split_whitespace().next();
    let first = log.lines().find(|line| line.contains("INITED"))?;
    let began = first.split(" cov: ").nth(1)?.split_whitespace().next()?;
    Some(format!(
        "{} runs, {began} edges at first and {} now, {} features, corpus {}",
        runs.trim(),
        after(" cov: ")?,
        after(" ft: ")?,
        after(" corp: ")?
    ))
}

#[cfg(test)]
mod tests {
    use super::{by_engine, figures, finding};

    const LOG: &str = "INFO: seed corpus: files: 3\n#4 INITED cov: 10 ft: 11 corp: 3/9b exec/s: 0 rss: 30Mb\n#900 NEW cov: 25 ft: 40 corp: 9/70b lim: 4\n#1000 DONE cov: 25 ft: 41 corp: 9/70b exec/s: 500\nstat::number_of_executed_units: 1000\n";

    #[test]
    fn the_figures_tell_how_coverage_grew() {
        let told = figures(LOG).unwrap();
        assert_eq!(
            told,
            "1000 runs, 10 edges at first and 25 now, 41 features, corpus 9/70b"
        );
        assert_eq!(figures("nothing ran"), None);
    }

    #[test]
    fn a_finding_tells_the_panic_and_the_file() {
        let log = "#1 NEW\nthread panicked at fuzz/src/x.rs:1:2:\nthe same however it is cut\nstack\nmore\n==1== ERROR: libFuzzer: deadly signal\n#0 frame\nartifact_prefix='f/'; Test unit written to f/crash-1\n";
        let told = finding(log);
        assert!(
            told.contains("the same however it is cut") && told.contains("f/crash-1"),
            "{told}"
        );
        assert!(!told.contains("#0 frame"));
    }

    #[test]
    fn inputs_that_people_named_are_not_the_engine_s() {
        assert!(by_engine("da39a3ee5e6b4b0d3255bfef95601890afd80709"));
        assert!(!by_engine("line-break-in-a-text"));
    }
}
