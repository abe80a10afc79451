//! What stays visible in lists, and when that may change.

use serde_json::json;

use super::bed::*;
use crate::bundle::Bundle;
use crate::decide::{Facts, Listed, ToolFacts};
use crate::time::UnixMillis;

#[test]
fn a_tool_that_could_be_allowed_or_held_for_some_arguments_stays_visible() {
    let arg = json!([{ "argument": "$.a", "operator": "Equals", "values": ["x"] }]);
    let claim = json!([{ "principal": "level", "operator": "Equals", "values": [1] }]);
    let allow = |when: &serde_json::Value| json!({ "name": "a", "effect": "Allow", "tools": ["t"], "when": when });
    let deny = |when: &serde_json::Value| json!({ "name": "d", "effect": "Deny", "tools": ["t"], "when": when });
    let hold =
        json!({ "name": "h", "effect": "RequireApproval", "tools": ["t"], "approval": approval() });
    let scoped = json!({ "name": "s", "effect": "Allow", "tools": ["t"], "scopes": ["x"] });
    let none = json!([]);
    let rows = [
        ("nothing", json!([]), false),
        ("allowed", json!([allow(&none)]), true),
        ("allowed for some arguments", json!([allow(&arg)]), true),
        ("allowed for others' claims", json!([allow(&claim)]), false),
        ("held", json!([hold]), true),
        ("allowed with another scope", json!([scoped]), true),
        ("denied", json!([allow(&none), deny(&none)]), false),
        (
            "denied for some arguments",
            json!([allow(&none), deny(&arg)]),
            true,
        ),
        (
            "denied for others' claims",
            json!([allow(&none), deny(&claim)]),
            true,
        ),
    ];
    let principal = ada();
    for (name, rules, expected) in rows {
        let seen = with_rules(&rules).visible(&Listed::Tool { name: "t" }, &facts(&principal));
        assert_eq!(seen, expected, "{name}");
    }
}

#[test]
fn a_guardrails_hold_makes_nothing_visible() {
    let floor = json!({ "rules": [{ "name": "f", "effect": "RequireApproval", "tools": ["*"], "approval": approval() }] });
    let bundle = bundle_of(&json!({}), &[], &[floor]);
    assert!(!bundle.visible(&Listed::Tool { name: "t" }, &facts(&ada())));
}

#[test]
fn a_hint_decides_visibility_where_it_is_known() {
    let bundle = with_rules(&json!([{ "name": "a", "effect": "Allow", "tools": ["*"],
        "when": [{ "tool": "annotations.readOnlyHint", "operator": "Equals", "values": [true] }] }]));
    let principal = ada();
    for (annotations, expected) in [(r#"{"readOnlyHint":true}"#, true), ("{}", false)] {
        let document = document(annotations);
        let facts = Facts {
            tool: Some(ToolFacts {
                annotations: Some(document.root()),
                ..ToolFacts::default()
            }),
            ..facts(&principal)
        };
        assert_eq!(
            bundle.visible(&Listed::Tool { name: "t" }, &facts),
            expected,
            "{annotations}"
        );
    }
}

#[test]
fn templates_are_visible_where_some_expansion_can_be_read() {
    let bundle = with_rules(&json!([
        { "name": "a", "effect": "Allow", "resources": ["docs://handbook/**", "one://x/y"] },
        { "name": "d", "effect": "Deny", "resources": ["docs://handbook/secret/**"] },
    ]));
    let rows = [
        ("docs://handbook/{page}", true),
        ("docs://{book}/x", true),
        ("docs://handbook/secret/{page}", false),
        ("docs://other/{page}", false),
        ("one://{a}/{b}", true),
    ];
    let principal = ada();
    for (template, expected) in rows {
        let listed = Listed::Template {
            uri_template: template,
        };
        assert_eq!(
            bundle.visible(&listed, &facts(&principal)),
            expected,
            "{template}"
        );
    }
    for (uri, expected) in [
        ("docs://handbook/a", true),
        ("docs://handbook/secret/a", false),
        ("docs://handbook/../a", false),
    ] {
        assert_eq!(
            bundle.visible(&Listed::Resource { uri }, &facts(&principal)),
            expected,
            "{uri}"
        );
    }
}

#[test]
fn nothing_is_visible_without_a_policy_in_force() {
    assert!(!Bundle::none(gateway_name()).visible(&Listed::Tool { name: "t" }, &facts(&ada())));
}

#[test]
fn law_28_the_next_edge_is_that_of_the_callers_own_policies_and_of_the_bundle() {
    let policy = |user: &str, end: &str| {
        json!({ "subjects": [{ "users": [user] }], "validity": { "notAfter": end },
            "rules": [{ "name": "a", "effect": "Allow", "tools": ["*"] }] })
    };
    let bundle = bundle_of(
        &json!({}),
        &[
            policy("bob", "2026-11-23T12:30:00Z"),
            policy("ada", "2026-11-23T13:00:00Z"),
        ],
        &[],
    );
    let at = |minutes: i64| UnixMillis(NOON.0 + minutes * 60_000);
    assert_eq!(bundle.next_edge(&ada(), NOON), Some(at(60)));
    assert_eq!(bundle.next_edge(&ada(), at(60)), None);
    let bundle = bundle.with_expiry(at(10));
    assert_eq!(bundle.next_edge(&ada(), NOON), Some(at(10)));
    let facts_at = |now| Facts {
        now,
        ..facts(Box::leak(Box::new(ada())))
    };
    assert!(bundle.visible(&Listed::Tool { name: "t" }, &facts_at(at(9))));
    assert!(!bundle.visible(&Listed::Tool { name: "t" }, &facts_at(at(10))));
}
