//! `cargo xtask soak`: what a guard must still be when it has worked for long among clients and servers that misbehave.
//!
//! Four acts on the same guards, one before each kind of server: a warm-up, the main load, a load in which each guard is
//! killed and started anew, and a drain. What is judged is judged after the clients have gone.

mod afterwards;
mod bed;
mod load;
mod report;
mod watch;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::console::say;
use crate::tally::{Count, Tally};
use crate::workspace::{self, Profile, build};
use bed::Bed;
use load::Load;
use report::Report;
use watch::Held;

/// A guard that ends takes at most this long, and its connections with it.
const DRAIN: Duration = Duration::from_secs(15);
/// Idle sessions end after 6 s here, and what the server left hanging after 3 s.
const SETTLE: Duration = Duration::from_secs(30);

/// What is played, each by itself or all in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Act {
    /// A warm-up, the main load, and what is left when it is over.
    Load,
    /// Each guard is killed and started anew.
    Kill,
    /// Each guard is told to end.
    Drain,
}

/// How much of it.
#[derive(Debug)]
pub(crate) struct Scale {
    /// Empty: all.
    acts: Vec<Act>,
    /// The build that users run; a dev build is ten times slower, and the machine's limits would be found, not ours.
    profile: Profile,
    clients: u32,
    seed: u64,
    warm_up: u64,
    load: u64,
    killing: u64,
    draining: u64,
}

impl Scale {
    pub(crate) fn by_hand(acts: Vec<Act>, seconds: u64, clients: u32, seed: u64) -> Self {
        Self {
            acts,
            profile: Profile::Release,
            clients,
            seed,
            warm_up: (seconds / 4).clamp(3, 20),
            load: seconds,
            killing: (seconds / 4).clamp(6, 30),
            draining: 4,
        }
    }

    fn plays(&self, act: Act) -> bool {
        self.acts.is_empty() || self.acts.contains(&act)
    }

    fn quick() -> Self {
        Self {
            acts: Vec::new(),
            profile: Profile::Dev,
            clients: 45,
            seed: 7,
            warm_up: 2,
            load: 6,
            killing: 5,
            draining: 2,
        }
    }
}

/// The long one; true: everything held.
pub(crate) fn run(scale: &Scale, json: bool) -> Result<bool> {
    let mut tally = Tally::default();
    tally.judge("soak", |tally| {
        let acts = play(scale, tally)?;
        for line in report::table(&acts) {
            say(&line);
        }
        if json {
            say(&serde_json::to_string(&acts)?);
        }
        Ok(told(&acts))
    });
    Ok(tally.close())
}

/// The short one, within `cargo xtask test`.
pub(crate) fn quick(tally: &mut Tally) -> Result<String> {
    Ok(told(&play(&Scale::quick(), tally)?))
}

