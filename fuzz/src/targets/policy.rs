//! Decisions: total, default deny, and nothing that is added ever widens what something else denies.

use bytes::Bytes;
use sallyport_policy::bundle::Bundle;
use sallyport_policy::compile;
use sallyport_policy::decide::{Budgets, Decision, Facts, Listed, Operation, Verdict, no_header};
use sallyport_policy::json::{Document, Limits};
use sallyport_policy::name::{ClientId, GatewayName, Issuer, Subject};
use sallyport_policy::principal::Principal;
use sallyport_policy::source::Sources;
use sallyport_policy::time::UnixMillis;
use serde_json::{Value, json};

use super::{Target, texts};
use crate::input::{parts, text};

pub(super) const TARGET: Target = Target {
    name: "policy",
    law: "every decision is reached; without a rule it is a denial; a guardrail or another policy never widens what rules deny or hold; what may be called is listed",
    property,
    seeds,
    longest: 2048,
    words: &[
        "\"name\":\"r\"",
        "\"effect\":\"Allow\"",
        "\"effect\":\"Deny\"",
        "\"effect\":\"RequireApproval\"",
        "\"tools\":[\"*\"]",
        "\"resources\":[\"**\"]",
        "\"prompts\":[\"*\"]",
        "\"methods\":[\"*\"]",
        "\"when\":[",
        "\"argument\":\"$.a\"",
        "\"principal\":\"dept\"",
        "\"source\":\"Address\"",
        "\"header\":\"x-a\"",
        "\"tool\":\"readOnlyHint\"",
        "\"operator\":\"In\"",
        "\"NotIn\"",
        "\"Exists\"",
        "\"DoesNotExist\"",
        "\"GreaterThan\"",
        "\"LessThan\"",
        "\"Matches\"",
        "\"NotMatches\"",
        "\"Within\"",
        "\"values\":[",
        "\"approval\":{\"approvers\":[{\"groups\":[\"leads\"]}]}",
        "\"scopes\":[\"a\"]",
        "\u{1e}",
    ],
};

const IDP: &str = "https://idp.example.com";

fn seeds() -> Vec<Vec<u8>> {
    let allow = r#"[{"name":"a","effect":"Allow","tools":["get_*"]},{"name":"d","effect":"Deny","tools":["*"],"when":[{"argument":"$.n","operator":"GreaterThan","values":[5]}]}]"#;
    let ask = r#"[{"name":"q","effect":"RequireApproval","tools":["set_*"],"when":[{"argument":"$..path","operator":"In","values":["a"]}],"approval":{"approvers":[{"groups":["leads"]}]}},{"name":"a","effect":"Allow","tools":["*"],"resources":["file:///a/**"],"prompts":["p"],"methods":["*"]}]"#;
    let floor = r#"[{"name":"f","effect":"RequireApproval","tools":["set_*"],"approval":{"approvers":[{"groups":["leads"]}]}}]"#;
    texts(&[
        &format!("{allow}\u{1e}[]\u{1e}get_x\u{1e}{{\"n\":3}}"),
        &format!("{ask}\u{1e}{floor}\u{1e}set_x\u{1e}{{\"path\":[\"a\"],\"N\":7}}"),
        &format!(
            "{ask}\u{1e}[{{\"name\":\"g\",\"effect\":\"Deny\",\"resources\":[\"file:///a/b/*\"]}}]\u{1e}file:///a/b/../c\u{1e}null"
        ),
    ])
}

