//! How operands are read: laws 2 to 4.

use serde_json::json;

use super::bed::*;
use crate::bundle::Bundle;
use crate::decide::{Budgets, Facts, Operation, ToolFacts};

fn when(effect: &str, condition: &serde_json::Value) -> Bundle {
    let mut rule = json!({ "name": "r", "effect": effect, "tools": ["t"], "when": [condition] });
    if effect == "RequireApproval" {
        rule["approval"] = approval();
    }
    let base = json!({ "name": "base", "effect": "Allow", "tools": ["t"] });
    let rules = if effect == "Allow" {
        json!([rule])
    } else {
        json!([base, rule])
    };
    with_rules(&rules)
}

/// (arguments, condition, under Allow, under Deny, under RequireApproval)
type Row = (
    &'static str,
    serde_json::Value,
    &'static str,
    &'static str,
    &'static str,
);

fn check_rows(rows: &[Row]) {
    for (arguments, condition, allow, deny, hold) in rows {
        for (effect, expected) in [("Allow", allow), ("Deny", deny), ("RequireApproval", hold)] {
            let decision = call(&when(effect, condition), "t", arguments);
            let verdict = told(&decision);
            let verdict = verdict.split(" by").next().unwrap();
            assert_eq!(verdict, *expected, "{effect} {condition} {arguments}");
        }
    }
}

#[test]
fn law_02_absent_and_null_are_false_for_positive_operators_and_true_for_not_where_it_restricts() {
    let equals = json!({ "argument": "$.a", "operator": "Equals", "values": ["x"] });
    let not_equals = json!({ "argument": "$.a", "operator": "NotEquals", "values": ["x"] });
    let not_in = json!({ "argument": "$.a", "operator": "NotIn", "values": ["x"] });
    let not_matches = json!({ "argument": "$.a", "operator": "NotMatches", "values": ["x"] });
    let exists = json!({ "argument": "$.a", "operator": "Exists" });
    let absent = json!({ "argument": "$.a", "operator": "DoesNotExist" });
    let mut rows: Vec<Row> = Vec::new();
    for arguments in ["{}", r#"{"a":null}"#] {
        rows.push((arguments, equals.clone(), "no_rule", "allow", "allow"));
        for not in [&not_equals, &not_in, &not_matches] {
            rows.push((arguments, not.clone(), "no_rule", "denied_by_rule", "hold"));
        }
        rows.push((arguments, exists.clone(), "no_rule", "allow", "allow"));
        rows.push((arguments, absent.clone(), "allow", "denied_by_rule", "hold"));
    }
    check_rows(&rows);
}

#[test]
fn law_02_an_absent_argument_makes_a_deny_not_equals_true() {
    let condition = json!({ "argument": "$.a", "operator": "NotEquals", "values": ["x"] });
    assert_eq!(
        told(&call(&when("Deny", &condition), "t", "{}")),
        "denied_by_rule by r"
    );
}

