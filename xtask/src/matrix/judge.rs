//! Compares what a client saw through the guard with what the table says.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::bench::{PLAIN, SECRETS, Told};
use super::heard::{self, Message};
use super::rows::{Client, Row};
use super::scenario::{Expect, Hidden, Step};

/// All steps of a row, and what the server was told; the error names everything that is not as it must be.
pub(crate) fn all(row: &Row, steps: &[Step], direct: &Told, through: &Told) -> Result<()> {
    let mut wrong = Vec::new();
    for step in steps {
        let outcome = |told: &Told| {
            let place = format!("/outcomes/{}", step.label);
            told.seen.pointer(&place).cloned()
        };
        let judged = match (outcome(direct), outcome(through)) {
            (Some(direct), Some(seen)) => one(row, &step.expect, &direct, &seen),
            _ => Err(anyhow::anyhow!("not reported")),
        };
        if let Err(error) = judged.and_then(|()| left(row, step, &through.heard)) {
            wrong.push(format!("{}: {error:#}", step.label));
        }
    }
    let whole = [
        questions(steps, &direct.seen, &through.seen),
        heard::compare(steps, row.is_modern(), &direct.heard, &through.heard),
    ];
    wrong.extend(
        whole
            .into_iter()
            .filter_map(|judged| Some(format!("{:#}", judged.err()?))),
    );
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}", wrong.join("\n    "))
}

/// In the newest revision a call is taken back by leaving the stream of its answer; before pipes, by saying so.
fn left(row: &Row, step: &Step, heard: &[Message]) -> Result<()> {
    if !row.is_modern() || !matches!(step.expect, Expect::Cancelled) {
        return Ok(());
    }
    let calls = heard
        .iter()
        .filter(|message| step.is_told_by(&message.body));
    if calls.clone().count() != 1 {
        bail!("the server heard the call {} times", calls.count());
    }
    if calls.clone().all(|message| message.left) {
        return Ok(());
    }
    bail!("the guard did not leave the stream of a call that was taken back")
}

/// The revision that was spoken, for the row's line.
pub(crate) fn revision(report: &Value) -> String {
    let version = report
        .pointer("/connected/protocolVersion")
        .and_then(Value::as_str);
    version.unwrap_or("revision not told").to_owned()
}

fn one(row: &Row, expect: &Expect, direct: &Value, seen: &Value) -> Result<()> {
    match expect {
        Expect::Same => same(direct, seen).and_then(|()| progress(row, direct, seen)),
        Expect::Approved | Expect::Cancelled => same(direct, seen),
        Expect::Listed {
            member,
            key,
            hidden,
        } => listed(member, key, hidden, direct, seen),
        Expect::Refused { says } => refused(says, "dev.sallyport~1denied", seen),
        Expect::NotInRevision => not_asked(seen),
        Expect::UnknownTool => error_says(unknown_tool(row.seat.client), seen),
        Expect::Absent => absent(seen),
        Expect::Masked => masked(direct, seen),
        Expect::Ended { status } => ended(status, seen),
    }
}

fn same(direct: &Value, seen: &Value) -> Result<()> {
    for member in ["result", "error"] {
        let (expected, found) = (settled(direct.get(member)), settled(seen.get(member)));
        if expected != found {
            bail!(
                "{member} differs\n      straight: {}\n      guarded:  {}",
                short(&expected),
                short(&found)
            );
        }
    }
    Ok(())
}