fn told(acts: &[(&'static str, Report)]) -> String {
    let calls: u64 = acts.iter().map(|(_, report)| report.calls()).sum();
    format!("{calls} calls in {} acts", acts.len())
}

/// What each act saw, by its name.
type Acts = Vec<(&'static str, Report)>;

fn play(scale: &Scale, tally: &mut Tally) -> Result<Acts> {
    let folder = tempfile::Builder::new()
        .prefix("sallyport-soak-")
        .tempdir()?;
    let sallyport = match scale.profile {
        Profile::Dev => workspace::newest("sallyport-cli", "sallyport", folder.path())?,
        Profile::Release => build("sallyport-cli", "sallyport", scale.profile, folder.path())?,
    };
    let soak = build(
        "sallyport-soak",
        "sallyport-soak",
        scale.profile,
        folder.path(),
    )?;
    let mut stage = Stage {
        bed: Bed::make(folder.path(), sallyport, soak)?,
        scale,
        acts: Vec::new(),
        before: Vec::new(),
    };
    if scale.plays(Act::Load) {
        tally.step("soak: warm-up", || stage.warm_up());
        tally.step("soak: load, faults, policy changes", || stage.main());
        tally.step("soak: nothing is left of it", || stage.settled());
    }
    if scale.plays(Act::Kill) {
        tally.step("soak: kill -9 and restart", || stage.killed());
    }
    if scale.plays(Act::Drain) {
        tally.step("soak: drain under load", || stage.drained());
    }
    afterwards::judge(&stage.bed, tally);
    Ok(stage.acts)
}

struct Stage<'a> {
    bed: Bed,
    scale: &'a Scale,
    acts: Acts,
    /// What each guard held after the warm-up.
    before: Vec<Held>,
}

impl Stage<'_> {
    fn load(&self, run: &str, seconds: u64) -> Load {
        Load::of(run, seconds, self.scale.clients, self.scale.seed)
    }

    fn warm_up(&mut self) -> Result<Count> {
        let report = self.load("w", self.scale.warm_up).run(&self.bed)?;
        let count = report.judged();
        self.acts.push(("warm-up", report));
        self.before = watch::settled(&mut self.bed, None, SETTLE)?;
        count
    }

    /// Two policies take turns meanwhile, a second each.
    fn main(&mut self) -> Result<Count> {
        let running = self.load("m", self.scale.load).start(&self.bed)?;
        let mut turn = 0_usize;
        while running.is_running() {
            std::thread::sleep(Duration::from_secs(1));
            turn += 1;
            let file = if turn.is_multiple_of(2) {
                "policy-left.yaml"
            } else {
                "policy-right.yaml"
            };
            self.bed.policy(file)?;
        }
        let report = running.report()?;
        let count = report.judged();
        let swapped = report.saw_both_policies();
        self.acts.push(("load", report));
        if !swapped {
            bail!("only one of the two policies was ever seen in force");
        }
        count
    }

    fn settled(&mut self) -> Result<Count> {
        let after = watch::settled(&mut self.bed, Some(&self.before), SETTLE)?;
        for (guard, (before, after)) in self.bed.guards.iter().zip(self.before.iter().zip(&after)) {
            say(&format!("    {}: {before}; afterwards {after}", guard.name));
        }
        Ok(Count::one(format!("{} guards", after.len())))
    }

    /// Each guard is killed in the middle of it, one after the other, and started on what it left.
    fn killed(&mut self) -> Result<Count> {
        let running = self
            .load("k", self.scale.killing)
            .with_outages()
            .start(&self.bed)?;
        std::thread::sleep(Duration::from_secs(self.scale.killing) / 3);
        for guard in &mut self.bed.guards {
            guard.kill()?;
            guard.start()?;
        }
        let report = running.report()?;
        let count = report.judged();
        let stale = report.stale();
        self.acts.push(("kill -9", report));
        watch::settled(&mut self.bed, None, SETTLE)?;
        if stale == 0 {
            bail!("no client with a session of the guard before was told 404");
        }
        count.map(|count| Count {
            note: format!("{}, {stale} stale sessions told 404", count.note),
            ..count
        })
    }

    /// Whatever the server was given is answered, although the guard was told to end.
    fn drained(&mut self) -> Result<Count> {
        let running = self
            .load("d", self.scale.draining)
            .with_outages()
            .calmly()
            .start(&self.bed)?;
        std::thread::sleep(Duration::from_secs(self.scale.draining) / 2);
        let began = Instant::now();
        for guard in &mut self.bed.guards {
            guard.terminate(DRAIN)?;
        }
        let took = began.elapsed();
        let report = running.report()?;
        let count = report.judged();
        let lost = afterwards::ran_but_lost(&self.bed, &report)?;
        self.acts.push(("drain", report));
        if !lost.is_empty() {
            bail!(
                "{} calls ran and were never answered: {}",
                lost.len(),
                lost.join(", ")
            );
        }
        count.map(|count| Count {
            note: format!("{}, ended after {:.1} s", count.note, took.as_secs_f64()),
            ..count
        })
    }
}
