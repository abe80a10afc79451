use serde_json::{Value, json};

use super::super::validate;
use super::{response, review};

fn object(kind: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "sallyport.dev/v1alpha1", "kind": kind,
        "metadata": { "name": "x", "namespace": "shop", "managedFields": [{ "manager": "m" }], "uid": "u" },
        "spec": spec,
    })
}

fn policy(rules: Value, tests: Value) -> Value {
    let mut object = object(
        "McpAccessPolicy",
        &json!({
            "targetRefs": [{ "kind": "McpGateway", "name": "inventory" }],
            "subjects": [{ "groups": ["clerks"] }],
        }),
    );
    object["spec"]["rules"] = rules;
    object["spec"]["tests"] = tests;
    object
}

#[test]
fn what_policy_check_refuses_is_refused() {
    let allow = json!({ "name": "read", "effect": "Allow", "tools": ["stock_*"] });
    let test = |expect: &str| json!([{ "name": "reads", "as": { "groups": ["clerks"] }, "call": { "tool": "stock_get" }, "expect": expect }]);
    for (name, object, told) in [
        (
            "an unknown field",
            object("McpGateway", &json!({ "sever": {} })),
            "spec.sever",
        ),
        (
            "a pattern that does not compile",
            policy(
                json!([{ "name": "a", "effect": "Deny", "tools": ["x"], "when": [{ "argument": "$.a", "operator": "Matches", "values": ["("] }] }]),
                json!([]),
            ),
            "spec.rules[0].when[0].values[0]",
        ),
        (
            "a rule of nothing",
            policy(json!([{ "name": "a", "effect": "Deny" }]), json!([])),
            "spec.rules[0]",
        ),
        (
            "a guardrail that allows",
            object(
                "McpGuardrail",
                &json!({ "rules": [{ "name": "a", "effect": "Allow", "tools": ["x"] }] }),
            ),
            "spec.rules[0]",
        ),
        (
            "a test that fails",
            policy(json!([allow]), test("Deny")),
            "spec.tests[0]",
        ),
    ] {
        let mut object = object;
        if object["kind"] == "McpGuardrail" {
            object["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("namespace");
        }
        let answer = validate(&review("CREATE", &object));
        assert_eq!(answer.reason, "Invalid", "{name}");
        let message = response(&answer.body)["status"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.contains(told), "{name}: {message}");
    }
    let good = validate(&review("CREATE", &policy(json!([allow]), test("Allow"))));
    assert!(good.allowed, "{}", response(&good.body));
}

#[test]
fn what_is_legal_and_suspicious_is_warned_of() {
    let rules = json!([
        { "name": "all", "effect": "Deny", "tools": ["*"] },
        { "name": "never", "effect": "Allow", "tools": ["stock_get"] },
    ]);
    let answer = validate(&review("CREATE", &policy(rules, json!([]))));
    assert!(answer.allowed);
    let warnings = response(&answer.body)["warnings"].to_string();
    assert!(warnings.contains("rules[1]"), "{warnings}");
}

#[test]
fn a_finalizer_can_be_removed_from_what_no_longer_compiles() {
    let broken = object("McpGateway", &json!({ "sever": {} }));
    let mut body: Value = serde_json::from_slice(&review("UPDATE", &broken)).unwrap();
    assert!(
        !validate(body.to_string().as_bytes()).allowed,
        "its spec changed"
    );
    body["request"]["oldObject"] = broken;
    assert!(validate(body.to_string().as_bytes()).allowed);
}

#[test]
fn nobody_reviews_in_anothers_name() {
    for (by, allowed) in [("ada", true), ("eve", false)] {
        let review_object = object(
            "McpAccessReview",
            &json!({
                "requestRef": { "name": "r" }, "gatewayName": "inventory", "verdict": "Approve", "reason": "agreed",
                "by": { "username": by, "groups": [] },
            }),
        );
        assert_eq!(
            validate(&review("CREATE", &review_object)).allowed,
            allowed,
            "{by}"
        );
    }
}
