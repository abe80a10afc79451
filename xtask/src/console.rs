//! Where these commands speak: plain lines on stdout, one a fact.

use std::io::Write;

/// Prints a line at once. A closed stdout is no reason to stop half-way through a run.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        // Nobody reads any more; the exit code still tells.
    }
}
