//! A real client at work: one of the drivers takes its steps, and reports what it saw.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::process;

/// A whole scenario takes a few seconds, or half a minute where each step is a process; one that hangs is a failure.
const LIMIT: Duration = Duration::from_secs(300);

/// Where and how a driver connects.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// `transport`, and `url` with `token`, or `command` with `env`.
    pub(crate) wire: Value,
    /// `legacy`, `auto`, or a revision that is pinned.
    pub(crate) mode: &'static str,
    /// The revision to offer where it is not the client's newest.
    pub(crate) version: Option<&'static str>,
}

/// Runs a driver through `steps`.
pub(crate) fn take(driver: &mut Command, place: &Place, steps: &[Value]) -> Result<Value> {
    let mut plan = place.wire.clone();
    if let Some(members) = plan.as_object_mut() {
        members.insert("mode".into(), json!(place.mode));
        members.insert("protocolVersion".into(), json!(place.version));
        members.insert("steps".into(), json!(steps));
    }
    let text = process::run(driver, &plan.to_string(), LIMIT)?.good("the driver")?;
    serde_json::from_str(&text).with_context(|| format!("the driver's report: {text}"))
}