#[test]
fn law_02_several_nodes_any_restricts_and_all_are_needed_to_allow() {
    let all = json!({ "argument": "$.a[*]", "operator": "Equals", "values": ["x"] });
    check_rows(&[
        (
            r#"{"a":["x","x"]}"#,
            all.clone(),
            "allow",
            "denied_by_rule",
            "hold",
        ),
        (
            r#"{"a":["x","y"]}"#,
            all.clone(),
            "no_rule",
            "denied_by_rule",
            "hold",
        ),
        (
            r#"{"a":["y","y"]}"#,
            all.clone(),
            "no_rule",
            "allow",
            "allow",
        ),
        (r#"{"a":[]}"#, all.clone(), "no_rule", "allow", "allow"),
        (
            r#"{"a":["x",null]}"#,
            all,
            "no_rule",
            "denied_by_rule",
            "hold",
        ),
    ]);
}

#[test]
fn law_02_nothing_is_coerced() {
    let text = json!({ "argument": "$.a", "operator": "Equals", "values": ["1"] });
    let number = json!({ "argument": "$.a", "operator": "Equals", "values": [1] });
    check_rows(&[
        (
            r#"{"a":1}"#,
            text.clone(),
            "no_rule",
            "denied_by_rule",
            "condition_error",
        ),
        (
            r#"{"a":"1"}"#,
            number.clone(),
            "no_rule",
            "denied_by_rule",
            "condition_error",
        ),
        (
            r#"{"a":true}"#,
            number.clone(),
            "no_rule",
            "denied_by_rule",
            "condition_error",
        ),
        (r#"{"a":1.0}"#, number, "allow", "denied_by_rule", "hold"),
        (r#"{"a":"1"}"#, text, "allow", "denied_by_rule", "hold"),
    ]);
}

#[test]
fn law_03_what_cannot_be_evaluated_counts_against_the_caller() {
    let less = json!({ "argument": "$.a", "operator": "LessThan", "values": [10] });
    let not = json!({ "argument": "$.a", "operator": "NotMatches", "values": ["x"] });
    let within = json!({ "argument": "$.a", "operator": "Within", "values": ["/srv"] });
    check_rows(&[
        (
            r#"{"a":"9"}"#,
            less.clone(),
            "no_rule",
            "denied_by_rule",
            "condition_error",
        ),
        (
            r#"{"a":{"b":1}}"#,
            less,
            "no_rule",
            "denied_by_rule",
            "condition_error",
        ),
        (
            r#"{"a":[1]}"#,
            not,
            "no_rule",
            "denied_by_rule",
            "condition_error",
        ),
        (
            r#"{"a":"/../etc"}"#,
            within,
            "no_rule",
            "denied_by_rule",
            "condition_error",
        ),
    ]);
}

#[test]
fn law_03_a_condition_that_is_surely_false_decides_beside_one_that_cannot_be_evaluated() {
    let rules = json!([
        { "name": "base", "effect": "Allow", "tools": ["t"] },
        { "name": "d", "effect": "Deny", "tools": ["t"], "when": [
            { "argument": "$.a", "operator": "LessThan", "values": [10] },
            { "argument": "$.b", "operator": "Equals", "values": ["x"] } ] },
    ]);
    assert_eq!(
        told(&call(&with_rules(&rules), "t", r#"{"a":"9","b":"y"}"#)),
        "allow by base"
    );
    assert_eq!(
        told(&call(&with_rules(&rules), "t", r#"{"a":"9","b":"x"}"#)),
        "denied_by_rule by d"
    );
}

#[test]
fn law_04_a_key_that_folds_to_a_known_one_is_refused() {
    let bundle = with_rules(&json!([
        { "name": "a", "effect": "Allow", "tools": ["t", "u"] },
        { "name": "d", "effect": "Deny", "tools": ["t"],
          "when": [{ "argument": "$.card.number", "operator": "Equals", "values": ["1"] }] },
    ]));
    let declared = vec!["Limit".to_owned(), "straße".to_owned(), "LIMIT".to_owned()];
    let rows = [
        ("t", r#"{"card":{"number":"2"}}"#, "allow by a"),
        ("t", r#"{"card":{"Number":"1"}}"#, "ambiguous_key"),
        ("t", r#"{"CARD":{"number":"1"}}"#, "ambiguous_key"),
        ("t", "{\"card\\u0000\":1}", "ambiguous_key"),
        ("t", r#"{"deep":[{"NUMBER":1}]}"#, "ambiguous_key"),
        ("u", r#"{"CARD":{"number":"1"}}"#, "allow by a"),
        ("t", r#"{"Limit":1}"#, "allow by a"),
        ("t", r#"{"LIMIT":1}"#, "allow by a"),
        ("t", r#"{"limit":1}"#, "ambiguous_key"),
        ("t", r#"{"STRASSE":1}"#, "ambiguous_key"),
        ("t", r#"{"other":1}"#, "allow by a"),
    ];
    let principal = ada();
    for (tool, arguments, expected) in rows {
        let document = document(arguments);
        let facts = Facts {
            tool: Some(ToolFacts {
                input_properties: &declared,
                ..ToolFacts::default()
            }),
            ..facts(&principal)
        };
        let operation = Operation::Tool {
            name: tool,
            arguments: Some(document.root()),
        };
        let decision = bundle.decide(&operation, &facts, &mut Budgets::new());
        assert_eq!(told(&decision), expected, "{tool} {arguments}");
    }
}

#[test]
fn law_04_names_in_rules_of_other_peoples_policies_count_too() {
    let bundle = bundle_of(
        &json!({}),
        &[
            json!({ "rules": [{ "name": "a", "effect": "Allow", "tools": ["t"] }] }),
            json!({ "subjects": [{ "users": ["bob"] }], "rules": [{ "name": "d", "effect": "Deny", "tools": ["t"],
                "when": [{ "argument": "$.sql", "operator": "Exists" }] }] }),
        ],
        &[],
    );
    assert_eq!(told(&call(&bundle, "t", r#"{"SQL":1}"#)), "ambiguous_key");
}
