//! What every pod of an enforced namespace must be.

use serde_json::{Value, json};

use super::Expect::{Accepted, Refused};
use super::{Row, create, run, with};
use crate::guarded;

const POLICY: &str = "enforced-pods";

pub(super) fn enforced_pods() -> Vec<Row> {
    let exempt = exempt();
    let container = |field: &str| format!("/spec/containers/0/{field}");
    let mut rows = vec![
        create(
            POLICY,
            "nobody's pod",
            "platform",
            "enforced",
            guarded::plain(),
            Refused("every pod of this namespace is guarded"),
        ),
        create(
            POLICY,
            "exempt by its image",
            "dev",
            "enforced",
            exempt.clone(),
            Accepted,
        ),
        create(
            POLICY,
            "exempt by a guardrail over this namespace",
            "dev",
            "enforced",
            with(
                exempt.clone(),
                "/spec/containers/0/image",
                json!("other@sha256:00"),
            ),
            Accepted,
        ),
        create(
            POLICY,
            "exempt by a guardrail over another namespace",
            "dev",
            "enforced",
            with(
                exempt.clone(),
                "/spec/containers/0/image",
                json!("elsewhere@sha256:00"),
            ),
            Refused("every pod of this namespace is guarded"),
        ),
        create(
            POLICY,
            "a runtime class that is on the list",
            "dev",
            "enforced",
            with(exempt.clone(), "/spec/runtimeClassName", json!("fast")),
            Accepted,
        ),
        create(
            POLICY,
            "a runtime class that is not",
            "dev",
            "enforced",
            with(exempt.clone(), "/spec/runtimeClassName", json!("odd")),
            Refused("runtimeClassName"),
        ),
    ];
    let changed: Vec<(&str, String, Value, &'static str)> = vec![
        (
            "host network",
            "/spec/hostNetwork".into(),
            json!(true),
            "shares a namespace",
        ),
        (
            "host PIDs",
            "/spec/hostPID".into(),
            json!(true),
            "shares a namespace",
        ),
        (
            "shared processes",
            "/spec/shareProcessNamespace".into(),
            json!(true),
            "shares a namespace",
        ),
        (
            "host path",
            "/spec/volumes".into(),
            json!([{ "name": "h", "hostPath": { "path": "/" } }]),
            "no hostPath",
        ),
        (
            "host port",
            container("ports"),
            json!([{ "containerPort": 80, "hostPort": 80 }]),
            "hostPort",
        ),
        (
            "privileged",
            container("securityContext"),
            json!({ "privileged": true, "runAsUser": 10001, "capabilities": { "drop": ["ALL"] } }),
            "not privileged",
        ),
        (
            "escalating",
            container("securityContext/allowPrivilegeEscalation"),
            json!(true),
            "not privileged",
        ),
        (
            "all capabilities",
            container("securityContext/capabilities"),
            Value::Null,
            "drop ALL",
        ),
        (
            "NET_RAW",
            container("securityContext/capabilities/add"),
            json!(["NET_RAW"]),
            "drop ALL",
        ),
        (
            "no user",
            container("securityContext/runAsUser"),
            Value::Null,
            "explicit runAsUser",
        ),
        (
            "root",
            container("securityContext/runAsUser"),
            json!(0),
            "explicit runAsUser",
        ),
        (
            "the sidecar's user",
            container("securityContext/runAsUser"),
            json!(60101),
            "explicit runAsUser",
        ),
        (
            "perhaps root",
            container("securityContext/runAsNonRoot"),
            Value::Null,
            "runAsNonRoot",
        ),
        (
            "no seccomp",
            container("securityContext/seccompProfile"),
            Value::Null,
            "seccomp",
        ),
        (
            "unconfined",
            container("securityContext/seccompProfile"),
            json!({ "type": "Unconfined" }),
            "seccomp",
        ),
        (
            "sysctls",
            "/spec/securityContext".into(),
            json!({ "sysctls": [{ "name": "net.ipv4.ip_unprivileged_port_start", "value": "0" }] }),
            "no sysctls",
        ),
        (
            "our name without the label",
            "/spec/initContainers".into(),
            json!([{ "name": "sallyport-capture", "image": "exempt@sha256:00", "securityContext": { "runAsUser": 0, "capabilities": { "add": ["NET_ADMIN"] } } }]),
            "sallyport",
        ),
    ];
    for (name, pointer, value, word) in changed {
        rows.push(create(
            POLICY,
            name,
            "platform",
            "enforced",
            with(exempt.clone(), &pointer, value),
            Refused(word),
        ));
    }
    rows.extend(running());
    rows
}

/// An exempt pod that runs: Kubernetes lets its image be replaced in place.
fn running() -> Vec<Row> {
    let patch = |name: &str, user, pod: &str, kind: &str, operation: Value, expect| {
        let text = json!([operation]).to_string();
        let mut words = vec![
            "patch",
            "pod",
            pod,
            "--type=json",
            "-p",
            &text,
            "--dry-run=server",
        ];
        if !kind.is_empty() {
            words.push(kind);
        }
        run(POLICY, name, user, "enforced", &words, expect)
    };
    let image = |image: &str| json!({ "op": "replace", "path": "/spec/containers/0/image", "value": image });
    let debug = |context: Value| {
        let container = json!({ "name": "debug", "image": "busybox", "terminationMessagePolicy": "File", "securityContext": context });
        json!({ "op": "add", "path": "/spec/ephemeralContainers", "value": [container] })
    };
    let modest = json!({ "runAsUser": 10009, "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } });
    let ephemeral = "--subresource=ephemeralcontainers";
    vec![
        patch(
            "an exempt pod made into the server",
            "platform",
            "running",
            "",
            image("registry.example.com/inventory:1"),
            Refused("to an exempt one only"),
        ),
        patch(
            "an exempt pod given another exempt image",
            "dev",
            "running",
            "",
            image("other@sha256:00"),
            Accepted,
        ),
        patch(
            "an older pod made into the server",
            "platform",
            "older",
            "",
            image("registry.example.com/inventory:1"),
            Refused("to an exempt one only"),
        ),
        patch(
            "an ephemeral container in an exempt pod",
            "dev",
            "running",
            ephemeral,
            debug(modest.clone()),
            Refused("verb connect"),
        ),
        patch(
            "an ephemeral container in an exempt pod with the verb",
            "platform",
            "running",
            ephemeral,
            debug(modest),
            Accepted,
        ),
        patch(
            "an ephemeral root in an exempt pod",
            "platform",
            "running",
            ephemeral,
            debug(json!({})),
            Refused("unprivileged"),
        ),
    ]
}

/// A pod that keeps to `restricted`, of an image that the platform exempts.
pub(crate) fn exempt() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "exempt" },
        "spec": { "containers": [{ "name": "c", "image": "exempt@sha256:00", "securityContext": {
            "runAsUser": 10001, "runAsNonRoot": true, "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] }, "seccompProfile": { "type": "RuntimeDefault" } } }] },
    })
}
