//! What a guarded pod must be when it is made.

use serde_json::{Value, json};

use super::Expect::{Accepted, Refused};
use super::{Row, create, with};
use crate::guarded;

pub(super) fn guarded_pods() -> Vec<Row> {
    const POLICY: &str = "guarded-pods";
    let init = |number: usize, field: &str| format!("/spec/initContainers/{number}/{field}");
    let helper = |field: &str| format!("/spec/containers/1/{field}");
    let mut ends = guarded::pod("free");
    for field in [
        "restartPolicy",
        "startupProbe",
        "readinessProbe",
        "livenessProbe",
    ] {
        ends = with(ends, &init(1, field), Value::Null);
    }
    let mut rows = vec![
        create(
            POLICY,
            "as injected",
            "dev",
            "enforced",
            guarded::pod("enforced"),
            Accepted,
        ),
        create(
            POLICY,
            "as injected, where nothing is enforced",
            "dev",
            "free",
            guarded::pod("free"),
            Accepted,
        ),
        create(
            POLICY,
            "as injected in another namespace",
            "dev",
            "free",
            guarded::pod("enforced"),
            Refused("arguments of the sidecar"),
        ),
        create(
            POLICY,
            "a sidecar that ends",
            "dev",
            "free",
            ends,
            Refused("restartPolicy"),
        ),
        create(
            POLICY,
            "our name without the label",
            "dev",
            "free",
            with(
                guarded::plain(),
                "/spec/initContainers",
                json!([{ "name": "sallyport-capture", "image": "evil" }]),
            ),
            Refused("name yours otherwise"),
        ),
        create(
            POLICY,
            "nobody's pod where nothing is enforced",
            "dev",
            "free",
            guarded::plain(),
            Accepted,
        ),
    ];
    let changed: Vec<(&str, String, Value, &'static str)> = vec![
        (
            "without our containers",
            "/spec/initContainers".into(),
            Value::Null,
            "begins with",
        ),
        (
            "validator first",
            init(0, "name"),
            json!("other"),
            "begins with",
        ),
        (
            "our name among theirs",
            "/spec/containers/-".into(),
            json!({ "name": "sallyport-x", "image": "evil" }),
            "reserved",
        ),
        (
            "another sidecar image",
            init(1, "image"),
            json!("evil"),
            "no approved digest",
        ),
        (
            "another capture image",
            init(0, "image"),
            json!("evil"),
            "no approved digest",
        ),
        (
            "another validator image",
            init(2, "image"),
            json!("evil"),
            "no approved digest",
        ),
        (
            "a sidecar of another user",
            init(1, "securityContext/runAsUser"),
            json!(10001),
            "own users",
        ),
        (
            "a sidecar with capabilities",
            init(1, "securityContext/capabilities/add"),
            json!(["NET_RAW"]),
            "privileges",
        ),
        (
            "a privileged capture",
            init(0, "securityContext/capabilities/add"),
            json!(["SYS_ADMIN"]),
            "privileges",
        ),
        (
            "a sidecar whose root is written",
            init(1, "securityContext/readOnlyRootFilesystem"),
            json!(false),
            "privileges",
        ),
        (
            "a command",
            init(1, "command"),
            json!(["/bin/sh"]),
            "no command",
        ),
        (
            "a variable",
            init(1, "env"),
            json!([{ "name": "LD_PRELOAD", "value": "/x" }]),
            "no command",
        ),
        (
            "a hook",
            init(1, "lifecycle"),
            json!({ "postStart": { "exec": { "command": ["true"] } } }),
            "no command",
        ),
        (
            "their volume in the sidecar",
            init(1, "volumeMounts/-"),
            json!({ "name": "data", "mountPath": "/x" }),
            "mount Sallyport's volumes",
        ),
        (
            "a part of a volume",
            init(1, "volumeMounts/0/subPath"),
            json!("x"),
            "mount Sallyport's volumes",
        ),
        (
            "no rules",
            init(0, "args/0"),
            json!("print"),
            "arguments of sallyport-capture",
        ),
        (
            "another port for the sidecar",
            init(0, "args/5"),
            json!("--listener=1"),
            "arguments of sallyport-capture",
        ),
        (
            "another root key",
            init(1, "args/1"),
            json!(format!("--root-key={}", "1".repeat(64))),
            "arguments of the sidecar",
        ),
        (
            "a second root key",
            init(1, "args/-"),
            json!(format!("--root-key={}", "1".repeat(64))),
            "arguments of the sidecar",
        ),
        (
            "another gateway than the label's",
            init(1, "args/2"),
            json!("--gateway=free/other"),
            "arguments of the sidecar",
        ),
        (
            "another server",
            init(1, "args/13"),
            json!("--upstream=http://10.0.0.1/mcp"),
            "arguments of the sidecar",
        ),
        (
            "our volume in theirs",
            helper("volumeMounts"),
            json!([{ "name": "sallyport-state", "mountPath": "/x" }]),
            "by Sallyport's containers only",
        ),
        (
            "an optional policy",
            "/spec/volumes/0/projected/sources/0/configMap/optional".into(),
            json!(true),
            "four ConfigMaps",
        ),
        (
            "another gateway's policy",
            "/spec/volumes/0/projected/sources/0/configMap/name".into(),
            json!("sallyport-bundle-other-0"),
            "four ConfigMaps",
        ),
        (
            "a state that is not empty",
            "/spec/volumes/1".into(),
            json!({ "name": "sallyport-state", "persistentVolumeClaim": { "claimName": "c" } }),
            "empty at its start",
        ),
        (
            "helper as the sidecar",
            helper("securityContext/runAsUser"),
            json!(60101),
            "explicit runAsUser",
        ),
        (
            "helper as root",
            helper("securityContext/runAsUser"),
            json!(0),
            "explicit runAsUser",
        ),
        (
            "helper as anybody",
            helper("securityContext/runAsUser"),
            Value::Null,
            "explicit runAsUser",
        ),
        (
            "helper as the server",
            helper("securityContext/runAsUser"),
            json!(10001),
            "no other container's",
        ),
        (
            "helper that escalates",
            helper("securityContext/allowPrivilegeEscalation"),
            Value::Null,
            "drops ALL",
        ),
        (
            "helper with NET_ADMIN",
            helper("securityContext/capabilities/add"),
            json!(["NET_ADMIN"]),
            "drops ALL",
        ),
        (
            "host network",
            "/spec/hostNetwork".into(),
            json!(true),
            "no namespace with its node",
        ),
        (
            "shared processes",
            "/spec/shareProcessNamespace".into(),
            json!(true),
            "no namespace with its node",
        ),
        (
            "sysctls",
            "/spec/securityContext".into(),
            json!({ "sysctls": [{ "name": "net.ipv4.ip_unprivileged_port_start", "value": "0" }] }),
            "no sysctls",
        ),
        (
            "host path",
            "/spec/volumes/-".into(),
            json!({ "name": "h", "hostPath": { "path": "/" } }),
            "no hostPath",
        ),
    ];
    for (name, pointer, value, word) in changed {
        rows.push(create(
            POLICY,
            name,
            "platform",
            "free",
            with(guarded::pod("free"), &pointer, value),
            Refused(word),
        ));
    }
    rows
}
