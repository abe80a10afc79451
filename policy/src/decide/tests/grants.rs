//! What time and approvals change: laws 8, 19 and 22.

use std::time::Duration;

use serde_json::json;

use super::bed::*;
use crate::decide::{Budgets, Decision, DenyReason, Facts, GrantUse, Operation};
use crate::name::RequestId;
use crate::time::UnixMillis;

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
