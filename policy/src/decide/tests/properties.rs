//! Laws over generated policies.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::bed::*;
use crate::bundle::Bundle;
use crate::decide::{Listed, Verdict};

const TOOLS: [&str; 4] = ["stock_read", "stock_write", "price", "p"];
const GLOBS: [&str; 8] = [
    "*",
    "stock_*",
    "*_read",
    "stock_read",
    "price",
    "p*",
    "s*_*e",
    "other",
];
const ARGUMENTS: [&str; 5] = [
    "{}",
    r#"{"n":1}"#,
    r#"{"n":5}"#,
    r#"{"n":"1"}"#,
    r#"{"n":null}"#,
];

fn condition() -> impl Strategy<Value = Value> {
    const OPERATORS: [&str; 5] = ["LessThan", "Equals", "NotEquals", "Exists", "DoesNotExist"];
    prop::sample::select(&OPERATORS[..]).prop_map(|operator| match operator {
        "Exists" | "DoesNotExist" => json!({ "argument": "$.n", "operator": operator }),
        _ => json!({ "argument": "$.n", "operator": operator, "values": [3] }),
    })
}

fn rule(effects: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let globs = prop::collection::vec(prop::sample::select(&GLOBS[..]), 1..3);
    let when = prop::collection::vec(condition(), 0..3);
    (prop::sample::select(effects), globs, when).prop_map(|(effect, tools, when)| {
        let mut rule = json!({ "effect": effect, "tools": tools, "when": when });
        if effect == "RequireApproval" {
            rule["approval"] = approval();
        }
        rule
    })
}

fn subjects() -> impl Strategy<Value = Value> {
    let items = [
        json!({ "groups": ["clerks"] }),
        json!({ "groups": ["leads"] }),
        json!({ "users": ["ada"], "groups": ["clerks"] }),
        json!({ "users": ["bob"] }),
        json!({ "issuer": IDP }),
    ];
    prop::collection::vec(prop::sample::select(items.to_vec()), 0..3).prop_map(Value::Array)
}

fn policy() -> impl Strategy<Value = Value> {
    let effects: &[&str] = &["Allow", "RequireApproval", "Deny"];
    (subjects(), prop::collection::vec(rule(effects), 1..4)).prop_map(|(subjects, mut rules)| {
        for (index, rule) in rules.iter_mut().enumerate() {
            rule["name"] = json!(format!("r{index}"));
        }
        json!({ "subjects": subjects, "rules": rules })
    })
}

fn policies() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(policy(), 0..4)
}

fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allow => 2,
        Verdict::Hold => 1,
        Verdict::Deny => 0,
    }
}

/// The verdict by brute force: every rule of every object, no index.
fn without_index(bundle: &Bundle, policies: &[Value], tool: &str, arguments: &str) -> Verdict {
    let principal = ada();
    let document = document(arguments);
    let facts = facts(&principal);
    let (mut denied, mut unjudged, mut held, mut allowed) = (false, false, false, false);
    let mut rules = bundle.rules.iter();
    for policy in policies {
        for written in policy["rules"].as_array().unwrap() {
            let rule = rules.next().unwrap();
            let object = &bundle.objects[rule.object];
            let names = written["tools"].as_array().unwrap().iter().any(|glob| {
                let glob = crate::condition::glob::Glob::new(
                    glob.as_str().unwrap(),
                    crate::condition::glob::GlobKind::Name,
                );
                glob.matches(tool)
            });
            if !names || !object.is_about(&principal, &bundle.issuers) {
                continue;
            }
            use crate::decide::rule::Judged::{CannotBeEvaluated, LacksScopes, Matched, Not};
            use crate::source::Effect::{Allow, Deny, RequireApproval};
            match (rule.effect, rule.judge(Some(document.root()), &facts)) {
                (_, Not(_) | LacksScopes(_)) | (Allow, CannotBeEvaluated(_)) => {}
                (Deny, Matched | CannotBeEvaluated(_)) => denied = true,
                (RequireApproval, Matched) => held = true,
                (RequireApproval, CannotBeEvaluated(_)) => unjudged = true,
                (Allow, Matched) => allowed = true,
            }
        }
    }
    match (denied || unjudged, held, allowed) {
        (false, true, _) => Verdict::Hold,
        (false, false, true) => Verdict::Allow,
        (true, _, _) | (false, false, false) => Verdict::Deny,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_index_finds_what_looking_at_every_rule_finds(policies in policies()) {
        let bundle = bundle_of(&json!({}), &policies, &[]);
        for tool in TOOLS {
            for arguments in ARGUMENTS {
                prop_assert_eq!(
                    call(&bundle, tool, arguments).verdict(),
                    without_index(&bundle, &policies, tool, arguments),
                    "{} {}", tool, arguments
                );
            }
        }
    }

    #[test]
    fn a_deny_or_a_guardrail_never_widens(policies in policies(), deny in rule(&["Deny"]), floor in rule(&["Deny", "RequireApproval"])) {
        let before = bundle_of(&json!({}), &policies, &[]);
        let mut more = policies.clone();
        let mut deny = deny;
        deny["name"] = json!("added");
        more.push(json!({ "rules": [deny] }));
        let mut floor = floor;
        floor["name"] = json!("floor");
        let denied = bundle_of(&json!({}), &more, &[]);
        let floored = bundle_of(&json!({}), &policies, &[json!({ "rules": [floor] })]);
        for tool in TOOLS {
            for arguments in ARGUMENTS {
                let was = rank(call(&before, tool, arguments).verdict());
                prop_assert!(rank(call(&denied, tool, arguments).verdict()) <= was);
                prop_assert!(rank(call(&floored, tool, arguments).verdict()) <= was);
            }
        }
    }

    #[test]
    fn what_can_be_called_is_visible(policies in policies()) {
        let bundle = bundle_of(&json!({}), &policies, &[]);
        let principal = ada();
        for tool in TOOLS {
            let seen = bundle.visible(&Listed::Tool { name: tool }, &facts(&principal));
            for arguments in ARGUMENTS {
                let verdict = call(&bundle, tool, arguments).verdict();
                prop_assert!(seen || verdict == Verdict::Deny, "{} {}", tool, arguments);
            }
        }
    }

    #[test]
    fn the_same_policy_has_the_same_revision_in_any_order_of_objects(policies in policies()) {
        let sources = sources(&json!({}), &policies, &[]);
        let mut turned = sources.clone();
        turned.policies.reverse();
        let revision = |sources| {
            crate::compile::compile(sources, &gateway_name()).unwrap().content.revision().unwrap()
        };
        prop_assert_eq!(revision(&sources), revision(&turned));
    }
}
