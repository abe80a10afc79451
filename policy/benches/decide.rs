//! One decision over ten thousand rules: at most 5 us, whatever the shape of the policy.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench stops at the first surprise, and gives its own objects new members"
)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use sallyport_policy::bundle::Bundle;
use sallyport_policy::compile;
use sallyport_policy::decide::{Budgets, Facts, Listed, Operation, Verdict, no_header};
use sallyport_policy::json::{Document, Limits};
use sallyport_policy::name::{GatewayName, Issuer, Subject};
use sallyport_policy::principal::Principal;
use sallyport_policy::source::Sources;
use sallyport_policy::time::UnixMillis;
use serde_json::{Value, json};

const IDP: &str = "https://idp.example.com";

fn bundle(policies: &[Value]) -> Bundle {
    let policies: Vec<_> = policies
        .iter()
        .enumerate()
        .map(|(index, policy)| {
            let mut policy = policy.clone();
            policy["targetRefs"] = json!([{ "kind": "McpGateway", "name": "g" }]);
            json!({ "namespace": "n", "name": format!("p{index}"), "spec": policy })
        })
        .collect();
    let sources: Sources = serde_json::from_value(json!({
        "gateways": [{ "namespace": "n", "name": "g", "spec": { "server": {}, "authentication": { "issuers": [{ "issuer": IDP }] } } }],
        "policies": policies, "guardrails": [],
    }))
    .unwrap();
    let gateway = GatewayName {
        namespace: "n".to_owned(),
        name: "g".to_owned(),
    };
    Bundle::activate(compile::compile(&sources, &gateway).unwrap().content).unwrap()
}

fn rule(name: &str, effect: &str, tool: &str) -> Value {
    json!({ "name": name, "effect": effect, "tools": [tool], "when": [
        { "argument": "$.limit", "operator": "LessThanOrEqual", "values": [1000] },
        { "argument": "$.sql", "operator": "Matches", "values": [format!("(?i)^\\s*select {name}")] } ] })
}

/// 1,000 policies of ten rules, each about its own group and tools.
fn many_tools() -> Vec<Value> {
    let policy = |p: usize| {
        let rules: Vec<_> = (0..10)
            .map(|r| rule(&format!("r{r}"), "Allow", &format!("tool_{p}_{r}*")))
            .collect();
        json!({ "subjects": [{ "groups": [format!("group{p}")] }], "rules": rules })
    };
    (0..1000).map(policy).collect()
}

/// 1,000 policies of ten rules, all of them about every tool, each about its own group.
fn every_tool() -> Vec<Value> {
    let policy = |p: usize| {
        let rules: Vec<_> = (0..10)
            .map(|r| rule(&format!("r{r}"), "Allow", "*"))
            .collect();
        json!({ "subjects": [{ "groups": [format!("group{p}")] }], "rules": rules })
    };
    (0..1000).map(policy).collect()
}

fn caller() -> Principal {
    Principal {
        issuer: Issuer::new(IDP),
        subject: Subject::new("ada"),
        email: None,
        groups: (0..40)
            .map(|g| format!("other{g}"))
            .chain(["group500".to_owned()])
            .collect(),
        client: None,
        actor: None,
        scopes: std::collections::BTreeSet::new(),
        service_account: None,
        claims: serde_json::Map::new(),
        expires_at: None,
        anonymous: false,
    }
}

fn decide(c: &mut Criterion) {
    let arguments =
        Bytes::from_static(br#"{"limit":100,"sql":"SELECT r9 from stock","columns":["a","b"]}"#);
    let document = Document::parse(arguments, Limits::REQUEST).unwrap();
    let principal = caller();
    let facts = Facts {
        principal: &principal,
        now: UnixMillis(0),
        source: None,
        header: &no_header,
        tool: None,
    };
    let operation = Operation::Tool {
        name: "tool_500_9x",
        arguments: Some(document.root()),
    };
    for (name, policies) in [("many_tools", many_tools()), ("every_tool", every_tool())] {
        let bundle = bundle(&policies);
        let mut budgets = Budgets::new();
        assert_eq!(bundle.rule_count(), 10_000);
        assert_eq!(
            bundle.decide(&operation, &facts, &mut budgets).verdict(),
            Verdict::Allow
        );
        c.bench_function(&format!("decide/10000_rules/{name}"), |b| {
            b.iter(|| black_box(bundle.decide(black_box(&operation), &facts, &mut budgets)));
        });
        c.bench_function(&format!("visible/10000_rules/{name}"), |b| {
            b.iter(|| {
                black_box(bundle.visible(
                    &Listed::Tool {
                        name: black_box("tool_500_9x"),
                    },
                    &facts,
                ))
            });
        });
    }
}

criterion_group!(benches, decide);
criterion_main!(benches);
