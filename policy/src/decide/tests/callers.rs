//! Whom a policy is about: laws 10 and 12.

#![expect(clippy::too_many_lines, reason = "a table is one row after another")]

use std::net::IpAddr;

use serde_json::{Value, json};

use super::bed::*;
use crate::bundle::Bundle;
use crate::decide::{Budgets, Facts, Operation, Verdict};
use crate::name::{ClientId, Issuer, Subject};
use crate::principal::{Principal, ServiceAccount};

fn about(subjects: &Value) -> Bundle {
    let rules = json!([{ "name": "a", "effect": "Allow", "tools": ["*"] }]);
    bundle_of(
        &json!({}),
        &[json!({ "subjects": subjects, "rules": rules })],
        &[],
    )
}

fn allows(bundle: &Bundle, principal: &Principal) -> bool {
    is(&call_as(bundle, principal, "t", "{}"), Verdict::Allow)
}

fn with(change: impl FnOnce(&mut Principal)) -> Principal {
    let mut principal = ada();
    change(&mut principal);
    principal
}

#[test]
fn law_10_every_field_of_an_item_must_fit_and_any_item_suffices() {
    let stranger = with(|p| p.issuer = Issuer::new("https://other.example.com"));
    let mailed = with(|p| {
        p.subject = Subject::new("123");
        p.email = Some("ada@example.com".to_owned());
    });
    let account = with(|p| {
        p.issuer = Issuer::new("https://kubernetes.default.svc");
        p.service_account = Some(ServiceAccount {
            namespace: "agents".to_owned(),
            name: "restocker".to_owned(),
        });
    });
    let rows = [
        ("group", json!([{ "groups": ["clerks"] }]), ada(), true),
        (
            "other group",
            json!([{ "groups": ["leads"] }]),
            ada(),
            false,
        ),
        (
            "any item",
            json!([{ "groups": ["leads"] }, { "users": ["ada"] }]),
            ada(),
            true,
        ),
        (
            "every field",
            json!([{ "groups": ["leads"], "users": ["ada"] }]),
            ada(),
            false,
        ),
        ("user", json!([{ "users": ["ada"] }]), ada(), true),
        (
            "user of another issuer",
            json!([{ "users": ["ada"] }]),
            stranger.clone(),
            false,
        ),
        (
            "issuer named",
            json!([{ "users": ["ada"], "issuer": "https://other.example.com" }]),
            stranger,
            true,
        ),
        (
            "other issuer named",
            json!([{ "users": ["ada"], "issuer": "https://other.example.com" }]),
            ada(),
            false,
        ),
        (
            "verified e-mail",
            json!([{ "users": ["ada@example.com"] }]),
            mailed,
            true,
        ),
        (
            "no e-mail",
            json!([{ "users": ["ada@example.com"] }]),
            ada(),
            false,
        ),
        (
            "account",
            json!([{ "serviceAccounts": [{ "namespace": "agents", "name": "restocker" }] }]),
            account.clone(),
            true,
        ),
        (
            "account elsewhere",
            json!([{ "serviceAccounts": [{ "namespace": "x", "name": "restocker" }] }]),
            account,
            false,
        ),
        ("whole issuer", json!([{ "issuer": IDP }]), ada(), true),
    ];
    for (name, subjects, principal, expected) in rows {
        assert_eq!(allows(&about(&subjects), &principal), expected, "{name}");
    }
}

#[test]
fn law_10_every_claim_listed_must_have_one_of_its_values() {
    let claims = json!({ "department": "warehouse", "level": 3, "tags": ["a", "b"], "nested": { "x": true } });
    let principal = with(|p| p.claims = claims.as_object().unwrap().clone());
    let rows = [
        (json!({ "department": ["warehouse"] }), true),
        (json!({ "department": ["office", "warehouse"] }), true),
        (json!({ "department": ["warehouse"], "level": [4] }), false),
        (json!({ "level": [3.0] }), true),
        (json!({ "level": ["3"] }), false),
        (json!({ "tags": ["b"] }), true),
        (json!({ "nested.x": [true] }), true),
        (json!({ "nested": [true] }), false),
        (json!({ "absent": ["x"] }), false),
    ];
    for (claims, expected) in rows {
        assert_eq!(
            allows(&about(&json!([{ "claims": claims }])), &principal),
            expected,
            "{claims}"
        );
    }
}

