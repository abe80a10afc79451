//! What is judged when everything has ended: recordings, ledgers, requests, logs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::bed::{Bed, Guard};
use super::report::Report;
use crate::guard::sallyport;
use crate::tally::{Count, Tally};

/// How much is told of a kind of finding.
const SAMPLES: usize = 8;

pub(super) fn judge(bed: &Bed, tally: &mut Tally) {
    tally.step("soak: recordings verify", || {
        each(bed, |guard| verified(bed, guard))
    });
    tally.step("soak: each request has one end", || each(bed, ended_once));
    tally.step("soak: nothing ran twice", || each(bed, ran_once));
    tally.step("soak: requests and runs agree", || {
        each(bed, requests_agree)
    });
    tally.step("soak: no panic", || each(bed, no_panic));
}

fn each(bed: &Bed, check: impl Fn(&Guard) -> Result<String>) -> Result<Count> {
    let mut notes = Vec::new();
    for guard in &bed.guards {
        let note = check(guard).with_context(|| format!("the guard before {}", guard.name))?;
        notes.push(format!("{} {note}", guard.name));
    }
    Ok(Count::one(notes.join(", ")))
}

fn verified(bed: &Bed, guard: &Guard) -> Result<String> {
    let said = sallyport(&bed.sallyport, &guard.state, &["verify", "-o", "json"])?;
    let told: Value = serde_json::from_str(&said.stdout).with_context(|| said.stderr.clone())?;
    if !said.status.success() {
        bail!("{told}");
    }
    let events = told.get("events").and_then(Value::as_u64).unwrap_or(0);
    Ok(format!("{events} events"))
}

/// By the segments themselves: exactly one `callEnded` for each `callRequested` (law 30).
fn ended_once(guard: &Guard) -> Result<String> {
    let mut calls: HashMap<String, (u64, u64)> = HashMap::new();
    let mut unknown = 0_u64;
    for line in lines_of(&guard.state.join("recordings/segments"))? {
        let Some(json) = line
            .strip_prefix("E ")
            .and_then(|rest| rest.split_once(' '))
            .map(|(_, json)| json)
        else {
            continue;
        };
        let record: Value = serde_json::from_str(json)?;
        let text = |name: &str| record.pointer(name).and_then(Value::as_str);
        // Calls are numbered within their session.
        let (Some(session), Some(call)) = (text("/session"), text("/event/call")) else {
            continue;
        };
        let call = format!("{session} {call}");
        let kind = text("/event/type").unwrap_or_default();
        if kind == "callRequested" {
            calls.entry(call.clone()).or_default().0 += 1;
        } else if kind == "callEnded" {
            calls.entry(call).or_default().1 += 1;
            unknown += u64::from(text("/event/outcome") == Some("unknown"));
        }
    }
    let wrong: Vec<String> = calls
        .iter()
        .filter(|(_, counts)| **counts != (1, 1))
        .map(|(call, (begun, ended))| format!("{call} began {begun} and ended {ended} times"))
        .collect();
    if calls.is_empty() {
        bail!("no call is recorded");
    }
    if !wrong.is_empty() {
        bail!("{} calls: {}", wrong.len(), few(&wrong));
    }
    Ok(format!("{} calls, {unknown} unknown", calls.len()))
}

fn lines_of(folder: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder)? {
        let text = fs::read_to_string(entry?.path())?;
        lines.extend(text.lines().map(str::to_owned));
    }
    Ok(lines)
}

/// How often each call ran.
fn runs(guard: &Guard) -> Result<BTreeMap<String, u64>> {
    let mut runs = BTreeMap::new();
    for line in fs::read_to_string(&guard.ledger)?.lines() {
        *runs.entry(line.to_owned()).or_default() += 1;
    }
    Ok(runs)
}

fn ran_once(guard: &Guard) -> Result<String> {
    let runs = runs(guard)?;
    let twice = runs.iter().filter(|(_, runs)| **runs > 1);
    let twice: Vec<String> = twice
        .map(|(nonce, runs)| format!("{nonce} {runs} times"))
        .collect();
    if !twice.is_empty() {
        bail!("{}", few(&twice));
    }
    Ok(format!("{} runs", runs.len()))
}

/// What was held ran only if its request was used, and used requests name no call twice.
fn requests_agree(guard: &Guard) -> Result<String> {
    let runs = runs(guard)?;
    let mut phases: BTreeMap<String, u64> = BTreeMap::new();
    let (mut wrong, mut seen) = (Vec::new(), HashSet::new());
    for entry in fs::read_dir(guard.state.join("requests"))? {
        let path = entry?.path();
        // What a killed guard was about to write is not written.
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let request: Value = serde_json::from_str(&fs::read_to_string(&path)?)
            .with_context(|| format!("{} is not whole", path.display()))?;
        let preview = request
            .pointer("/spec/call/preview")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let preview: Value = serde_json::from_str(preview)?;
        let nonce = nonce(&preview).context("a request without the call's mark")?;
        let phase = request
            .pointer("/status/phase")
            .and_then(Value::as_str)
            .unwrap_or("Pending");
        let ran = runs.get(&nonce).copied().unwrap_or(0);
        if ran > 0 && phase != "Consumed" {
            wrong.push(format!("{nonce} ran and its request is {phase}"));
        }
        if !seen.insert(nonce.clone()) {
            wrong.push(format!("{nonce} has two requests"));
        }
        *phases.entry(phase.to_owned()).or_default() += 1;
    }
    if !wrong.is_empty() {
        bail!("{}", few(&wrong));
    }
    let told: Vec<String> = phases
        .iter()
        .map(|(phase, count)| format!("{count} {phase}"))
        .collect();
    Ok(told.join(" "))
}

/// The mark, wherever the preview holds it.
fn nonce(preview: &Value) -> Option<String> {
    match preview {
        Value::String(text) if text.starts_with("soak-") => Some(text.clone()),
        Value::Array(items) => items.iter().find_map(nonce),
        Value::Object(members) => members.values().find_map(nonce),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn no_panic(guard: &Guard) -> Result<String> {
    let log = guard.log()?;
    match log.lines().find(|line| line.contains("panicked")) {
        Some(line) => bail!("{line}"),
        None => Ok(format!("{} lines", log.lines().count())),
    }
}

/// Calls that their client lost although the server ran them.
pub(super) fn ran_but_lost(bed: &Bed, report: &Report) -> Result<Vec<String>> {
    let mut lost = Vec::new();
    for guard in &bed.guards {
        let runs = runs(guard)?;
        lost.extend(
            report
                .lost_nonces
                .iter()
                .filter(|(nonce, _)| runs.contains_key(*nonce))
                .map(|(nonce, heard)| format!("{nonce} before {}: {heard}", guard.name)),
        );
    }
    Ok(lost)
}

fn few(all: &[String]) -> String {
    let shown = all.get(..SAMPLES).unwrap_or(all).join("; ");
    if all.len() > SAMPLES {
        format!("{shown}; ...")
    } else {
        shown
    }
}
