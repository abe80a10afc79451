//! Laws 1 to 9 and 19 as tables.

use std::time::Duration;

use serde_json::json;

use super::bed::*;
use crate::bundle::Bundle;
use crate::compile;
use crate::decide::{
    Budgets, Decision, DenyReason, Facts, GrantUse, Operation, ToolFacts, Verdict,
};
use crate::name::{Issuer, RequestId};
use crate::time::UnixMillis;

#[test]
fn law_01_nothing_matched_is_deny() {
    let bundle = with_rules(&json!([{ "name": "read", "effect": "Allow", "tools": ["stock_*"] }]));
    let rows = [
        ("stock_read", "allow by read"),
        ("update", "no_rule"),
        ("Stock_read", "no_rule"),
    ];
    for (tool, expected) in rows {
        assert_eq!(told(&call(&bundle, tool, "{}")), expected, "{tool}");
    }
    for operation in [
        Operation::Prompt {
            name: "stock_x",
            arguments: None,
        },
        Operation::Resource { uri: "stock://x" },
        Operation::Method {
            method: "logging/setLevel",
        },
    ] {
        assert_eq!(told(&ask(&bundle, operation)), "no_rule", "{operation:?}");
    }
}

#[test]
fn law_01_deny_beats_hold_beats_allow_in_any_order() {
    let allow = json!({ "name": "allow", "effect": "Allow", "tools": ["t"] });
    let hold = json!({ "name": "hold", "effect": "RequireApproval", "tools": ["t"], "approval": approval() });
    let deny = json!({ "name": "deny", "effect": "Deny", "tools": ["t"] });
    let rows = [
        (json!([allow, hold, deny]), "denied_by_rule by deny"),
        (json!([deny, hold, allow]), "denied_by_rule by deny"),
        (json!([hold, allow]), "hold by hold"),
        (json!([allow, hold]), "hold by hold"),
        (json!([hold]), "hold by hold"),
        (json!([allow]), "allow by allow"),
    ];
    for (rules, expected) in rows {
        assert_eq!(
            told(&call(&with_rules(&rules), "t", "{}")),
            expected,
            "{rules}"
        );
    }
}

#[test]
fn law_01_what_is_open_needs_no_rule_but_obeys_a_deny() {
    let open = Operation::Open {
        method: "tools/list",
    };
    assert_eq!(told(&ask(&with_rules(&json!([])), open)), "allow by open");
    let held = json!([{ "name": "h", "effect": "RequireApproval", "methods": ["*"], "approval": approval() }]);
    assert_eq!(told(&ask(&with_rules(&held), open)), "allow by open");
    let denied = json!([{ "name": "d", "effect": "Deny", "methods": ["tools/*"] }]);
    assert_eq!(
        told(&ask(&with_rules(&denied), open)),
        "denied_by_rule by d"
    );
}

#[test]
fn law_01_requests_of_the_server_need_an_allow() {
    let principal = ada();
    let rows = [
        (json!([]), false),
        (
            json!([{ "name": "a", "effect": "Allow", "methods": ["elicitation/create"] }]),
            true,
        ),
        (
            json!([{ "name": "a", "effect": "Allow", "methods": ["sampling/*"] }]),
            false,
        ),
        (
            json!([{ "name": "h", "effect": "RequireApproval", "methods": ["*"], "approval": approval() }]),
            false,
        ),
    ];
    for (rules, expected) in rows {
        let allowed =
            with_rules(&rules).server_request_allowed("elicitation/create", &facts(&principal));
        assert_eq!(allowed, expected, "{rules}");
    }
}

#[test]
fn law_01_a_deny_of_the_method_denies_every_tool_but_an_allow_of_it_allows_none() {
    let both = |effect: &str| {
        with_rules(&json!([
            { "name": "t", "effect": "Allow", "tools": ["a"] },
            { "name": "m", "effect": effect, "methods": ["tools/call"], "prompts": ["p"] },
        ]))
    };
    assert_eq!(told(&call(&both("Deny"), "a", "{}")), "denied_by_rule by m");
    assert_eq!(told(&call(&both("Allow"), "a", "{}")), "allow by t");
    assert_eq!(told(&call(&both("Allow"), "b", "{}")), "no_rule");
}

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

