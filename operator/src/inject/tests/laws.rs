//! What holds for any pod that somebody could think of: injection answers, can be repeated, and its patch is its result.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Places where a pod can be changed, and things that can stand there, sensible and not.
fn places() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "/metadata",
        "/metadata/labels",
        "/metadata/annotations",
        "/metadata/labels/sallyport.dev~1guarded-by",
        "/spec",
        "/spec/hostNetwork",
        "/spec/securityContext",
        "/spec/securityContext/runAsUser",
        "/spec/volumes",
        "/spec/volumes/0",
        "/spec/initContainers",
        "/spec/initContainers/0",
        "/spec/initContainers/1/args",
        "/spec/initContainers/1/args/16",
        "/spec/initContainers/1/name",
        "/spec/containers",
        "/spec/containers/0",
        "/spec/containers/0/name",
        "/spec/containers/0/ports",
        "/spec/containers/0/securityContext",
        "/spec/containers/0/securityContext/runAsUser",
        "/spec/containers/0/securityContext/capabilities",
        "/spec/containers/0/volumeMounts",
        "/spec/containers/0/livenessProbe",
        "/spec/containers/0/livenessProbe/httpGet",
        "/spec/containers/0/livenessProbe/httpGet/port",
        "/spec/containers/0/lifecycle",
        "/spec/containers/1",
    ])
}

fn things() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(10001),
        json!(60101),
        json!(-1),
        json!(1.5),
        json!("sallyport"),
        json!("$(X) $$ \u{e9}"),
        json!("--probe=/p={\"httpGet\":{\"port\":1}}"),
        json!([]),
        json!([null]),
        json!([{ "name": "sallyport-policy" }]),
        json!([{ "name": "sallyport", "args": ["--probe=x"] }]),
        json!([{ "name": "data", "emptyDir": {} }]),
        json!({}),
        json!({ "name": "a" }),
        json!({ "sallyport.dev/guarded-by": "inventory" }),
        json!({ "httpGet": { "path": "/ready", "port": 8080 } }),
        json!({ "tcpSocket": { "port": "http" }, "timeoutSeconds": 3 }),
        json!({ "add": ["NET_BIND_SERVICE"], "drop": ["CHOWN"] }),
    ])
}

/// A pod as people write it, or one that was guarded before, with some of it changed.
fn pods() -> impl Strategy<Value = (usize, bool, Vec<(&'static str, Value)>)> {
    (
        0..shapes().len(),
        any::<bool>(),
        prop::collection::vec((places(), things()), 0..4),
    )
}

fn changed(mut pod: Value, changes: &[(&str, Value)]) -> Value {
    for (place, thing) in changes {
        let Some((parent, key)) = place.rsplit_once('/') else {
            continue;
        };
        let key = key.replace("~1", "/");
        match pod.pointer_mut(parent) {
            Some(Value::Object(fields)) => drop(fields.insert(key, thing.clone())),
            Some(Value::Array(items)) => {
                let at = key.parse().unwrap_or(0).min(items.len());
                items.insert(at, thing.clone());
            }
            _ => {}
        }
    }
    pod
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn any_pod_is_answered_and_what_was_guarded_stays_as_it_is((shape, before, changes) in pods()) {
        let shapes = shapes();
        let shape = &shapes[shape];
        let pod = match shape.inject() {
            Ok(guarded) if before => guarded,
            _ => shape.pod.clone(),
        };
        let pod = changed(pod, &changes);
        let Ok(once) = apply(&pod, &shape.gateway, &shape.labels) else {
            return Ok(());
        };
        let twice = apply(&once, &shape.gateway, &shape.labels);
        prop_assert_eq!(twice.as_ref(), Ok(&once));
        let operations = Value::Array(patch::between(&pod, &once));
        let operations: json_patch::Patch = serde_json::from_value(operations).unwrap();
        let mut patched = pod;
        json_patch::patch(&mut patched, &operations).unwrap();
        prop_assert_eq!(patched, once);
    }
}
