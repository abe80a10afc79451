//! Precedence: law 1, scopes and codes.

use serde_json::json;

use super::bed::*;
use crate::decide::{Decision, DenyReason, Operation, Verdict};

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
