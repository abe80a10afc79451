//! What a change concerns, and who guards whom.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a test says its values where it uses them"
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

fn gateway(name: &str, app: Option<&str>, made: &str) -> Stored<McpGateway> {
    let selector = app.map(|app| json!({ "matchLabels": { "app": app } }));
    read(json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"),
            "creationTimestamp": made, "resourceVersion": "7",
        },
        "spec": { "selector": selector, "server": { "port": 8080 } },
    }))
}

fn policy(name: &str, spec: Value) -> Stored<McpAccessPolicy> {
    read(json!({ "metadata": { "name": name, "namespace": "shop" }, "spec": spec }))
}

fn attached(name: &str, gateways: &[&str]) -> Stored<McpAccessPolicy> {
    let refs: Vec<_> = gateways
        .iter()
        .map(|gateway| json!({ "kind": "McpGateway", "name": gateway }))
        .collect();
    let rules = json!([{ "name": "all", "effect": "Allow", "tools": ["*"] }]);
    policy(name, json!({ "targetRefs": refs, "rules": rules }))
}

fn pod(name: &str, app: &str, annotations: Value, args: Option<Vec<&str>>) -> Pod {
    let sidecar = args.map(|args| json!([{ "name": "sallyport", "args": args }]));
    read(json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"),
            "labels": { "app": app }, "annotations": annotations,
        },
        "spec": { "initContainers": sidecar, "containers": [] },
    }))
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn of(name: &str) -> Key {
    Key::Gateway(ObjectName::new("shop", name))
}

fn at(name: &str) -> ObjectName {
    ObjectName::new("shop", name)
}

const OLD: &str = "2026-11-01T00:00:00Z";
const NEW: &str = "2026-11-02T00:00:00Z";

fn two_gateways() -> Index {
    let mut index = Index::default();
    index.applied(gateway("inventory", Some("inventory"), NEW));
    index.applied(gateway("billing", Some("billing"), OLD));
    index
}

#[test]
fn nothing_is_synced_before_every_kind_was_listed() {
    let mut index = Index::default();
    index.listed::<Stored<McpGateway>>(Vec::new());
    index.listed::<Stored<McpAccessPolicy>>(Vec::new());
    index.listed::<Stored<McpGuardrail>>(Vec::new());
    index.listed::<Pod>(Vec::new());
    index.listed::<PartialObjectMeta<Namespace>>(Vec::new());
    assert!(!index.is_synced());
    index.listed::<BundleMap>(Vec::new());
    assert!(index.is_synced());
}

#[test]
fn a_policy_concerns_the_gateways_that_it_names_and_that_it_named_before() {
    let mut index = two_gateways();
    let keys = index.applied(attached("clerks", &["inventory"]));
    assert!(keys.contains(&of("inventory")) && !keys.contains(&of("billing")));
    let moved = index.applied(attached("clerks", &["billing"]));
    assert!(moved.contains(&of("inventory")) && moved.contains(&of("billing")));
    let gone = index.deleted::<Stored<McpAccessPolicy>>(&at("clerks"));
    assert!(gone.contains(&of("billing")) && !gone.contains(&of("inventory")));
}

#[test]
fn the_same_again_concerns_nobody_and_our_own_status_only_the_object() {
    let mut index = two_gateways();
    let same = index.applied(gateway("inventory", Some("inventory"), NEW));
    assert_eq!(same, BTreeSet::new());
    let mut told = gateway("inventory", Some("inventory"), NEW);
    told.status.revision = Some("sha256:0".to_owned());
    assert_eq!(index.applied(told), BTreeSet::from([of("inventory")]));
}

#[test]
fn what_went_unseen_while_a_watch_was_broken_is_noticed_by_the_next_list() {
    let mut index = two_gateways();
    let keys = index.listed(vec![gateway("billing", Some("billing"), OLD)]);
    assert!(keys.contains(&of("inventory")));
    assert!(index.gateways.find(&at("inventory")).is_none());
}

