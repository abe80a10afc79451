//! Windows that are asked for before there is a call (law 22).

use serde_json::{Value, json};

use super::bed::*;
use crate::bundle::Bundle;
use crate::decide::{Asker, NoWindow, ToolFacts};
use crate::principal::Principal;
use crate::time::UnixMillis;

const HOUR: i64 = 3_600_000;

fn ask_for(
    bundle: &Bundle,
    principal: &Principal,
    any_client: bool,
    hint: &str,
) -> Result<Vec<String>, NoWindow> {
    let annotations = document(hint);
    let facts = ToolFacts {
        annotations: Some(annotations.root()),
        ..ToolFacts::default()
    };
    let asker = Asker {
        principal,
        any_client,
        from: NOON,
        until: UnixMillis(NOON.0 + HOUR),
    };
    let rules = bundle.holds_ahead("t", facts, &asker)?;
    Ok(rules.iter().map(|rule| rule.id.rule.clone()).collect())
}

/// What Ada's one agent hears.
fn told_ahead(policies: &[Value], guardrails: &[Value]) -> String {
    let bundle = bundle_of(&json!({}), policies, guardrails);
    match ask_for(&bundle, &ada(), false, r#"{"readOnlyHint":false}"#) {
        Ok(rules) => rules.join(" "),
        Err(why) => why.to_string(),
    }
}

fn hold(name: &str, when: &Value) -> Value {
    json!({ "name": name, "effect": "RequireApproval", "tools": ["t"], "approval": approval(), "when": when })
}

#[test]
#[expect(clippy::too_many_lines, reason = "one row a case")]
fn law_22_a_window_names_every_rule_that_can_hold_a_call_of_its_tool() {
    let none = json!([]);
    let policy = |rules: Value| json!({ "rules": rules });
    let about = |who: &str, what: Value| json!({ who: what, "rules": [hold("h", &json!([]))] });
    let hinted = |value: bool| json!([{ "tool": "annotations.readOnlyHint", "operator": "Equals", "values": [value] }]);
    let argument = json!([{ "argument": "$.a", "operator": "Equals", "values": ["x"] }]);
    let claim = json!([{ "principal": "level", "operator": "Equals", "values": [1] }]);
    let address = json!([{ "source": "address", "operator": "Within", "values": ["10.0.0.0/8"] }]);
    let not_allowed = NoWindow::NotAllowed.to_string();
    let rows = [
        ("held", vec![policy(json!([hold("h", &none)]))], "h"),
        (
            "held for some arguments",
            vec![policy(json!([hold("h", &argument)]))],
            "h",
        ),
        (
            "held for some claims",
            vec![policy(json!([hold("h", &claim)]))],
            "h",
        ),
        (
            "held from some addresses",
            vec![policy(json!([hold("h", &address)]))],
            "h",
        ),
        (
            "held by its hint",
            vec![policy(json!([hold("h", &hinted(false))]))],
            "h",
        ),
        (
            "not held by its hint",
            vec![policy(json!([hold("h", &hinted(true))]))],
            &not_allowed,
        ),
        (
            "two rules",
            vec![policy(json!([hold("g", &argument), hold("h", &claim)]))],
            "g h",
        ),
        (
            "the group is given",
            vec![about("subjects", json!([{ "groups": ["clerks"] }]))],
            "h",
        ),
        (
            "another group",
            vec![about("subjects", json!([{ "groups": ["leads"] }]))],
            &not_allowed,
        ),
        (
            "a claim may be there",
            vec![about("subjects", json!([{ "claims": { "a": ["b"] } }]))],
            "h",
        ),
        (
            "a claim of another group",
            vec![about(
                "subjects",
                json!([{ "groups": ["leads"], "claims": { "a": ["b"] } }]),
            )],
            &not_allowed,
        ),
        (
            "the client is listed",
            vec![about("clients", json!(["https://agents.example.com/*"]))],
            "h",
        ),
        (
            "another client",
            vec![about("clients", json!(["https://other.example.com/*"]))],
            &not_allowed,
        ),
        (
            "begins within the window",
            vec![about(
                "validity",
                json!({ "notBefore": "2026-11-23T12:30:00Z" }),
            )],
            "h",
        ),
        (
            "begins after the window",
            vec![about(
                "validity",
                json!({ "notBefore": "2026-11-23T13:30:00Z" }),
            )],
            &not_allowed,
        ),
        (
            "nothing holds",
            vec![policy(
                json!([{ "name": "a", "effect": "Allow", "tools": ["t"] }]),
            )],
            "no rule holds this tool for this caller, so it needs no approval: call it",
        ),
        (
            "surely denied",
            vec![policy(
                json!([hold("h", &none), { "name": "d", "effect": "Deny", "tools": ["*"] }]),
            )],
            "rule `policy0/d` denies every such call; no approval can change that",
        ),
        (
            "denied for some arguments",
            vec![policy(
                json!([hold("h", &none), { "name": "d", "effect": "Deny", "tools": ["*"], "when": argument }]),
            )],
            "h",
        ),
        (
            "observed",
            vec![json!({ "enforcement": "Observe", "rules": [hold("h", &none)] })],
            &not_allowed,
        ),
    ];
    for (name, policies, expected) in rows {
        assert_eq!(told_ahead(&policies, &[]), expected, "{name}");
    }
}

#[test]
fn law_22_a_window_for_any_client_is_held_by_the_rules_about_each() {
    let policy =
        json!({ "clients": ["https://other.example.com/*"], "rules": [hold("h", &json!([]))] });
    let bundle = bundle_of(&json!({}), &[policy], &[]);
    assert_eq!(
        ask_for(&bundle, &ada(), true, "{}"),
        Ok(vec!["h".to_owned()])
    );
    assert_eq!(
        ask_for(&bundle, &ada(), false, "{}"),
        Err(NoWindow::NotAllowed)
    );
}

#[test]
fn law_22_a_guardrails_hold_belongs_to_the_window_and_permits_nothing_by_itself() {
    let floor = json!({ "rules": [hold("floor", &json!([]))] });
    let allow = json!({ "rules": [{ "name": "a", "effect": "Allow", "tools": ["t"] }] });
    assert_eq!(
        told_ahead(&[], std::slice::from_ref(&floor)),
        NoWindow::NotAllowed.to_string()
    );
    assert_eq!(told_ahead(&[allow], &[floor]), "floor");
}