fn property(data: &[u8]) {
    let mut given = parts(data);
    let rules = |part: Option<&[u8]>| serde_json::from_slice::<Value>(part?).ok();
    let (Some(rules), Some(floor)) = (rules(given.next()), rules(given.next())) else {
        return;
    };
    let Some(name) = text(given.next()) else {
        return;
    };
    let arguments = given.next().unwrap_or(b"{}");
    let Ok(arguments) = Document::parse(Bytes::copy_from_slice(arguments), Limits::REQUEST) else {
        return;
    };
    let everything = json!([{"name": "all", "effect": "Allow", "tools": ["*"], "resources": ["**"], "prompts": ["*"], "methods": ["*"]}]);
    let nothing = json!([{"name": "none", "effect": "Deny", "tools": ["*"], "resources": ["**"], "prompts": ["*"], "methods": ["*"]}]);
    let Some(alone) = bundle(&[&rules], &[]) else {
        return;
    };
    let beside =
        bundle(&[&rules, &everything], &[]).expect("what compiles alone compiles beside another");
    let closed = bundle(&[&rules, &everything, &nothing], &[]).expect("and beside a denial");
    let guarded = bundle(&[&rules], &[&floor]);
    let root = arguments.root();
    let operations = [
        Operation::Tool {
            name,
            arguments: Some(root),
        },
        Operation::Prompt {
            name,
            arguments: None,
        },
        Operation::Resource { uri: name },
        Operation::Method { method: name },
    ];
    for operation in &operations {
        let decided = decide(&alone, operation);
        assert!(
            decided.verdict() == Verdict::Deny || decided.rule().is_some(),
            "let in by no rule"
        );
        let wider = decide(&beside, operation);
        if decided.verdict() == Verdict::Deny && decided.rule().is_some() {
            assert_eq!(
                wider.verdict(),
                Verdict::Deny,
                "another policy widened a denial"
            );
        }
        if decided.verdict() == Verdict::Hold {
            assert_ne!(
                wider.verdict(),
                Verdict::Allow,
                "another policy let a held call through"
            );
        }
        assert_eq!(
            decide(&closed, operation).verdict(),
            Verdict::Deny,
            "deny beats all"
        );
        if let Some(guarded) = &guarded {
            let narrower = decide(guarded, operation).verdict();
            assert!(
                strictness(narrower) >= strictness(decided.verdict()),
                "a guardrail widened"
            );
        }
        listed(&alone, operation, &decided);
    }
}

fn strictness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allow => 0,
        Verdict::Hold => 1,
        Verdict::Deny => 2,
    }
}

/// Lists are filtered by what could be allowed, so what is allowed now is in them.
fn listed(bundle: &Bundle, operation: &Operation<'_>, decided: &Decision) {
    let entry = match operation {
        Operation::Tool { name, .. } => Listed::Tool { name },
        Operation::Prompt { name, .. } => Listed::Prompt { name },
        Operation::Resource { uri } => Listed::Resource { uri },
        Operation::Method { .. } | Operation::Open { .. } => return,
    };
    let principal = ada();
    if decided.verdict() != Verdict::Deny {
        assert!(
            bundle.visible(&entry, &facts(&principal)),
            "callable and not listed"
        );
    }
}

/// In force after its way through the canonical form; none where the rules do not compile.
fn bundle(policies: &[&Value], guardrails: &[&Value]) -> Option<Bundle> {
    let named = |namespace: &str, rules: &[&Value], more: &Value| -> Vec<Value> {
        let object = |(place, rules): (usize, &&Value)| {
            let mut spec = more.clone();
            spec["rules"] = (*rules).clone();
            json!({"namespace": namespace, "name": format!("o{place}"), "spec": spec})
        };
        rules.iter().enumerate().map(object).collect()
    };
    let target = json!({"targetRefs": [{"kind": "McpGateway", "name": "inventory"}]});
    let sources: Sources = serde_json::from_value(json!({
        "gateways": [{"namespace": "shop", "name": "inventory", "spec": {"server": {}, "authentication": {"issuers": [{"issuer": IDP}]}}}],
        "policies": named("shop", policies, &target),
        "guardrails": named("", guardrails, &json!({})),
    }))
    .ok()?;
    let gateway = GatewayName {
        namespace: "shop".to_owned(),
        name: "inventory".to_owned(),
    };
    let compiled = compile::compile(&sources, &gateway).ok()?;
    Some(Bundle::activate(compiled.content).expect("what compiles can be put in force"))
}

fn decide(bundle: &Bundle, operation: &Operation<'_>) -> Decision {
    let principal = ada();
    bundle.decide(operation, &facts(&principal), &mut Budgets::new())
}

fn facts(principal: &Principal) -> Facts<'_> {
    Facts {
        principal,
        now: UnixMillis(1_795_435_200_000),
        source: None,
        header: &no_header,
        tool: None,
    }
}

fn ada() -> Principal {
    let claims = json!({"dept": "shop", "level": 3, "roles": ["a", "b"]});
    Principal {
        issuer: Issuer::new(IDP),
        subject: Subject::new("ada"),
        email: None,
        groups: ["clerks".to_owned()].into(),
        client: Some(ClientId::new("https://agents.example.com/one")),
        actor: None,
        scopes: std::collections::BTreeSet::new(),
        service_account: None,
        claims: claims.as_object().cloned().unwrap_or_default(),
        expires_at: None,
        anonymous: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_compile_so_that_decisions_are_fuzzed_and_not_mistakes() {
        for seed in seeds() {
            let rules: Vec<Value> = parts(&seed)
                .take(2)
                .map(|part| serde_json::from_slice(part).unwrap())
                .collect();
            assert!(bundle(&[&rules[0]], &[]).is_some(), "{}", rules[0]);
            assert!(bundle(&[], &[&rules[1]]).is_some(), "{}", rules[1]);
        }
    }
}
