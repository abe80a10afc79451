//! Two runs, check by check: what came of each, and what the suite saw, which is more than it judges.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::Value;

use super::suite::{Check, Checks};
use crate::workspace;

/// Lines of a difference that are printed; the file has all.
const SHOWN: usize = 12;

/// Of what the suite saw, what a server said: this must be the same as well. The rest is about requests, or about
/// refusals, which are the guard's own where it refuses what the server would refuse.
const CONTENTS: &[&str] = &[
    "changeFrame",
    "content",
    "logs",
    "messages",
    "mimeType",
    "progressNotifications",
    "prompts",
    "resources",
    "result",
    "schema",
    "tools",
    "uri",
];

/// `inputResponses: null` is refused by the guard, as a value of the wrong kind; the fixture takes it for none at all. The
/// suite accepts both.
const OWN_REFUSAL: &str = "sep-2322-error-on-protocol-error";

/// Members of what a server said that differ from run to run, whoever is in between.
const VOLATILE: &[&str] = &[
    "createdAt",
    "io.modelcontextprotocol/subscriptionId",
    "lastUpdatedAt",
    "requestState",
    "taskId",
];

/// What is compared with what.
#[derive(Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) direct: &'a Checks,
    pub(crate) through: &'a Checks,
    /// In the name of the file that a difference is written to.
    pub(crate) name: &'a str,
}

/// How many checks there are, if all are equal.
///
/// # Errors
/// Says the file with the comparison, and the first lines that differ.
pub(crate) fn equal(pair: &Pair<'_>) -> Result<usize> {
    let lines = differences(pair.direct, pair.through);
    if lines.is_empty() {
        return Ok(pair.direct.all.len());
    }
    let file = written(pair.name, &lines)?;
    let shown = lines.get(..SHOWN).unwrap_or(&lines).join("\n    ");
    bail!(
        "{} lines differ, all in {}:\n    {shown}",
        lines.len(),
        file.display()
    )
}

/// `-` for what only the direct run has, `+` for what only came through the guard.
fn differences(direct: &Checks, through: &Checks) -> Vec<String> {
    let (direct, through) = (counted(&direct.all), counted(&through.all));
    let mut lines = Vec::new();
    for (mark, one, other) in [("-", &direct, &through), ("+", &through, &direct)] {
        for (key, (count, line)) in one {
            let more = count.saturating_sub(other.get(key).map_or(0, |(count, _)| *count));
            lines.extend(std::iter::repeat_n(format!("{mark} {line}"), more));
        }
    }
    lines.sort_by(|one, other| one.get(2..).cmp(&other.get(2..)));
    lines
}

/// Scenarios repeat check ids, so that equal ones are counted. The error text is for people only.
fn counted(checks: &[Check]) -> BTreeMap<String, (usize, String)> {
    let mut found: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for check in checks {
        let Check {
            scenario,
            id,
            name,
            status,
            ..
        } = check;
        let seen = contents(check);
        let key = format!("{scenario} {id} {name} {status} {seen}");
        let entry = found
            .entry(key)
            .or_insert_with(|| (0, format!("{} {seen}", check.line())));
        entry.0 += 1;
    }
    found
}

/// What a server said, as the suite saw it.
fn contents(check: &Check) -> Value {
    let Value::Object(details) = &check.details else {
        return Value::Null;
    };
    if check.id == OWN_REFUSAL {
        return Value::Null;
    }
    details
        .iter()
        .filter(|(name, _)| CONTENTS.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), steady(value.clone())))
        .collect()
}

/// Without what differs from run to run.
fn steady(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(name, _)| !VOLATILE.contains(&name.as_str()))
            .map(|(name, value)| (name, steady(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(steady).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn written(name: &str, lines: &[String]) -> Result<PathBuf> {
    let folder = workspace::target()?.join("judges");
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("conformance-{name}.txt"));
    let head = "- straight at the server, + through the guard; status, scenario, check, name, error, what was seen\n";
    fs::write(&file, format!("{head}{}\n", lines.join("\n")))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Check, Checks, differences};

    fn run(checks: &[(&str, &str, Value)]) -> Checks {
        let check = |(id, status, details): &(&str, &str, Value)| Check {
            scenario: "tools-list".into(),
            id: (*id).into(),
            name: "Name".into(),
            status: (*status).into(),
            error: None,
            details: details.clone(),
        };
        Checks {
            all: checks.iter().map(check).collect(),
        }
    }

    #[test]
    fn another_status_and_a_check_too_few_are_differences() {
        let direct = run(&[
            ("one", "SUCCESS", Value::Null),
            ("two", "INFO", Value::Null),
            ("two", "INFO", Value::Null),
        ]);
        let through = run(&[
            ("one", "FAILURE", Value::Null),
            ("two", "INFO", Value::Null),
        ]);
        let lines = differences(&direct, &through);
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert!(differences(&direct, &direct).is_empty());
    }

    #[test]
    fn another_content_under_the_same_status_is_a_difference() {
        let saw = |words: &str| {
            run(&[(
                "one",
                "SUCCESS",
                json!({ "result": { "content": words, "taskId": words } }),
            )])
        };
        assert_eq!(differences(&saw("paper"), &saw("denied")).len(), 2);
        let other = run(&[(
            "one",
            "SUCCESS",
            json!({ "result": { "content": "paper", "taskId": "other" } }),
        )]);
        assert!(differences(&saw("paper"), &other).is_empty());
    }
}
