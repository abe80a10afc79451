//! What may change in a guarded pod that runs.

use serde_json::{Value, json};

use super::Expect::{Accepted, Refused};
use super::{Row, run};
use crate::bed::OPERATOR;
use crate::guarded;

pub(super) fn changes() -> Vec<Row> {
    const POLICY: &str = "guarded-pods";
    let patch = |name: &str, user, pod: &str, subresource: &str, operations: Value, expect| {
        let text = operations.to_string();
        let kind = format!("--subresource={subresource}");
        let mut words = vec![
            "patch",
            "pod",
            pod,
            "--type=json",
            "-p",
            &text,
            "--dry-run=server",
        ];
        if !subresource.is_empty() {
            words.push(&kind);
        }
        run(POLICY, name, user, "enforced", &words, expect)
    };
    let replace =
        |path: &str, value: Value| json!([{ "op": "replace", "path": path, "value": value }]);
    let debug = |context: Value, mounts: Value| {
        json!([{ "op": "add", "path": "/spec/ephemeralContainers", "value": [
        { "name": "debug", "image": "busybox", "securityContext": context, "volumeMounts": mounts, "terminationMessagePolicy": "File" }] }])
    };
    let modest = json!({ "runAsUser": 10009, "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } });
    let smaller = json!([
        { "op": "replace", "path": "/spec/initContainers/1/resources/requests/cpu", "value": "10m" },
        { "op": "replace", "path": "/spec/initContainers/1/resources/limits/cpu", "value": "10m" },
    ]);
    let sidecar_image = "/spec/initContainers/1/image";
    let label = "/metadata/labels/sallyport.dev~1guarded-by";
    vec![
        patch(
            "the sidecar's image",
            "dev",
            "guarded",
            "",
            replace(sidecar_image, json!("evil")),
            Refused("operator alone"),
        ),
        patch(
            "the sidecar's image, to an approved digest",
            "dev",
            "guarded",
            "",
            replace(sidecar_image, json!(guarded::NEXT_IMAGE)),
            Refused("operator alone"),
        ),
        patch(
            "the sidecar's image by the operator",
            OPERATOR,
            "guarded",
            "",
            replace(sidecar_image, json!(guarded::NEXT_IMAGE)),
            Accepted,
        ),
        patch(
            "the sidecar's image by the operator, to another",
            OPERATOR,
            "guarded",
            "",
            replace(sidecar_image, json!("evil")),
            Refused("operator alone"),
        ),
        patch(
            "the capture's image",
            "dev",
            "guarded",
            "",
            replace("/spec/initContainers/0/image", json!("evil")),
            Refused("operator alone"),
        ),
        patch(
            "the helper's image",
            "dev",
            "guarded",
            "",
            replace("/spec/containers/1/image", json!("h:2")),
            Accepted,
        ),
        patch(
            "the label",
            "dev",
            "guarded",
            "",
            replace(label, json!("other")),
            Refused("cannot be changed"),
        ),
        patch(
            "the label taken away",
            "dev",
            "guarded",
            "",
            json!([{ "op": "remove", "path": label }]),
            Refused("cannot be changed"),
        ),
        patch(
            "the label put on another's pod",
            "dev",
            "older",
            "",
            json!([{ "op": "add", "path": "/metadata/labels", "value": { "sallyport.dev/guarded-by": "inventory" } }]),
            Refused("cannot be changed"),
        ),
        patch(
            "an annotation",
            "dev",
            "guarded",
            "",
            json!([{ "op": "add", "path": "/metadata/annotations/a", "value": "b" }]),
            Accepted,
        ),
        patch(
            "a finalizer of a pod that is older than the policies",
            "dev",
            "older",
            "",
            json!([{ "op": "remove", "path": "/metadata/finalizers" }]),
            Accepted,
        ),
        patch(
            "the sidecar's memory",
            "dev",
            "guarded",
            "resize",
            smaller,
            Refused("resources cannot be changed"),
        ),
        patch(
            "an ephemeral container",
            "dev",
            "guarded",
            "ephemeralcontainers",
            debug(modest.clone(), json!([])),
            Refused("verb connect"),
        ),
        patch(
            "an ephemeral container with the verb",
            "platform",
            "guarded",
            "ephemeralcontainers",
            debug(modest.clone(), json!([])),
            Accepted,
        ),
        patch(
            "an ephemeral container as the sidecar",
            "platform",
            "guarded",
            "ephemeralcontainers",
            debug(
                json!({ "runAsUser": 60101, "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } }),
                json!([]),
            ),
            Refused("unprivileged"),
        ),
        patch(
            "an ephemeral container with our volume",
            "platform",
            "guarded",
            "ephemeralcontainers",
            debug(
                modest,
                json!([{ "name": "sallyport-state", "mountPath": "/x" }]),
            ),
            Refused("unprivileged"),
        ),
    ]
}
