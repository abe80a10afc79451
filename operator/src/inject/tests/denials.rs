//! What is refused: each a pod that differs from a good one in one point, and what it hears.

use serde_json::{Value, json};

use super::*;
use crate::inject::Reason;

fn good() -> Value {
    json!({
        "metadata": { "name": "inventory" },
        "spec": {
            "containers": [
                { "name": "server", "image": "i", "ports": [{ "containerPort": 8080 }], "securityContext": { "runAsUser": 10001 } },
                { "name": "helper", "image": "h", "securityContext": {
                    "runAsUser": 10002, "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } } },
            ],
            "volumes": [{ "name": "data", "emptyDir": {} }],
        },
    })
}

fn gateway(text: &str) -> GatewaySpec {
    serde_yaml::from_str(text).unwrap()
}

fn set(pod: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = pod.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items.push(value),
        other => drop(other.as_object_mut().unwrap().insert(key.to_owned(), value)),
    }
}

#[test]
fn what_cannot_be_guarded_is_refused_with_a_remedy() {
    let server = "/spec/containers/0";
    let rows: Vec<(&str, String, Value, Reason)> = vec![
        (
            "host network",
            "/spec/hostNetwork".into(),
            json!(true),
            Reason::HostNamespace,
        ),
        (
            "host PIDs",
            "/spec/hostPID".into(),
            json!(true),
            Reason::HostNamespace,
        ),
        (
            "host IPC",
            "/spec/hostIPC".into(),
            json!(true),
            Reason::HostNamespace,
        ),
        (
            "shared PIDs",
            "/spec/shareProcessNamespace".into(),
            json!(true),
            Reason::HostNamespace,
        ),
        (
            "Windows",
            "/spec/os".into(),
            json!({ "name": "windows" }),
            Reason::Windows,
        ),
        (
            "Windows by selector",
            "/spec/nodeSelector".into(),
            json!({ "kubernetes.io/os": "windows" }),
            Reason::Windows,
        ),
        (
            "sysctls",
            "/spec/securityContext".into(),
            json!({ "sysctls": [{ "name": "a", "value": "b" }] }),
            Reason::Unsafe,
        ),
        (
            "host path",
            "/spec/volumes/-".into(),
            json!({ "name": "h", "hostPath": { "path": "/" } }),
            Reason::Unsafe,
        ),
        (
            "our container's name",
            "/spec/containers/-".into(),
            json!({ "name": "sallyport", "image": "evil" }),
            Reason::Reserved,
        ),
        (
            "a name like ours",
            "/spec/containers/-".into(),
            json!({ "name": "sallyport-x", "image": "evil" }),
            Reason::Reserved,
        ),
        (
            "one of our init containers",
            "/spec/initContainers".into(),
            json!([{ "name": "sallyport", "image": "evil" }]),
            Reason::Reserved,
        ),
        (
            "our label",
            "/metadata/labels".into(),
            json!({ "sallyport.dev/guarded-by": "inventory" }),
            Reason::Reserved,
        ),
        (
            "our volume's name",
            "/spec/volumes/-".into(),
            json!({ "name": "sallyport-state", "emptyDir": {} }),
            Reason::Reserved,
        ),
        (
            "our volume's mount",
            format!("{server}/volumeMounts"),
            json!([{ "name": "sallyport-state", "mountPath": "/x" }]),
            Reason::Reserved,
        ),
        (
            "our folder",
            format!("{server}/volumeMounts"),
            json!([{ "name": "data", "mountPath": "/var/run/sallyport/x" }]),
            Reason::Reserved,
        ),
        (
            "our port",
            "/spec/containers/1/ports".into(),
            json!([{ "containerPort": 15101 }]),
            Reason::Reserved,
        ),
        (
            "privileged server",
            format!("{server}/securityContext/privileged"),
            json!(true),
            Reason::Unsafe,
        ),
        (
            "escalating server",
            format!("{server}/securityContext/allowPrivilegeEscalation"),
            json!(true),
            Reason::Unsafe,
        ),
        (
            "NET_ADMIN",
            format!("{server}/securityContext/capabilities"),
            json!({ "add": ["NET_ADMIN"] }),
            Reason::Unsafe,
        ),
        (
            "unconfined",
            format!("{server}/securityContext/seccompProfile"),
            json!({ "type": "Unconfined" }),
            Reason::Unsafe,
        ),
        (
            "server as root",
            format!("{server}/securityContext/runAsUser"),
            json!(0),
            Reason::User,
        ),
        (
            "server as the sidecar",
            format!("{server}/securityContext/runAsUser"),
            json!(60101),
            Reason::User,
        ),
        (
            "server as the validator",
            format!("{server}/securityContext/runAsUser"),
            json!(60102),
            Reason::User,
        ),
        (
            "server without user",
            format!("{server}/securityContext"),
            json!({}),
            Reason::User,
        ),
        (
            "server as the helper",
            format!("{server}/securityContext/runAsUser"),
            json!(10002),
            Reason::User,
        ),
        (
            "helper without user",
            "/spec/containers/1/securityContext/runAsUser".into(),
            Value::Null,
            Reason::User,
        ),
        (
            "helper as the sidecar",
            "/spec/containers/1/securityContext/runAsUser".into(),
            json!(60101),
            Reason::User,
        ),
        (
            "helper with capabilities",
            "/spec/containers/1/securityContext/capabilities".into(),
            json!({}),
            Reason::Unsafe,
        ),
        (
            "helper that escalates",
            "/spec/containers/1/securityContext/allowPrivilegeEscalation".into(),
            Value::Null,
            Reason::Unsafe,
        ),
        (
            "probe of MCP",
            format!("{server}/livenessProbe"),
            json!({ "httpGet": { "path": "/MCP/?x", "port": 8080 } }),
            Reason::Probe,
        ),
        (
            "probe in disguise",
            format!("{server}/livenessProbe"),
            json!({ "httpGet": { "path": "/%6dcp", "port": 8080 } }),
            Reason::Probe,
        ),
        (
            "probe by dots",
            format!("{server}/livenessProbe"),
            json!({ "httpGet": { "path": "/x/../mcp", "port": 8080 } }),
            Reason::Probe,
        ),
        (
            "probe elsewhere",
            format!("{server}/livenessProbe"),
            json!({ "httpGet": { "host": "169.254.169.254", "port": 80 } }),
            Reason::Probe,
        ),
        (
            "probe of no port",
            format!("{server}/livenessProbe"),
            json!({ "tcpSocket": { "port": "nowhere" } }),
            Reason::Probe,
        ),
        (
            "probe by HTTPS",
            format!("{server}/livenessProbe"),
            json!({ "httpGet": { "scheme": "HTTPS", "port": 8080 } }),
            Reason::Probe,
        ),
        (
            "probe by gRPC of a name without end",
            format!("{server}/livenessProbe"),
            json!({ "grpc": { "port": 8080, "service": "x".repeat(128) } }),
            Reason::Probe,
        ),
    ];
    let spec = gateway("server: { port: 8080, container: server }");
    assert!(
        apply(&good(), &spec, &BTreeMap::new()).is_ok(),
        "the good one"
    );
    for (name, pointer, value, reason) in rows {
        let mut pod = good();
        set(&mut pod, &pointer, value);
        let denial = apply(&pod, &spec, &BTreeMap::new()).expect_err(name);
        assert_eq!(denial.reason, reason, "{name}: {denial}");
        assert!(!denial.remedy.is_empty(), "{name}");
    }
}

#[test]
fn a_gateway_that_cannot_be_met_is_refused_with_a_remedy() {
    let shared = |pod: &mut Value| {
        for container in ["0", "1"] {
            let pointer = format!("/spec/containers/{container}/volumeMounts");
            set(
                pod,
                &pointer,
                json!([{ "name": "data", "mountPath": "/data" }]),
            );
        }
    };
    for (name, text, change, reason) in [
        (
            "no such container",
            "server: { container: other }",
            None,
            Reason::Server,
        ),
        ("which container", "{}", None, Reason::Server),
        (
            "which port",
            "server: { container: helper }",
            None,
            Reason::Server,
        ),
        (
            "our port",
            "server: { container: server, port: 15102 }",
            None,
            Reason::Reserved,
        ),
        (
            "Cni",
            "{ capture: Cni, server: { container: server } }",
            None,
            Reason::Capture,
        ),
        (
            "Socket",
            "{ capture: Socket, server: { container: server } }",
            None,
            Reason::Capture,
        ),
        (
            "stdio",
            "server: { transport: Stdio, command: [x] }",
            None,
            Reason::Capture,
        ),
        (
            "credential as variable",
            "{ server: { container: server }, credentials: [{ env: A, secretKeyRef: { name: a, key: b } }] }",
            None,
            Reason::Credential,
        ),
        (
            "credential of the platform",
            "{ server: { container: server }, credentials: [{ header: A, platformSecretRef: { name: a, key: b } }] }",
            None,
            Reason::Credential,
        ),
        (
            "shared volume",
            "server: { container: server }",
            Some(&shared as &dyn Fn(&mut Value)),
            Reason::SharedVolume,
        ),
    ] {
        let mut pod = good();
        if let Some(change) = change {
            change(&mut pod);
        }
        let denial = apply(&pod, &gateway(text), &BTreeMap::new()).expect_err(name);
        assert_eq!(denial.reason, reason, "{name}: {denial}");
    }
}

#[test]
fn a_volume_that_the_gateway_names_or_nobody_writes_may_be_shared() {
    for (text, mount) in [
        (
            "server: { container: server, sharedVolumes: [data] }",
            json!({ "name": "data", "mountPath": "/data" }),
        ),
        (
            "server: { container: server }",
            json!({ "name": "data", "mountPath": "/data", "readOnly": true }),
        ),
    ] {
        let mut pod = good();
        for container in ["0", "1"] {
            let pointer = format!("/spec/containers/{container}/volumeMounts");
            set(&mut pod, &pointer, json!([mount]));
        }
        assert!(
            apply(&pod, &gateway(text), &BTreeMap::new()).is_ok(),
            "{text}"
        );
    }
}
