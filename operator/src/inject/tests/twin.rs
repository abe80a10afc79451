//! Recomputing finds whatever was changed in ours, and whatever was made up.

use serde_json::{Value, json};

use super::*;

#[test]
fn whatever_is_changed_in_ours_is_found() {
    let shape = shapes().remove(2);
    let whole = shape.inject().unwrap();
    let init = |number: usize, field: &str| format!("/spec/initContainers/{number}/{field}");
    for (name, pointer, value) in [
        ("another image", init(1, "image"), json!("evil")),
        ("another capture", init(0, "image"), json!("evil")),
        (
            "another user",
            init(1, "securityContext/runAsUser"),
            json!(10001),
        ),
        (
            "another argument",
            init(1, "args/1"),
            json!("--root-key=11"),
        ),
        ("a command", init(1, "command"), json!(["/bin/sh"])),
        (
            "a variable",
            init(1, "env"),
            json!([{ "name": "LD_PRELOAD", "value": "/x" }]),
        ),
        (
            "a hook",
            init(1, "lifecycle"),
            json!({ "postStart": { "exec": { "command": ["kill", "1"] } } }),
        ),
        ("no rules", init(0, "args/0"), json!("print")),
        (
            "another server",
            init(0, "args/2"),
            json!("--server-uid=60101"),
        ),
        (
            "a mount of theirs",
            init(1, "volumeMounts/0/name"),
            json!("data"),
        ),
        (
            "less memory",
            init(1, "resources/limits/memory"),
            json!("4Mi"),
        ),
        (
            "an optional policy",
            "/spec/volumes/0/projected/sources/0/configMap/optional".to_owned(),
            json!(true),
        ),
        (
            "another gateway's policy",
            "/spec/volumes/0/projected/sources/0/configMap/name".to_owned(),
            json!("sallyport-bundle-other-0"),
        ),
        (
            "state of theirs",
            "/spec/volumes/1/emptyDir".to_owned(),
            json!({ "medium": "Memory" }),
        ),
        (
            "the label",
            "/metadata/labels/sallyport.dev~1guarded-by".to_owned(),
            json!("other"),
        ),
        (
            "a probe past the sidecar",
            "/spec/containers/0/livenessProbe".to_owned(),
            json!({ "httpGet": { "path": "/livez", "port": 9090 } }),
        ),
        (
            "a weaker server",
            "/spec/containers/0/securityContext/allowPrivilegeEscalation".to_owned(),
            Value::Null,
        ),
    ] {
        let mut pod = whole.clone();
        put(&mut pod, &pointer, value);
        match apply(&pod, &shape.gateway, &shape.labels) {
            Ok(expected) => assert!(differs(&pod, &expected).is_some(), "{name} was not found"),
            Err(denial) => println!("{name}: {denial}"),
        }
    }
}

#[test]
fn a_hand_made_pod_is_no_guarded_one() {
    let pod = json!({
        "metadata": { "labels": { "sallyport.dev/guarded-by": "inventory" } },
        "spec": {
            "initContainers": names::CONTAINERS.map(|name| json!({ "name": name, "image": "evil", "args": [] })),
            "containers": [{ "name": "server", "image": "i", "ports": [{ "containerPort": 8080 }], "securityContext": { "runAsUser": 10001 } }],
        },
    });
    let expected = apply(&pod, &GatewaySpec::default(), &BTreeMap::new()).unwrap();
    assert!(differs(&pod, &expected).is_some());
}

#[test]
fn their_containers_may_change_and_ours_follow() {
    // Another webhook adds a container after us: called again, we come first again.
    let shape = shapes().remove(0);
    let mut pod = shape.inject().unwrap();
    let inits = pod
        .pointer_mut("/spec/initContainers")
        .unwrap()
        .as_array_mut()
        .unwrap();
    inits.insert(0, json!({ "name": "mesh", "image": "m", "securityContext": {
        "runAsUser": 10009, "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } } }));
    let again = apply(&pod, &shape.gateway, &shape.labels).unwrap();
    assert!(
        differs(&pod, &again).is_some(),
        "as it is the twin refuses it"
    );
    let inits = again
        .pointer("/spec/initContainers")
        .unwrap()
        .as_array()
        .unwrap();
    let names: Vec<&str> = inits.iter().map(tree::name).collect();
    assert_eq!(
        names,
        [
            "sallyport-capture",
            "sallyport",
            "sallyport-validator",
            "mesh"
        ]
    );
}

fn put(pod: &mut Value, pointer: &str, value: Value) {
    if let Some(there) = pod.pointer_mut(pointer) {
        *there = value;
        return;
    }
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = pod.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    parent.insert(key.to_owned(), value);
}
