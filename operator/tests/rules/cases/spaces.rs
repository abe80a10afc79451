//! Labels of namespaces, and who lets traffic in.

use serde_json::{Value, json};

use super::Expect::{Accepted, Refused};
use super::{Row, create, run};
use crate::bed::OPERATOR;

pub(super) fn namespaces() -> Vec<Row> {
    let label = |name: &str, user, labels: &[&str], namespace: &str, expect| {
        let mut words = vec![
            "label",
            "namespace",
            namespace,
            "--overwrite",
            "--dry-run=server",
        ];
        words.extend(labels);
        run("namespaces", name, user, "", &words, expect)
    };
    let policy = |selector: Value, ingress: Value| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": { "name": "n" },
            "spec": { "podSelector": selector, "policyTypes": ["Ingress"], "ingress": ingress },
        })
    };
    let spared = json!({ "matchExpressions": [{ "key": "sallyport.dev/guarded-by", "operator": "DoesNotExist" }] });
    vec![
        label(
            "enforcement taken away",
            "dev",
            &["sallyport.dev/enforce-"],
            "enforced",
            Refused("set-mode"),
        ),
        label(
            "enforcement switched off",
            "dev",
            &["sallyport.dev/enforce=false"],
            "enforced",
            Refused("set-mode"),
        ),
        label(
            "a tier of a guardrail",
            "dev",
            &["sallyport.dev/tier=lax"],
            "free",
            Refused("set-mode"),
        ),
        label(
            "enforcement by who may",
            "platform",
            &["sallyport.dev/enforce-"],
            "enforced",
            Accepted,
        ),
        label(
            "a label of theirs",
            "dev",
            &["team=a"],
            "enforced",
            Accepted,
        ),
        create(
            "networkpolicies",
            "lets everything in",
            "dev",
            "enforced",
            policy(json!({}), json!([{}])),
            Refused("guarded-by"),
        ),
        create(
            "networkpolicies",
            "for pods that are not guarded",
            "dev",
            "enforced",
            policy(spared, json!([{}])),
            Accepted,
        ),
        create(
            "networkpolicies",
            "lets nothing in",
            "dev",
            "enforced",
            policy(json!({}), json!([])),
            Accepted,
        ),
        create(
            "networkpolicies",
            "of the operator",
            OPERATOR,
            "enforced",
            policy(json!({}), json!([{}])),
            Accepted,
        ),
        create(
            "networkpolicies",
            "where nothing is enforced",
            "dev",
            "free",
            policy(json!({}), json!([{}])),
            Accepted,
        ),
    ]
}
