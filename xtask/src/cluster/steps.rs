//! Progress: one line a step, with the seconds it took.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::console::say;

/// Runs a step and tells how long it took; one that fails is named in its error.
pub(super) fn step<T>(what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let done = run().with_context(|| what.to_owned())?;
    say(&format!("{:>7.1} s  {what}", began.elapsed().as_secs_f64()));
    Ok(done)
}
