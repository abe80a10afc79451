//! Targets, floors, stored rules and having no policy: laws 5 to 7 and 9.

use serde_json::json;

use super::bed::*;
use crate::bundle::Bundle;
use crate::compile;
use crate::decide::{Decision, Operation};
use crate::name::Issuer;

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

/// A policy that allows everything, and one whose masking is this.
fn stored_with(masking: &serde_json::Value) -> compile::Compiled {
    let policies = [
        json!({ "rules": [{ "name": "a", "effect": "Allow", "tools": ["*"], "prompts": ["*"] }] }),
        json!({ "rules": [{ "name": "d", "effect": "Deny", "tools": ["x"] }], "masking": masking }),
    ];
    let sources = sources(&json!({}), &policies, &[]);
    assert!(compile::compile(&sources, &gateway_name()).is_err());
    compile::compile_stored(&sources, &gateway_name()).unwrap()
}

#[test]
fn law_07_stored_masking_by_field_that_no_longer_compiles_stops_the_tools_it_was_about() {
    let stored = stored_with(&json!({ "fields": [
        { "tool": "get_*", "path": "$.card[" },
        { "tool": "list", "path": "$.email" },
    ] }));
    let paths: Vec<_> = stored.mistakes.iter().map(|found| &found.path).collect();
    assert_eq!(paths, ["spec.masking.fields[0].path"]);
    assert_eq!(stored.content.settings.masking.fields.len(), 1);
    let bytes = stored.content.canonical().unwrap();
    let bundle = Bundle::activate(crate::bundle::BundleContent::decode(&bytes).unwrap()).unwrap();
    for (tool, expected) in [
        ("get_customer", "masking_unreadable"),
        ("list", "allow by a"),
        ("x", "denied_by_rule by d"),
    ] {
        assert_eq!(told(&call(&bundle, tool, "{}")), expected, "{tool}");
    }
    let prompt = Operation::Prompt {
        name: "get_customer",
        arguments: None,
    };
    assert_eq!(told(&ask(&bundle, prompt)), "allow by a");
}

#[test]
fn law_07_stored_masking_of_any_text_that_no_longer_compiles_stops_everything() {
    for masking in [
        json!({ "patterns": [{ "name": "p", "regex": "(" }] }),
        json!({ "detectors": ["OfAnotherVersion"] }),
    ] {
        let stored = stored_with(&masking);
        assert_eq!(stored.mistakes.len(), 1, "{masking}");
        let bundle = Bundle::activate(stored.content).unwrap();
        assert_eq!(told(&call(&bundle, "t", "{}")), "masking_unreadable");
    }
    let broken = json!({ "masking": { "patterns": [{ "name": "p", "regex": "(" }] } });
    let floor = json!({ "rules": [], "masking": { "detectors": ["OfAnotherVersion"] } });
    for (gateway, floors) in [(broken, vec![]), (json!({}), vec![floor])] {
        let sources = sources(&gateway, &[], &floors);
        let stored = compile::compile_stored(&sources, &gateway_name()).unwrap();
        let settings = &stored.content.settings;
        assert!(settings.unreadable_masking.everything);
        assert!(settings.masking.patterns.is_empty());
        let bundle = Bundle::activate(stored.content).unwrap();
        assert_eq!(told(&call(&bundle, "t", "{}")), "no_policy");
    }
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