/// Every report in its order. The TypeScript SDKs drop a report that arrives in one piece with the result that it
/// precedes, with or without a guard: they hand reports on a tick later than results.
fn progress(row: &Row, direct: &Value, seen: &Value) -> Result<()> {
    let reports = |outcome: &Value| {
        outcome
            .get("progress")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let (expected, found) = (reports(direct), reports(seen));
    let droppable = usize::from(matches!(row.seat.client, Client::Ts1 | Client::Ts2));
    let alike = expected.iter().zip(&found).all(|(one, other)| one == other);
    if alike && found.len().abs_diff(expected.len()) <= droppable {
        return Ok(());
    }
    bail!(
        "progress differs\n      straight: {}\n      guarded:  {}",
        short(&json!(expected)),
        short(&json!(found))
    )
}

/// A value without what the guard may change of any result: how long and for whom it may be cached (law 28).
fn settled(value: Option<&Value>) -> Value {
    let mut value = value.cloned().unwrap_or(Value::Null);
    if let Some(members) = value.as_object_mut() {
        members.remove("ttlMs");
        members.remove("cacheScope");
    }
    value
}

fn listed(member: &str, key: &str, hidden: &Hidden, direct: &Value, seen: &Value) -> Result<()> {
    let entries = |outcome: &Value| -> Result<BTreeMap<String, Value>> {
        let list = outcome
            .pointer(&format!("/result/{member}"))
            .and_then(Value::as_array);
        let list = list.with_context(|| format!("no list: {}", short(outcome)))?;
        let named = |entry: &Value| Some((entry.get(key)?.as_str()?.to_owned(), entry.clone()));
        Ok(list.iter().filter_map(named).collect())
    };
    let mut expected = entries(direct)?;
    expected.retain(|name, _| match hidden {
        Hidden::AllBut(kept) => kept.contains(&name.as_str()),
        Hidden::These(gone) => !gone.contains(&name.as_str()),
    });
    let found = entries(seen)?;
    for_this_caller(seen)?;
    if expected.is_empty() {
        bail!("nothing is left to compare");
    }
    let names = |map: &BTreeMap<String, Value>| map.keys().cloned().collect::<Vec<_>>().join(", ");
    if !expected.keys().eq(found.keys()) {
        bail!("expected [{}], found [{}]", names(&expected), names(&found));
    }
    for (name, entry) in &expected {
        if found.get(name) != Some(entry) {
            bail!(
                "`{name}` is not as the server describes it: {}",
                short(&json!(found.get(name)))
            );
        }
    }
    Ok(())
}

/// A list that was filtered for one caller is that caller's alone, and not for long (law 28).
fn for_this_caller(seen: &Value) -> Result<()> {
    let scope = seen.pointer("/result/cacheScope");
    let lives = seen.pointer("/result/ttlMs").and_then(Value::as_u64);
    if scope.is_none_or(|scope| scope == "private") && lives.is_none_or(|ms| ms <= 30_000) {
        return Ok(());
    }
    bail!(
        "a filtered list may be cached by others or for long: {}",
        short(seen)
    )
}

fn refused(says: &str, mark: &str, seen: &Value) -> Result<()> {
    let failed = seen.pointer("/result/isError") == Some(&json!(true));
    let text = seen
        .pointer("/result/content/0/text")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let marked = seen.pointer(&format!("/result/_meta/{mark}")).is_some();
    if failed && marked && text.contains(says) {
        return Ok(());
    }
    bail!("not a refusal of ours that says `{says}`: {}", short(seen))
}

fn ended(status: &str, seen: &Value) -> Result<()> {
    refused("", "dev.sallyport~1approval", seen)?;
    let told = seen.pointer("/result/_meta/dev.sallyport~1approval/status");
    if told == Some(&json!(status)) {
        return Ok(());
    }
    bail!("the request did not end as `{status}`: {}", short(seen))
}

/// The Inspector lists tools first, and itself says what is not among them.
fn unknown_tool(client: Client) -> &'static str {
    match client {
        Client::Ts1 | Client::Ts2 | Client::Py1 | Client::Py2 | Client::Rmcp => "Unknown tool",
        Client::Inspector => "not found on server",
    }
}

/// The server heard that the method is not there, and told so as its tool's failure.
fn not_asked(seen: &Value) -> Result<()> {
    let failed = seen.pointer("/result/isError") == Some(&json!(true));
    if failed && seen.to_string().contains("elicitation/create") {
        return Ok(());
    }
    bail!(
        "the server asked, in a revision that has no such question: {}",
        short(seen)
    )
}

fn error_says(words: &str, seen: &Value) -> Result<()> {
    let message = seen
        .pointer("/error/message")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if message.contains(words) {
        return Ok(());
    }
    bail!("no error that says `{words}`: {}", short(seen))
}

fn absent(seen: &Value) -> Result<()> {
    if seen.get("error").is_some_and(|error| !error.is_null()) {
        return Ok(());
    }
    bail!("not an error: {}", short(seen))
}

fn masked(direct: &Value, seen: &Value) -> Result<()> {
    let (plain, text) = (direct.to_string(), seen.to_string());
    for secret in SECRETS.iter().map(|secret| secret.value()) {
        if !plain.contains(&secret) {
            bail!("the server did not tell a secret that it has, so that nothing is shown");
        }
        if text.contains(&secret) {
            bail!("a secret came through");
        }
    }
    if !text.contains(PLAIN) {
        bail!("words that are no secret are gone: {}", short(seen));
    }
    if seen
        .pointer("/result/_meta/dev.sallyport~1redacted")
        .is_none()
    {
        bail!("not marked as masked: {}", short(seen));
    }
    Ok(())
}

/// The server asked the same questions, but for those that it may not ask: roots by policy, the user by revision.
fn questions(steps: &[Step], direct: &Value, seen: &Value) -> Result<()> {
    let unasked = steps
        .iter()
        .any(|step| matches!(step.expect, Expect::NotInRevision));
    let expected: Vec<Value> = asked(direct)
        .into_iter()
        .filter(|question| method(question) != "roots/list")
        .filter(|question| !(unasked && method(question) == "elicitation/create"))
        .collect();
    let found = asked(seen);
    if expected != found {
        bail!(
            "questions: expected {}, found {}",
            short(&json!(expected)),
            short(&json!(found))
        );
    }
    Ok(())
}

fn asked(report: &Value) -> Vec<Value> {
    report
        .get("asked")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

fn method(question: &Value) -> &str {
    question
        .get("method")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.len() <= 600 {
        return text;
    }
    let head: String = text.chars().take(600).collect();
    format!("{head}… ({} bytes)", text.len())
}
