//! Calls at the boundaries of rules: what each rule names, just inside and just outside of its conditions.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::bundle::{BundleContent, ObjectContent};
use crate::source::policy::{TestCall, TestCaller};
use crate::source::rule::Condition;
use crate::source::{Literal, Operator, Rule, Subject};

/// More probes than this say nothing more.
const MOST_PROBES: usize = 20_000;

/// A caller and a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub caller: TestCaller,
    pub call: TestCall,
    /// Scopes of callers that list none.
    pub scopes: Vec<String>,
}

/// Calls at the boundaries of the rules of both contents, without repetition, in a stable order.
#[must_use]
pub fn boundary_probes(contents: &[&BundleContent]) -> Vec<Probe> {
    let objects = || contents.iter().flat_map(|content| &content.objects);
    let rules = || objects().flat_map(|object| object.rules.iter().map(|content| &content.rule));
    let scopes: BTreeSet<String> = rules()
        .flat_map(|rule| rule.scopes.iter().cloned())
        .collect();
    let scopes: Vec<String> = scopes.into_iter().collect();
    let callers = callers(objects());
    let mut seen = BTreeSet::new();
    let mut probes = Vec::new();
    for call in rules().flat_map(calls_of) {
        for caller in &callers {
            let written = serde_json::to_string(&(caller, &call)).unwrap_or_default();
            if probes.len() >= MOST_PROBES || !seen.insert(written) {
                continue;
            }
            probes.push(Probe {
                caller: caller.clone(),
                call: call.clone(),
                scopes: scopes.clone(),
            });
        }
    }
    probes
}

/// One caller an item of subjects, and a stranger.
fn callers<'c>(objects: impl Iterator<Item = &'c ObjectContent>) -> Vec<TestCaller> {
    let mut callers = vec![TestCaller::default()];
    for object in objects {
        let client = object.clients.first().map(|glob| sample(glob));
        if let Some(client) = &client {
            callers.push(TestCaller {
                client: Some(client.clone()),
                ..TestCaller::default()
            });
        }
        for subject in &object.subjects {
            let caller = caller_of(subject, client.clone());
            if !callers.contains(&caller) {
                callers.push(caller);
            }
        }
    }
    callers
}

fn caller_of(subject: &Subject, client: Option<String>) -> TestCaller {
    let claims: Map<String, Value> = subject
        .claims
        .iter()
        .filter_map(|(name, values)| Some((name.clone(), values.0.first()?.to_value())))
        .collect();
    TestCaller {
        user: subject.users.first().cloned(),
        groups: subject.groups.first().cloned().into_iter().collect(),
        issuer: subject.issuer.clone(),
        client,
        service_account: subject.service_accounts.first().cloned(),
        claims,
        ..TestCaller::default()
    }
}

/// Something that a glob matches.
fn sample(glob: &str) -> String {
    glob.replace("**", "x").replace('*', "x")
}

fn calls_of(rule: &Rule) -> Vec<TestCall> {
    let arguments = argument_sets(&rule.when);
    let mut calls = Vec::new();
    for set in &arguments {
        let arguments = Some(set.clone());
        calls.extend(rule.tools.iter().map(|glob| TestCall {
            tool: Some(sample(glob)),
            arguments: arguments.clone(),
            ..TestCall::default()
        }));
        calls.extend(rule.prompts.iter().map(|glob| TestCall {
            prompt: Some(sample(glob)),
            arguments: arguments.clone(),
            ..TestCall::default()
        }));
    }
    calls.extend(rule.resources.iter().map(|glob| TestCall {
        resource: Some(sample(glob)),
        ..TestCall::default()
    }));
    calls.extend(rule.methods.iter().map(|glob| TestCall {
        method: Some(sample(glob)),
        ..TestCall::default()
    }));
    calls
}

/// No arguments; then all conditions inside; then each condition in turn at each of its boundaries.
fn argument_sets(conditions: &[Condition]) -> Vec<Map<String, Value>> {
    let parts: Vec<(&str, Vec<Value>)> = conditions
        .iter()
        .filter_map(|part| Some((part.argument.as_deref()?, boundary_values(part))))
        .collect();
    let mut inside = Map::new();
    for (path, values) in &parts {
        if let Some(value) = values.first() {
            put(&mut inside, path, value.clone());
        }
    }
    let mut sets = vec![Map::new(), inside.clone()];
    for (path, values) in &parts {
        for value in values {
            let mut set = inside.clone();
            put(&mut set, path, value.clone());
            sets.push(set);
        }
    }
    sets
}

/// Values at the boundary of a condition; the first one is inside where that can be said.
fn boundary_values(part: &Condition) -> Vec<Value> {
    let listed = part.values.iter().map(Literal::to_value);
    match part.operator {
        Operator::LessThan
        | Operator::LessThanOrEqual
        | Operator::GreaterThan
        | Operator::GreaterThanOrEqual => part.values.first().map(around).unwrap_or_default(),
        Operator::StartsWith => listed
            .flat_map(|value| extended(&value, |text| format!("{text}x")))
            .collect(),
        Operator::EndsWith => listed
            .flat_map(|value| extended(&value, |text| format!("x{text}")))
            .collect(),
        Operator::Within => listed
            .flat_map(|value| extended(&value, |text| format!("{text}/x")))
            .collect(),
        Operator::Exists | Operator::DoesNotExist => vec![json!("x"), Value::Null],
        Operator::Equals
        | Operator::NotEquals
        | Operator::In
        | Operator::NotIn
        | Operator::Matches
        | Operator::NotMatches => listed.chain([json!("x"), json!(0), json!(true)]).collect(),
    }
}

fn around(bound: &Literal) -> Vec<Value> {
    match bound {
        Literal::Number(number) => match number.as_i64() {
            Some(whole) => vec![
                json!(whole),
                json!(whole.saturating_sub(1)),
                json!(whole.saturating_add(1)),
                json!("x"),
            ],
            None => vec![Value::Number(number.clone()), json!("x")],
        },
        Literal::Bool(_) | Literal::Text(_) => Vec::new(),
    }
}

fn extended(value: &Value, extend: impl Fn(&str) -> String) -> Vec<Value> {
    let Some(text) = value.as_str() else {
        return Vec::new();
    };
    vec![json!(extend(text)), json!(text), json!("y")]
}

/// Sets what a path of plain names stands for; other paths have no one place.
fn put(into: &mut Map<String, Value>, path: &str, value: Value) {
    let Some(names) = path.strip_prefix("$.") else {
        return;
    };
    if names.contains(['[', '*']) || names.contains("..") {
        return;
    }
    match names.split_once('.') {
        None => {
            into.insert(names.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = into.entry(first).or_insert_with(|| json!({}));
            if let Value::Object(inner) = inner {
                put(inner, &format!("$.{rest}"), value);
            }
        }
    }
}