#[test]
fn law_10_the_standalone_issuer_stands_in_for_the_first_one_only() {
    let local = Issuer::new("https://standalone.example");
    let principal = with(|p| p.issuer = local.clone());
    let rows = [
        (json!([{ "users": ["ada"] }]), true),
        (json!([{ "users": ["ada"], "issuer": IDP }]), true),
        (
            json!([{ "users": ["ada"], "issuer": "https://other.example.com" }]),
            false,
        ),
    ];
    for (subjects, expected) in rows {
        assert!(
            !allows(&about(&subjects), &principal),
            "a foreign issuer is nobody: {subjects}"
        );
        let bundle = about(&subjects).with_standalone_issuer(local.clone());
        assert_eq!(allows(&bundle, &principal), expected, "{subjects}");
        let first = allows(&bundle, &ada());
        assert_eq!(
            first, expected,
            "tokens of the first issuer stay good: {subjects}"
        );
    }
}

#[test]
fn law_10_clients_must_match_both_the_client_and_the_actor_of_the_token() {
    let rules = json!([{ "name": "a", "effect": "Allow", "tools": ["*"] }]);
    let policy = json!({ "clients": ["https://agents.example.com/*"], "rules": rules });
    let bundle = bundle_of(&json!({}), &[policy], &[]);
    let rows = [
        ("listed", ada(), true),
        ("none", with(|p| p.client = None), false),
        (
            "other",
            with(|p| p.client = Some(ClientId::new("https://evil.example.com/x"))),
            false,
        ),
        (
            "deeper",
            with(|p| p.client = Some(ClientId::new("https://agents.example.com/x/y"))),
            false,
        ),
        (
            "other actor",
            with(|p| p.actor = Some("https://evil.example.com/x".to_owned())),
            false,
        ),
        (
            "listed actor",
            with(|p| p.actor = Some("https://agents.example.com/two".to_owned())),
            true,
        ),
        (
            "actor alone",
            with(|p| {
                p.client = None;
                p.actor = Some("https://agents.example.com/two".to_owned());
            }),
            false,
        ),
    ];
    for (name, principal, expected) in rows {
        assert_eq!(allows(&bundle, &principal), expected, "{name}");
    }
}

#[test]
fn law_12_a_header_restricts_and_the_address_is_judged_by_network() {
    let bundle = with_rules(&json!([
        { "name": "a", "effect": "Allow", "tools": ["*"], "when": [{ "source": "address", "operator": "Within", "values": ["10.0.0.0/8"] }] },
        { "name": "d", "effect": "Deny", "tools": ["*"], "when": [{ "header": "X-Risk", "operator": "Equals", "values": ["high"] }] },
    ]));
    let rows: [(Option<&str>, Option<&'static str>, &str); 5] = [
        (Some("10.1.2.3"), None, "allow by a"),
        (Some("::ffff:10.1.2.3"), None, "allow by a"),
        (Some("192.0.2.1"), None, "no_rule"),
        (None, None, "no_rule"),
        (Some("10.1.2.3"), Some("high"), "denied_by_rule by d"),
    ];
    let principal = ada();
    for (address, risk, expected) in rows {
        let header = |name: &str| risk.filter(|_| name == "x-risk").map(str::to_owned);
        let facts = Facts {
            source: address.map(|text| text.parse::<IpAddr>().unwrap()),
            header: &header,
            ..facts(&principal)
        };
        let operation = Operation::Tool {
            name: "t",
            arguments: None,
        };
        assert_eq!(
            told(&bundle.decide(&operation, &facts, &mut Budgets::new())),
            expected,
            "{address:?} {risk:?}"
        );
    }
}

#[test]
fn a_claim_is_an_operand() {
    let bundle = with_rules(&json!([{ "name": "a", "effect": "Allow", "tools": ["*"],
        "when": [{ "principal": "realm.level", "operator": "GreaterThanOrEqual", "values": [2] }] }]));
    for (level, expected) in [
        (json!(2), true),
        (json!(1), false),
        (json!("2"), false),
        (Value::Null, false),
    ] {
        let claims = json!({ "realm": { "level": level } });
        let principal = with(|p| p.claims = claims.as_object().unwrap().clone());
        assert_eq!(allows(&bundle, &principal), expected, "{claims}");
    }
}
