//! Tells outcomes as they happen, and counts them.

use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;

/// Evidence is shown up to so many characters.
const SHOWN: usize = 800;

/// What was told so far, and how much of it was seen.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    told: usize,
    seen: usize,
}

impl Stage {
    /// An outcome: seen, or missing.
    pub(crate) fn check(&mut self, outcome: &str, happened: bool) {
        self.told += 1;
        self.seen += usize::from(happened);
        let word = if happened { "ok     " } else { "MISSING" };
        say(&format!("    {word}  {outcome}"));
    }

    /// An outcome with what it was judged by, which is shown where it is missing.
    pub(crate) fn check_in(&mut self, outcome: &str, happened: bool, evidence: &Value) {
        self.check(outcome, happened);
        if !happened {
            let text: String = evidence.to_string().chars().take(SHOWN).collect();
            say(&format!("             seen instead: {text}"));
        }
    }

    /// A figure beside its goal. It counts neither way: how long something takes is the machine's to say as well.
    pub(crate) fn measured(what: &str, figure: Duration, goal: Duration) {
        let word = if figure <= goal { "met" } else { "missed" };
        let (figure, goal) = (figure.as_millis(), goal.as_millis());
        say(&format!(
            "    measured {what}: {figure} ms; the goal of {goal} ms is {word}"
        ));
    }

    pub(crate) fn told(&self) -> usize {
        self.told
    }

    pub(crate) fn seen(&self) -> usize {
        self.seen
    }
}

/// Prints a line at once. A closed stdout is no reason to stop half-way through a run.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        // Nobody reads any more; the exit code still tells.
    }
}
