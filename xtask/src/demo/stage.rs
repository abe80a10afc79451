//! Tells outcomes as they happen, and counts them.

use serde_json::Value;

use crate::console::say;

/// What was told so far, and how much of it was seen.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    told: usize,
    seen: usize,
}

impl Stage {
    /// Something is about to happen.
    pub(crate) fn act(&self, line: &str) {
        say("");
        say(&format!("  {line}"));
    }

    /// An outcome: seen, or missing.
    pub(crate) fn check(&mut self, outcome: &str, happened: bool) {
        self.told += 1;
        if happened {
            self.seen += 1;
            say(&format!("    ok       {outcome}"));
        } else {
            say(&format!("    MISSING  {outcome}"));
        }
    }

    /// An outcome with what it was judged by, which is shown where it is missing.
    pub(crate) fn check_in(&mut self, outcome: &str, happened: bool, evidence: &Value) {
        self.check(outcome, happened);
        if !happened {
            let text: String = evidence.to_string().chars().take(800).collect();
            say(&format!("             seen instead: {text}"));
        }
    }

    pub(crate) fn told(&self) -> usize {
        self.told
    }

    pub(crate) fn seen(&self) -> usize {
        self.seen
    }
}

/// The first text block of a tool's result.
pub(crate) fn text(outcome: &Value) -> &str {
    outcome
        .pointer("/result/content/0/text")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Whether the tool ran and did not fail.
pub(crate) fn ran(outcome: &Value) -> bool {
    outcome.get("result").is_some()
        && outcome.pointer("/result/isError") != Some(&Value::Bool(true))
}

/// The message of a JSON-RPC error.
pub(crate) fn error(outcome: &Value) -> &str {
    outcome
        .pointer("/error/message")
        .and_then(Value::as_str)
        .unwrap_or_default()
}
