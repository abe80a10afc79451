//! One line a step, with its time, and the count that closes a run.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::console::say;

/// What passed and what failed so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
}

/// What a step counts for, and what it has to add to its line.
#[derive(Debug)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) note: String,
}

impl Count {
    /// A step that is one check.
    pub(crate) fn one(note: impl Into<String>) -> Self {
        Self {
            passed: 1,
            failed: 0,
            note: note.into(),
        }
    }
}

impl Tally {
    /// Takes a step and tells how it went; an error is one failure.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Count>) {
        let began = Instant::now();
        let result = work();
        self.tell(name, began.elapsed(), result);
    }

    /// Tells of a step that was taken elsewhere.
    pub(crate) fn tell(&mut self, name: &str, took: Duration, result: Result<Count>) {
        match result {
            Ok(count) => {
                self.passed += count.passed;
                self.failed += count.failed;
                line(count.failed == 0, took, name, &count.note);
            }
            Err(error) => {
                self.failed += 1;
                line(false, took, name, "");
                say(&format!("    {error:#}"));
            }
        }
    }

    /// Prints the closing line, alone on its line. True: nothing failed, and something was checked.
    pub(crate) fn close(&self) -> bool {
        say(&format!("{} passed, {} failed", self.passed, self.failed));
        self.failed == 0 && self.passed > 0
    }
}

fn line(good: bool, took: Duration, name: &str, note: &str) {
    let word = if good { "ok    " } else { "FAILED" };
    let note = if note.is_empty() {
        String::new()
    } else {
        format!(" ({note})")
    };
    say(&format!(
        "{word} {:7.1} s  {name}{note}",
        took.as_secs_f64()
    ));
}
