//! One row a rule and way: who asks what, and what must come of it.

use serde_json::{Value, json};

use crate::bed::OPERATOR;
use crate::guarded;

pub(crate) struct Row {
    pub(crate) policy: &'static str,
    pub(crate) name: String,
    pub(crate) user: &'static str,
    pub(crate) namespace: &'static str,
    pub(crate) ask: Ask,
    pub(crate) expect: Expect,
}

pub(crate) enum Ask {
    Create(Value),
    Kubectl(Vec<String>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    Accepted,
    /// Admission has nothing against it.
    Passed,
    /// With a word of the rule.
    Refused(&'static str),
}

use Expect::{Accepted, Passed, Refused};

pub(crate) fn all() -> Vec<Row> {
    let mut rows = guarded_pods();
    rows.extend(changes());
    rows.extend(enforced_pods());
    rows.extend(connect());
    rows.extend(tokens());
    rows.extend(own_objects());
    rows.extend(namespaces());
    rows
}

fn create(
    policy: &'static str,
    name: &str,
    user: &'static str,
    namespace: &'static str,
    object: Value,
    expect: Expect,
) -> Row {
    Row {
        policy,
        name: name.to_owned(),
        user,
        namespace,
        ask: Ask::Create(object),
        expect,
    }
}

fn run(
    policy: &'static str,
    name: &str,
    user: &'static str,
    namespace: &'static str,
    words: &[&str],
    expect: Expect,
) -> Row {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    Row {
        policy,
        name: name.to_owned(),
        user,
        namespace,
        ask: Ask::Kubectl(words),
        expect,
    }
}

/// Sets what is there, adds what is not; `-` adds to a list; nothing is a removal.
fn with(mut pod: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = pod
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("{pointer}"));
    match parent {
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        other if value.is_null() => drop(other.as_object_mut().unwrap().remove(key)),
        other => drop(other.as_object_mut().unwrap().insert(key.to_owned(), value)),
    }
    pod
}

fn guarded_pods() -> Vec<Row> {
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

fn changes() -> Vec<Row> {
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

fn enforced_pods() -> Vec<Row> {
    const POLICY: &str = "enforced-pods";
    let exempt = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "exempt" },
        "spec": { "containers": [{ "name": "c", "image": "exempt@sha256:00", "securityContext": {
            "runAsUser": 10001, "runAsNonRoot": true, "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] }, "seccompProfile": { "type": "RuntimeDefault" } } }] },
    });
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
    rows
}

fn connect() -> Vec<Row> {
    const POLICY: &str = "connect";
    vec![
        run(
            POLICY,
            "exec",
            "dev",
            "enforced",
            &["exec", "guarded", "-c", "server", "--", "true"],
            Refused("verb connect"),
        ),
        run(
            POLICY,
            "exec with the verb",
            "platform",
            "enforced",
            &["exec", "guarded", "-c", "server", "--", "true"],
            Passed,
        ),
        run(
            POLICY,
            "exec into the sidecar with the verb",
            "platform",
            "enforced",
            &["exec", "guarded", "-c", "sallyport", "--", "true"],
            Refused("nobody steps"),
        ),
        run(
            POLICY,
            "attach",
            "dev",
            "enforced",
            &["attach", "guarded", "-c", "server"],
            Refused("verb connect"),
        ),
        run(
            POLICY,
            "proxy",
            "dev",
            "",
            &[
                "get",
                "--raw",
                "/api/v1/namespaces/enforced/pods/guarded:8080/proxy/mcp",
            ],
            Refused("verb connect"),
        ),
        run(
            POLICY,
            "proxy where nothing is enforced",
            "dev",
            "",
            &[
                "get",
                "--raw",
                "/api/v1/namespaces/free/pods/nobody:8080/proxy/mcp",
            ],
            Passed,
        ),
    ]
}

fn tokens() -> Vec<Row> {
    let ask = |name: &str, user, audience: &str, expect| {
        let audience = format!("--audience={audience}");
        run(
            "tokens",
            name,
            user,
            "free",
            &["create", "token", "default", &audience],
            expect,
        )
    };
    let token = json!({ "projected": { "sources": [{ "serviceAccountToken": { "audience": "sallyport.dev/control", "path": "t" } }] } });
    let volume = |name: &str| with(token.clone(), "/name", json!(name));
    let bare = |volume: Value| with(guarded::plain(), "/spec/volumes/0", volume);
    let mounted = |pod: Value| {
        with(
            pod,
            "/spec/containers/0/volumeMounts",
            json!([{ "name": "sallyport-control", "mountPath": "/t" }]),
        )
    };
    vec![
        ask(
            "our audience",
            "dev",
            "sallyport.dev/control",
            Refused("nobody else may ask"),
        ),
        ask(
            "our audience, by the platform",
            "platform",
            "sallyport.dev/control",
            Refused("nobody else may ask"),
        ),
        ask(
            "our audience, by a kubelet",
            "system:node:n1",
            "sallyport.dev/control",
            Accepted,
        ),
        ask("another audience", "dev", "example.com", Accepted),
        create(
            "projected-tokens",
            "in a volume of theirs",
            "dev",
            "free",
            bare(volume("mine")),
            Refused("sidecar's volume only"),
        ),
        create(
            "projected-tokens",
            "in ours, mounted by theirs",
            "dev",
            "free",
            mounted(bare(volume("sallyport-control"))),
            Refused("mounted by the sidecar only"),
        ),
        create(
            "projected-tokens",
            "in ours, of nobody's pod",
            "dev",
            "free",
            bare(volume("sallyport-control")),
            Refused("guarded pods only"),
        ),
        create(
            "projected-tokens",
            "where injection puts it",
            "dev",
            "enforced",
            guarded::pod("enforced"),
            Accepted,
        ),
    ]
}

fn own_objects() -> Vec<Row> {
    let review = |by: &str, groups: Value, verdict: &str| {
        json!({
            "apiVersion": "sallyport.dev/v1alpha1", "kind": "McpAccessReview", "metadata": { "name": "r" },
            "spec": { "requestRef": { "name": "q" }, "gatewayName": "inventory", "verdict": verdict, "reason": "agreed",
                      "by": { "username": by, "groups": groups } },
        })
    };
    let status = json!({ "status": { "revision": "x" } }).to_string();
    let words = [
        "patch",
        "mcpgateway",
        "inventory",
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
        "--dry-run=server",
    ];
    let bundle = |name: Value| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": name });
    let edit = [
        "patch",
        "configmap",
        "sallyport-bundle-inventory-0",
        "--type=merge",
        "-p",
        r#"{"data":{"a":"b"}}"#,
        "--dry-run=server",
    ];
    let delete = [
        "delete",
        "configmap",
        "sallyport-bundle-inventory-0",
        "--dry-run=server",
    ];
    let delete_all = [
        "delete",
        "--raw",
        "/api/v1/namespaces/free/configmaps?dryRun=All",
    ];
    let mut request = serde_yaml::Deserializer::from_str(include_str!(
        "../../../crds/tests/examples/approvals.yaml"
    ))
    .map(|document| <Value as serde::Deserialize>::deserialize(document).unwrap())
    .next()
    .unwrap();
    request["metadata"] = json!({ "name": "q" });
    vec![
        run(
            "status",
            "by a developer",
            "dev",
            "free",
            &words,
            Refused("operator alone"),
        ),
        run(
            "status",
            "by the operator",
            OPERATOR,
            "free",
            &words,
            Accepted,
        ),
        create(
            "requests",
            "for a held call by a developer",
            "dev",
            "free",
            request.clone(),
            Refused("opened by the operator"),
        ),
        create(
            "requests",
            "for a held call by the operator",
            OPERATOR,
            "free",
            request,
            Accepted,
        ),
        create(
            "reviews",
            "in another's name",
            "platform",
            "free",
            review("dev", json!([]), "Approve"),
            Refused("another's name"),
        ),
        create(
            "reviews",
            "with a group of others",
            "platform",
            "free",
            review("platform", json!(["leads"]), "Approve"),
            Refused("groups of its author"),
        ),
        create(
            "reviews",
            "without the verb",
            "dev",
            "free",
            review("dev", json!([]), "Approve"),
            Refused("verb approve"),
        ),
        create(
            "reviews",
            "in one's own name with the verb",
            "platform",
            "free",
            review("platform", json!(["clerks"]), "Approve"),
            Accepted,
        ),
        create(
            "bundles",
            "made by a developer",
            "dev",
            "free",
            bundle(json!({ "name": "sallyport-bundle-x-0" })),
            Refused("operator's"),
        ),
        create(
            "bundles",
            "with a generated name",
            "dev",
            "free",
            bundle(json!({ "generateName": "sallyport-bundle-x-" })),
            Refused("operator's"),
        ),
        create(
            "bundles",
            "made by the operator",
            OPERATOR,
            "free",
            bundle(json!({ "name": "sallyport-bundle-x-0" })),
            Accepted,
        ),
        create(
            "bundles",
            "another ConfigMap",
            "dev",
            "free",
            bundle(json!({ "name": "mine" })),
            Accepted,
        ),
        run(
            "bundles",
            "edited",
            "dev",
            "free",
            &edit,
            Refused("operator's"),
        ),
        run(
            "bundles",
            "deleted",
            "dev",
            "free",
            &delete,
            Refused("operator's"),
        ),
        run(
            "bundles",
            "deleted with all others",
            "dev",
            "",
            &delete_all,
            Refused("operator's"),
        ),
        run(
            "bundles",
            "collected as garbage",
            "system:serviceaccount:kube-system:generic-garbage-collector",
            "free",
            &delete,
            Accepted,
        ),
    ]
}

fn namespaces() -> Vec<Row> {
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