#[test]
fn law_07_a_policy_that_cannot_be_read_does_not_vanish() {
    let mut index = two_gateways();
    let named = json!({
        "targetRefs": [{ "kind": "McpGateway", "name": "inventory" }],
        "tomorrow": true,
    });
    let keys = index.applied(policy("newer", named));
    assert!(keys.contains(&of("inventory")) && !keys.contains(&of("billing")));
    let view = index.view(&at("inventory"));
    assert_eq!(view.unreadable.len(), 1, "{:?}", view.unreadable);
    assert_eq!(index.view(&at("billing")).unreadable.len(), 0);
    index.applied(policy("stranger", json!({ "targetRefs": "all" })));
    assert_eq!(index.view(&at("billing")).unreadable.len(), 1);
    let denies =
        crate::distribute::Policy::of(&view.sources, &at("inventory").gateway(), &view.unreadable);
    assert!(denies.unwrap().content.refusal.is_some());
}

#[test]
fn the_oldest_of_several_gateways_keeps_a_pod_and_selectors_come_before_the_annotation() {
    let mut index = two_gateways();
    index.applied(gateway("younger", Some("billing"), NEW));
    index.applied(gateway("named", None, OLD));
    let named = || json!({ "sallyport.dev/gateway": "named" });
    let rows = [
        ("one selects", "inventory", json!({}), Some("inventory"), 0),
        ("two select", "billing", json!({}), Some("billing"), 1),
        ("none selects", "other", json!({}), None, 0),
        ("named", "other", named(), Some("named"), 0),
        (
            "selected and named",
            "inventory",
            named(),
            Some("inventory"),
            0,
        ),
    ];
    for (row, app, annotations, expected, losers) in rows {
        let pod = pod("p", app, annotations, None);
        let choice = guard_of(
            index.gateways.within("shop"),
            pod.labels(),
            pod.annotations(),
        );
        let found = match &choice {
            Choice::Guarded { keeper, losers } => {
                Some((ObjectName::of(&**keeper).name, losers.len()))
            }
            Choice::Nobody | Choice::Missing(_) | Choice::Unsettled(_) => None,
        };
        assert_eq!(
            found,
            expected.map(|name| (name.to_owned(), losers)),
            "{row}"
        );
    }
}

#[test]
fn a_pod_that_cannot_be_settled_is_said_to_be_so() {
    let mut index = two_gateways();
    let missing = BTreeMap::from([(select::GATEWAY.to_owned(), "nowhere".to_owned())]);
    let choice = guard_of(index.gateways.within("shop"), None, Some(&missing));
    assert_eq!(choice, Choice::Missing("nowhere".to_owned()));
    index.applied(read::<Stored<McpGateway>>(json!({
        "metadata": { "name": "newer", "namespace": "shop" }, "spec": { "tomorrow": true },
    })));
    let choice = guard_of(index.gateways.within("shop"), None, None);
    assert_eq!(choice, Choice::Unsettled(at("newer")));
}

#[test]
fn a_pod_is_bound_by_what_its_sidecar_was_told_however_that_is_written() {
    let rows = [
        (
            vec!["--gateway", "shop/inventory", "--gateway-uid", "u"],
            Some("u"),
        ),
        (
            vec!["--gateway=shop/inventory", "--gateway-uid=u"],
            Some("u"),
        ),
        (vec!["--gateway=shop/inventory"], None),
        (
            vec!["--", "--gateway=shop/inventory", "--gateway-uid=u"],
            None,
        ),
    ];
    for (args, uid) in rows {
        let pod = pod("p", "a", json!({}), Some(args.clone()));
        let found = pod.binding.as_ref().map(|binding| binding.uid.as_str());
        assert_eq!(found, uid, "{args:?}");
    }
}

#[test]
fn a_pod_concerns_the_gateway_that_it_is_bound_to_and_the_one_that_selects_it() {
    let mut index = two_gateways();
    let args = vec!["--gateway=shop/inventory", "--gateway-uid=uid-inventory"];
    let keys = index.applied(pod("p", "billing", json!({ "other": "x" }), Some(args)));
    assert_eq!(keys, BTreeSet::from([of("inventory"), of("billing")]));
    let view = index.view(&at("inventory"));
    assert_eq!((view.bound.len(), view.selected.len()), (1, 0));
    let kept = view.bound.first().and_then(|pod| pod.annotations());
    assert_eq!(
        kept.map(BTreeMap::len),
        Some(0),
        "other people's annotations are not kept"
    );
}
