//! What the tests share: sources from JSON, a caller, a call, a verdict.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::compile::{self, Compiled};
use crate::decide::{Budgets, Decision, Facts, Operation, ToolFacts, Verdict, no_header};
use crate::json::{Document, Limits};
use crate::name::{ClientId, GatewayName, Issuer, Subject};
use crate::principal::Principal;
use crate::source::Sources;
use crate::time::UnixMillis;

pub(super) const IDP: &str = "https://idp.example.com";
/// 2026-11-23 12:00 UTC, a Monday.
pub(super) const NOON: UnixMillis = UnixMillis(1_795_435_200_000);

pub(super) fn gateway_name() -> GatewayName {
    GatewayName {
        namespace: "shop".to_owned(),
        name: "inventory".to_owned(),
    }
}

/// Sources of one gateway; `gateway` is merged into its spec.
pub(super) fn sources(gateway: &Value, policies: &[Value], guardrails: &[Value]) -> Sources {
    let mut spec = json!({ "server": {}, "authentication": { "issuers": [{ "issuer": IDP }] } });
    for (key, value) in gateway.as_object().unwrap() {
        spec[key] = value.clone();
    }
    let named = |namespace: &str, prefix: &str, specs: &[Value]| -> Vec<Value> {
        let specs = specs.iter().enumerate();
        specs
            .map(|(index, spec)| json!({ "namespace": namespace, "name": format!("{prefix}{index}"), "spec": spec }))
            .collect()
    };
    let policies: Vec<_> = policies
        .iter()
        .map(|policy| {
            let mut policy = policy.clone();
            policy["targetRefs"] = json!([{ "kind": "McpGateway", "name": "inventory" }]);
            policy
        })
        .collect();
    serde_json::from_value(json!({
        "gateways": [{ "namespace": "shop", "name": "inventory", "spec": spec }],
        "policies": named("shop", "policy", &policies),
        "guardrails": named("", "floor", guardrails),
    }))
    .unwrap()
}

pub(super) fn compiled(gateway: &Value, policies: &[Value], guardrails: &[Value]) -> Compiled {
    compile::compile(&sources(gateway, policies, guardrails), &gateway_name()).unwrap()
}

/// A bundle that went through its canonical form, as in a sidecar.
pub(super) fn bundle_of(gateway: &Value, policies: &[Value], guardrails: &[Value]) -> Bundle {
    let bytes = compiled(gateway, policies, guardrails)
        .content
        .canonical()
        .unwrap();
    Bundle::activate(crate::bundle::BundleContent::decode(&bytes).unwrap()).unwrap()
}

/// One policy with these rules, about everybody.
pub(super) fn with_rules(rules: &Value) -> Bundle {
    bundle_of(&json!({}), &[json!({ "rules": rules })], &[])
}

pub(super) fn ada() -> Principal {
    Principal {
        issuer: Issuer::new(IDP),
        subject: Subject::new("ada"),
        email: None,
        groups: ["clerks".to_owned()].into(),
        client: Some(ClientId::new("https://agents.example.com/one")),
        actor: None,
        scopes: std::collections::BTreeSet::new(),
        service_account: None,
        claims: serde_json::Map::new(),
        expires_at: None,
        anonymous: false,
    }
}

pub(super) fn document(text: &str) -> Document {
    Document::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::REQUEST).unwrap()
}

pub(super) fn facts(principal: &Principal) -> Facts<'_> {
    Facts {
        principal,
        now: NOON,
        source: None,
        header: &no_header,
        tool: None,
    }
}

/// Ada calls a tool with these arguments.
pub(super) fn call(bundle: &Bundle, tool: &str, arguments: &str) -> Decision {
    call_as(bundle, &ada(), tool, arguments)
}

pub(super) fn call_as(
    bundle: &Bundle,
    principal: &Principal,
    tool: &str,
    arguments: &str,
) -> Decision {
    let arguments = document(arguments);
    let operation = Operation::Tool {
        name: tool,
        arguments: Some(arguments.root()),
    };
    bundle.decide(&operation, &facts(principal), &mut Budgets::new())
}

/// Ada calls a tool that the server describes so.
pub(super) fn call_hinted(bundle: &Bundle, tool: &str, annotations: &str) -> Decision {
    let (annotations, principal) = (document(annotations), ada());
    let facts = Facts {
        tool: Some(ToolFacts {
            annotations: Some(annotations.root()),
            ..ToolFacts::default()
        }),
        ..facts(&principal)
    };
    let operation = Operation::Tool {
        name: tool,
        arguments: None,
    };
    bundle.decide(&operation, &facts, &mut Budgets::new())
}

pub(super) fn ask(bundle: &Bundle, operation: Operation<'_>) -> Decision {
    bundle.decide(&operation, &facts(&ada()), &mut Budgets::new())
}

/// `allow`, `hold`, or the code of the denial; with the rule's name where there is one.
pub(super) fn told(decision: &Decision) -> String {
    let verdict = match decision {
        Decision::Allow(..) => "allow",
        Decision::Hold(..) => "hold",
        Decision::Deny(denial, _) => denial.reason.code(),
    };
    match decision.rule() {
        Some(rule) => format!("{verdict} by {}", rule.rule),
        None => verdict.to_owned(),
    }
}

pub(super) fn is(decision: &Decision, verdict: Verdict) -> bool {
    decision.verdict() == verdict
}

pub(super) fn approval() -> Value {
    json!({ "approvers": [{ "groups": ["leads"] }] })
}
