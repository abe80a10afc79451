//! Observe and the floor: law 6.

#![expect(clippy::too_many_lines, reason = "a table is one row after another")]

use serde_json::json;

use super::bed::*;
use crate::compile;
use crate::decide::{DenyReason, Verdict};

#[test]
fn law_06_observe_records_what_policies_say_and_lets_calls_pass() {
    let policy = json!({ "rules": [
        { "name": "a", "effect": "Allow", "tools": ["ok"] },
        { "name": "d", "effect": "Deny", "tools": ["bad"] },
        { "name": "h", "effect": "RequireApproval", "tools": ["risky"], "approval": approval() } ] });
    let bundle = bundle_of(&json!({ "enforcement": "Observe" }), &[policy], &[]);
    let rows = [
        ("ok", "allow by a", None),
        (
            "bad",
            "allow by observe",
            Some((Verdict::Deny, Some(DenyReason::DeniedByRule))),
        ),
        ("risky", "allow by observe", Some((Verdict::Hold, None))),
        (
            "unknown",
            "allow by observe",
            Some((Verdict::Deny, Some(DenyReason::NoRule))),
        ),
    ];
    for (tool, expected, shadow) in rows {
        let decision = call(&bundle, tool, "{}");
        assert_eq!(told(&decision), expected, "{tool}");
        let found = decision
            .explanation()
            .shadow
            .as_ref()
            .map(|shadow| (shadow.verdict, shadow.reason));
        assert_eq!(found, shadow, "{tool}");
    }
}

#[test]
fn law_06_observe_never_applies_to_guardrails() {
    let floor = json!({ "rules": [
        { "name": "never", "effect": "Deny", "tools": ["drop"] },
        { "name": "ask", "effect": "RequireApproval", "tools": ["risky"], "approval": approval() } ] });
    let bundle = bundle_of(&json!({ "enforcement": "Observe" }), &[], &[floor]);
    assert_eq!(
        told(&call(&bundle, "drop", "{}")),
        "denied_by_rule by never"
    );
    assert_eq!(told(&call(&bundle, "risky", "{}")), "hold by ask");
    assert_eq!(told(&call(&bundle, "other", "{}")), "allow by observe");
}

#[test]
fn law_06_a_policy_in_observe_neither_allows_nor_denies() {
    let enforced = json!({ "rules": [{ "name": "a", "effect": "Allow", "tools": ["t"] }] });
    let shadow = json!({ "enforcement": "Observe", "rules": [
        { "name": "d", "effect": "Deny", "tools": ["t"] },
        { "name": "more", "effect": "Allow", "tools": ["u"] } ] });
    let bundle = bundle_of(&json!({}), &[enforced, shadow], &[]);
    let t = call(&bundle, "t", "{}");
    assert_eq!(told(&t), "allow by a");
    assert_eq!(
        t.explanation().shadow.as_ref().map(|shadow| shadow.verdict),
        Some(Verdict::Deny)
    );
    assert!(t.explanation().looked.iter().any(|looked| looked.observed));
    let u = call(&bundle, "u", "{}");
    assert_eq!(told(&u), "no_rule");
    assert_eq!(
        u.explanation().shadow.as_ref().map(|shadow| shadow.verdict),
        Some(Verdict::Allow)
    );
}

#[test]
fn law_06_a_gateway_below_the_floor_denies_everything_and_says_why() {
    let allow = json!({ "rules": [{ "name": "a", "effect": "Allow", "tools": ["*"] }] });
    let rows = [
        (json!({}), json!({}), None),
        (
            json!({ "recording": { "mode": "BestEffort" } }),
            json!({ "recording": "Strict" }),
            Some("spec.recording.mode"),
        ),
        (
            json!({ "recording": { "payloads": "Masked" } }),
            json!({ "payloads": ["Metadata"] }),
            Some("spec.recording.payloads"),
        ),
        (json!({}), json!({ "payloads": ["Metadata"] }), None),
        (
            json!({}),
            json!({ "issuers": ["https://other"] }),
            Some("spec.authentication.issuers[0].issuer"),
        ),
        (
            json!({ "enforcement": "Observe" }),
            json!({ "enforcement": "Enforce" }),
            Some("spec.enforcement"),
        ),
        (
            json!({ "toolPins": { "onChange": "Alert" } }),
            json!({ "toolPins": "Quarantine" }),
            Some("spec.toolPins.onChange"),
        ),
        (
            json!({ "capture": "Socket" }),
            json!({ "capture": ["Init", "Cni"] }),
            Some("spec.capture"),
        ),
        (
            json!({ "policyMaxAge": "48h" }),
            json!({ "policyMaxAge": "24h" }),
            Some("spec.policyMaxAge"),
        ),
        (json!({}), json!({ "policyMaxAge": "1h" }), None),
    ];
    for (gateway, require, expected) in rows {
        let compiled = compiled(
            &gateway,
            std::slice::from_ref(&allow),
            &[json!({ "require": require })],
        );
        let paths: Vec<_> = compiled
            .below
            .iter()
            .map(|mistake| mistake.path.as_str())
            .collect();
        assert_eq!(
            paths,
            expected.into_iter().collect::<Vec<_>>(),
            "{gateway} {require}"
        );
        let bundle = crate::bundle::Bundle::activate(compiled.content).unwrap();
        let verdict = if expected.is_some() {
            "below_guardrail"
        } else {
            "allow by a"
        };
        assert_eq!(
            told(&call(&bundle, "t", "{}")),
            verdict,
            "{gateway} {require}"
        );
    }
}

#[test]
fn law_06_limits_of_a_guardrail_lower_and_its_masking_adds() {
    let gateway = json!({ "limits": { "requestBytes": "8Mi", "concurrentCalls": 5 }, "masking": { "detectors": ["Email"] } });
    let floor = json!({ "limits": { "requestBytes": "1Mi", "concurrentCalls": 50,
            "budgets": [{ "tools": ["*"], "calls": 9, "per": "1m" }] },
        "masking": { "detectors": ["Credentials"], "action": "Drop" } });
    let content = compiled(&gateway, &[], &[floor]).content;
    let limits = &content.settings.limits;
    assert_eq!(
        (
            limits.request_bytes,
            limits.concurrent_calls,
            limits.budgets.len()
        ),
        (1 << 20, 5, 1)
    );
    let masking = &content.settings.masking;
    assert_eq!(
        masking.detectors.as_deref(),
        Some(&["Email".to_owned(), "Credentials".to_owned()][..])
    );
    assert_eq!(
        masking.action,
        Some(crate::source::masking::MaskAction::Drop)
    );
}

#[test]
fn a_guardrail_of_other_namespaces_is_not_this_gateways() {
    let floor = json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "other" } },
        "rules": [{ "name": "d", "effect": "Deny", "tools": ["*"] }] });
    let allow = json!({ "rules": [{ "name": "a", "effect": "Allow", "tools": ["*"] }] });
    let sources = sources(&json!({}), &[allow], &[floor]);
    assert!(
        compile::compile(&sources, &gateway_name())
            .unwrap()
            .content
            .objects
            .len()
            == 1
    );
}
