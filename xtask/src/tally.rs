//! One line a step, with its time; at the end one line a judge, and the count that closes a run.
//!
//! A judge is a group of steps with a verdict of its own: the conformance suite, the client matrix, the attacks.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::console::say;

/// What passed and what failed so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
    verdicts: Vec<Verdict>,
}

/// What a judge says in the end.
#[derive(Debug)]
struct Verdict {
    judge: &'static str,
    good: bool,
    detail: String,
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

    /// A step that could not be taken counts neither way, and says so.
    pub(crate) fn none(note: &str) -> Self {
        Self {
            passed: 0,
            failed: 0,
            note: note.to_owned(),
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

    /// Lets a judge take its steps. It returns what its line is to say; it passes if none of its steps failed, some
    /// passed, and it has no error of its own.
    pub(crate) fn judge(
        &mut self,
        judge: &'static str,
        work: impl FnOnce(&mut Self) -> Result<String>,
    ) {
        let (passed, failed) = (self.passed, self.failed);
        let detail = work(self).unwrap_or_else(|error| {
            self.failed += 1;
            format!("{error:#}")
        });
        let (passed, failed) = (self.passed - passed, self.failed - failed);
        let detail = match (passed, failed) {
            (0, 0) => "nothing was checked".into(),
            (_, 0) => detail,
            (_, failed) => format!("{failed} of {} failed; {detail}", passed + failed),
        };
        self.verdicts.push(Verdict {
            judge,
            good: failed == 0 && passed > 0,
            detail,
        });
    }

    /// Prints the judges' lines and the closing line, each alone on its line. True: nothing failed, and something was
    /// checked.
    pub(crate) fn close(&self) -> bool {
        for verdict in &self.verdicts {
            say(&verdict.line());
        }
        say(&format!("{} passed, {} failed", self.passed, self.failed));
        self.failed == 0 && self.passed > 0 && self.verdicts.iter().all(|verdict| verdict.good)
    }
}

impl Verdict {
    fn line(&self) -> String {
        let word = if self.good { "passed" } else { "failed" };
        format!("judge {} {word}: {}", self.judge, self.detail)
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

#[cfg(test)]
mod tests {
    use super::{Count, Tally};

    fn line_of(tally: &Tally) -> String {
        tally
            .verdicts
            .iter()
            .map(super::Verdict::line)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn a_judge_whose_steps_pass_says_its_own_words() {
        let mut tally = Tally::default();
        tally.judge("words", |tally| {
            tally.step("a step", || Ok(Count::one("")));
            Ok("one step held".into())
        });
        assert_eq!(line_of(&tally), "judge words passed: one step held");
        assert!(tally.close());
    }

    #[test]
    fn a_judge_fails_with_a_step_with_an_error_and_with_nothing_to_judge() {
        let mut tally = Tally::default();
        tally.judge("steps", |tally| {
            tally.step("good", || Ok(Count::one("")));
            tally.step("bad", || anyhow::bail!("no"));
            Ok("said".into())
        });
        tally.judge("error", |_| anyhow::bail!("no bench"));
        tally.judge("empty", |_| Ok("all is well".into()));
        let expected = "judge steps failed: 1 of 2 failed; said\n\
            judge error failed: 1 of 1 failed; no bench\n\
            judge empty failed: nothing was checked";
        assert_eq!(line_of(&tally), expected);
        assert!(!tally.close());
    }

    #[test]
    fn a_judge_that_checked_nothing_fails_a_run_that_is_good_otherwise() {
        let mut tally = Tally::default();
        tally.step("good", || Ok(Count::one("")));
        tally.judge("empty", |_| Ok(String::new()));
        assert!(!tally.close());
    }
}