#[test]
fn law_05_targets_of_one_rule_are_alternatives() {
    let bundle = with_rules(
        &json!([{ "name": "r", "effect": "Allow", "tools": ["t_*"], "prompts": ["p"],
        "resources": ["docs://handbook/**"], "methods": ["logging/*"] }]),
    );
    let rows = [
        (
            Operation::Tool {
                name: "t_1",
                arguments: None,
            },
            "allow by r",
        ),
        (
            Operation::Prompt {
                name: "p",
                arguments: None,
            },
            "allow by r",
        ),
        (
            Operation::Prompt {
                name: "t_1",
                arguments: None,
            },
            "no_rule",
        ),
        (
            Operation::Resource {
                uri: "docs://handbook/a/b",
            },
            "allow by r",
        ),
        (
            Operation::Resource {
                uri: "docs://other/a",
            },
            "no_rule",
        ),
        (
            Operation::Resource {
                uri: "docs://handbook/../other",
            },
            "ambiguous_uri",
        ),
        (
            Operation::Method {
                method: "logging/setLevel",
            },
            "allow by r",
        ),
    ];
    for (operation, expected) in rows {
        assert_eq!(told(&ask(&bundle, operation)), expected, "{operation:?}");
    }
}

#[test]
fn law_05_conditions_on_arguments_apply_to_prompts() {
    let bundle = with_rules(&json!([{ "name": "r", "effect": "Allow", "prompts": ["p"],
        "when": [{ "argument": "$.lang", "operator": "In", "values": ["en", "de"] }] }]));
    for (arguments, expected) in [
        (r#"{"lang":"en"}"#, "allow by r"),
        (r#"{"lang":"fr"}"#, "no_rule"),
    ] {
        let document = document(arguments);
        let operation = Operation::Prompt {
            name: "p",
            arguments: Some(document.root()),
        };
        assert_eq!(told(&ask(&bundle, operation)), expected);
    }
}

#[test]
fn law_06_a_guardrail_hold_permits_nothing_by_itself() {
    let floor = json!({ "rules": [{ "name": "floor", "effect": "RequireApproval", "tools": ["*"], "approval": approval() }] });
    let allow = json!({ "rules": [{ "name": "a", "effect": "Allow", "tools": ["t"] }] });
    let hold = json!({ "rules": [{ "name": "h", "effect": "RequireApproval", "tools": ["t"], "approval": approval() }] });
    let floors = std::slice::from_ref(&floor);
    assert_eq!(
        told(&call(&bundle_of(&json!({}), &[], floors), "t", "{}")),
        "no_rule"
    );
    assert_eq!(
        told(&call(&bundle_of(&json!({}), &[allow], floors), "t", "{}")),
        "hold by floor"
    );
    let both = call(&bundle_of(&json!({}), &[hold], floors), "t", "{}");
    let Decision::Hold(needed, _) = &both else {
        panic!("{}", told(&both))
    };
    let names: Vec<_> = needed
        .rules
        .iter()
        .map(|rule| rule.id.to_string())
        .collect();
    assert_eq!(names, ["guardrail:floor0/floor", "policy0/h"]);
}

#[test]
fn law_07_stored_rules_that_no_longer_compile_restrict_everything_and_grant_nothing() {
    let bad = json!([{ "argument": "$.a", "operator": "Matches", "values": ["("] }]);
    let good = json!({ "name": "good", "effect": "Allow", "tools": ["*"] });
    let rows = [
        (
            json!({ "name": "bad", "effect": "Deny", "tools": ["x"], "when": bad }),
            "denied_by_rule by bad",
        ),
        (
            json!({ "name": "bad", "effect": "RequireApproval", "tools": ["x"], "when": bad, "approval": approval() }),
            "hold by bad",
        ),
        (
            json!({ "name": "bad", "effect": "RequireApproval", "tools": ["x"], "when": bad, "approval": { "approvers": [] } }),
            "condition_error by bad",
        ),
        (
            json!({ "name": "bad", "effect": "Allow", "tools": ["y"], "when": bad }),
            "allow by good",
        ),
    ];
    for (rule, expected) in rows {
        let sources = sources(&json!({}), &[json!({ "rules": [good, rule] })], &[]);
        assert!(
            compile::compile(&sources, &gateway_name()).is_err(),
            "{rule}"
        );
        let stored = compile::compile_stored(&sources, &gateway_name()).unwrap();
        assert!(
            stored
                .mistakes
                .iter()
                .any(|mistake| mistake.path.starts_with("spec.rules[1]")),
            "{rule}"
        );
        let bundle = Bundle::activate(stored.content).unwrap();
        assert_eq!(told(&call(&bundle, "anything", "{}")), expected, "{rule}");
    }
    let only_bad =
        json!({ "rules": [{ "name": "bad", "effect": "Allow", "tools": ["*"], "when": bad }] });
    let stored =
        compile::compile_stored(&sources(&json!({}), &[only_bad], &[]), &gateway_name()).unwrap();
    assert_eq!(
        told(&call(&Bundle::activate(stored.content).unwrap(), "t", "{}")),
        "no_rule"
    );
}

#[test]
fn law_07_a_deny_of_a_policy_whose_subjects_no_longer_compile_is_about_everybody() {
    let policies = [
        json!({ "rules": [{ "name": "a", "effect": "Allow", "tools": ["*"] }] }),
        json!({ "subjects": [{ "claims": { "a..b": ["x"] } }], "rules": [{ "name": "d", "effect": "Deny", "tools": ["x"] }] }),
    ];
    let stored =
        compile::compile_stored(&sources(&json!({}), &policies, &[]), &gateway_name()).unwrap();
    let bundle = Bundle::activate(stored.content).unwrap();
    assert_eq!(told(&call(&bundle, "t", "{}")), "denied_by_rule by d");
}

#[test]
fn law_08_a_budget_counts_by_principal_and_says_when_to_come_back() {
    let limits = json!({ "limits": { "budgets": [{ "tools": ["t*"], "calls": 2, "per": "1m" }] } });
    let policy = json!({ "rules": [{ "name": "a", "effect": "Allow", "tools": ["*"] }] });
    let bundle = bundle_of(&limits, &[policy], &[]);
    let mut budgets = Budgets::new();
    let (ada, mut bob) = (ada(), ada());
    bob.subject = crate::name::Subject::new("bob");
    let mut at = |principal, tool, seconds: i64| {
        let facts = Facts {
            now: UnixMillis(NOON.0 + seconds * 1000),
            ..facts(principal)
        };
        let operation = Operation::Tool {
            name: tool,
            arguments: None,
        };
        match bundle.decide(&operation, &facts, &mut budgets) {
            Decision::Allow(..) => None,
            Decision::Deny(denial, _) => {
                assert_eq!(denial.reason, DenyReason::BudgetExhausted);
                denial.retry_after
            }
            Decision::Hold(..) => panic!("nothing holds here"),
        }
    };
    assert_eq!(at(&ada, "t1", 0), None);
    assert_eq!(at(&ada, "t2", 0), None);
    assert_eq!(at(&ada, "t1", 0), Some(Duration::from_secs(30)));
    assert_eq!(at(&ada, "other", 0), None, "not counted");
    assert_eq!(at(&bob, "t1", 0), None, "another principal");
    assert_eq!(at(&ada, "t1", 29), Some(Duration::from_secs(1)));
    assert_eq!(at(&ada, "t1", 30), None);
    assert_eq!(
        at(&ada, "t1", 0),
        Some(Duration::from_secs(30)),
        "a clock that jumps back refills nothing"
    );
}

#[test]
fn law_08_a_denied_call_costs_nothing_and_places_free_themselves() {
    let limits = json!({ "limits": { "budgets": [{ "tools": ["*"], "calls": 1, "per": "1h" }] } });
    let policy = json!({ "rules": [{ "name": "a", "effect": "Allow", "tools": ["t"] }] });
    let bundle = bundle_of(&limits, &[policy], &[]);
    let (principal, mut budgets) = (ada(), Budgets::new());
    let mut decide = |name| {
        let operation = Operation::Tool {
            name,
            arguments: None,
        };
        told(&bundle.decide(&operation, &facts(&principal), &mut budgets))
    };
    assert_eq!(decide("denied"), "no_rule");
    assert_eq!(decide("t"), "allow by a");
    assert_eq!(decide("t"), "budget_exhausted");
    let budgets = Budgets::new();
    let first = budgets.enter(1);
    assert!(first.is_some() && budgets.enter(1).is_none());
    drop(first);
    assert_eq!(budgets.running(), 0);
    assert!(budgets.enter(1).is_some());
}

#[test]
fn law_09_without_policy_read_only_tools_are_callable_and_everything_else_is_held() {
    let bundle = Bundle::built_in(gateway_name(), &Issuer::new(IDP)).unwrap();
    let rows = [
        (r#"{"readOnlyHint":true}"#, "allow by read-only-hint"),
        (r#"{"readOnlyHint":false}"#, "hold by other-tools"),
        (
            r#"{"readOnlyHint":"yes"}"#,
            "condition_error by other-tools",
        ),
        ("{}", "hold by other-tools"),
    ];
    for (annotations, expected) in rows {
        assert_eq!(
            told(&call_hinted(&bundle, "t", annotations)),
            expected,
            "{annotations}"
        );
    }
    assert_eq!(
        told(&call(&bundle, "unlisted", "{}")),
        "hold by other-tools"
    );
    assert_eq!(
        told(&ask(&bundle, Operation::Resource { uri: "docs://x" })),
        "hold by everything-else"
    );
}

#[test]
fn law_19_a_resumed_call_runs_if_allowed_or_held_by_exactly_the_approved_rules() {
    let hold = |name: &str, tools: &str| json!({ "name": name, "effect": "RequireApproval", "tools": [tools], "approval": approval() });
    let allow = json!({ "name": "a", "effect": "Allow", "tools": ["t"] });
    let unrelated = json!({ "name": "z", "effect": "Deny", "tools": ["other"] });
    let deny = json!({ "name": "d", "effect": "Deny", "tools": ["t"] });
    let before = with_rules(&json!([hold("h", "t")]));
    let Decision::Hold(needed, _) = call(&before, "t", "{}") else {
        panic!("not held")
    };
    let grant = GrantUse::consumed(RequestId::new("r1"), needed.digests());
    let rows = [
        (json!([hold("h", "t")]), "allow by h"),
        (json!([hold("h", "t"), unrelated]), "allow by h"),
        (json!([allow]), "allow by a"),
        (json!([hold("h", "t*")]), "grant_mismatch by h"),
        (
            json!([hold("h", "t"), hold("h2", "t")]),
            "grant_mismatch by h",
        ),
        (json!([hold("h", "t"), deny]), "denied_by_rule by d"),
        (json!([]), "no_rule"),
    ];
    let principal = ada();
    for (rules, expected) in rows {
        let operation = Operation::Tool {
            name: "t",
            arguments: None,
        };
        let decision = with_rules(&rules).decide_granted(&operation, &facts(&principal), &grant);
        assert_eq!(told(&decision), expected, "{rules}");
        if let Decision::Allow(permit, _) = decision {
            assert_eq!(permit.grant(), Some(&RequestId::new("r1")));
        }
    }
}

#[test]
fn law_22_the_conditions_of_a_window_are_read_as_an_allow_reads_them() {
    let mut approval = approval();
    approval["grant"] = json!({ "scope": "Tool", "maxUses": 3,
        "when": [{ "argument": "$.n", "operator": "LessThan", "values": [10] }] });
    let bundle = with_rules(
        &json!([{ "name": "h", "effect": "RequireApproval", "tools": ["t"], "approval": approval }]),
    );
    let Decision::Hold(needed, _) = call(&bundle, "t", "{}") else {
        panic!("not held")
    };
    let principal = ada();
    for (arguments, covered) in [
        (r#"{"n":9}"#, true),
        (r#"{"n":10}"#, false),
        (r#"{"n":"9"}"#, false),
        ("{}", false),
    ] {
        let document = document(arguments);
        let operation = Operation::Tool {
            name: "t",
            arguments: Some(document.root()),
        };
        assert_eq!(
            needed.rules[0].grant_covers(&operation, &facts(&principal)),
            covered,
            "{arguments}"
        );
    }
    assert_eq!(needed.rules[0].grant.max_uses, Some(3));
}

#[test]
fn no_bundle_and_an_expired_one_deny_everything_what_is_open_too() {
    let none = Bundle::none(gateway_name());
    let expired =
        with_rules(&json!([{ "name": "a", "effect": "Allow", "tools": ["*"], "methods": ["*"] }]))
            .with_expiry(NOON);
    for (bundle, expected) in [(none, "no_policy"), (expired, "policy_expired")] {
        assert_eq!(told(&call(&bundle, "t", "{}")), expected);
        assert_eq!(
            told(&ask(
                &bundle,
                Operation::Open {
                    method: "initialize"
                }
            )),
            expected
        );
        assert!(!bundle.server_request_allowed("elicitation/create", &facts(&ada())));
    }
}

#[test]
fn a_missing_scope_is_asked_for_only_where_nothing_else_stands_in_the_way() {
    let scoped = json!({ "name": "s", "effect": "Allow", "tools": ["t"], "scopes": ["customers.read"],
        "when": [{ "argument": "$.n", "operator": "LessThan", "values": [10] }] });
    let bundle = with_rules(&json!([scoped]));
    let Decision::Deny(denial, _) = call(&bundle, "t", r#"{"n":1}"#) else {
        panic!("allowed")
    };
    assert_eq!(
        (denial.reason, denial.missing_scopes),
        (
            DenyReason::InsufficientScope,
            vec!["customers.read".to_owned()]
        )
    );
    assert_eq!(told(&call(&bundle, "t", r#"{"n":10}"#)), "no_rule");
    let mut principal = ada();
    principal.scopes.insert("customers.read".to_owned());
    assert!(is(
        &call_as(&bundle, &principal, "t", r#"{"n":1}"#),
        Verdict::Allow
    ));
}

#[test]
fn every_reason_prints_the_code_it_is_stored_under() {
    for reason in DenyReason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), json!(reason.code()));
    }
}
