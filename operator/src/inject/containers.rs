//! Our three containers. Every field that the API server would fill in is written here, so that what it stores is what
//! was written, and the twin finds no difference where there is none.

use std::collections::BTreeMap;

use sallyport_policy::source::defaults;
use sallyport_policy::source::gateway::{
    Credential, CredentialOrigin, CredentialTarget, GatewaySpec, Resources, Transport,
};
use serde_json::{Map, Value, json};

use super::denial::{Denial, Reason};
use super::names::{
    API_TOKEN, CAPTURE, CONTROL, CREDENTIALS, LISTENER, METRICS, MOUNTS, NO_TOKEN, POLICY, PROBES,
    PROOF, RECORDINGS, SIDECAR, SIDECAR_UID, STATE, TLS, VALIDATOR, VALIDATOR_UID,
};
use super::server::Server;
use super::{Guarding, Platform};

/// How the flag begins that names the server.
const UPSTREAM: &str = "--upstream=http://127.0.0.1:";
/// What a sidecar takes beside the bodies that it holds.
const BESIDE_BODIES: u64 = 128 * 1024 * 1024;
const SIDECAR_CPU: &str = "200m";

/// Capture, sidecar, validator: the order in which they start.
pub(super) fn all(
    server: &Server,
    probes: &[String],
    guarding: &Guarding<'_>,
    platform: &Platform,
) -> Result<Vec<Value>, Denial> {
    Ok(vec![
        capture(server, platform),
        sidecar(server, probes, guarding, platform)?,
        validator(server, platform),
    ])
}

fn capture(server: &Server, platform: &Platform) -> Value {
    let mut args = vec!["apply".to_owned()];
    args.extend(facts(server));
    let mut container = container(CAPTURE, &platform.capture_image, &args);
    put(
        &mut container,
        "securityContext",
        json!({
            "allowPrivilegeEscalation": false,
            "capabilities": { "add": ["NET_ADMIN"], "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
            "runAsGroup": 0,
            "runAsNonRoot": false,
            "runAsUser": 0,
            "seccompProfile": { "type": "RuntimeDefault" },
        }),
    );
    put(&mut container, "resources", small());
    put(&mut container, "volumeMounts", json!([no_token()]));
    Value::Object(container)
}

fn validator(server: &Server, platform: &Platform) -> Value {
    let mut args = vec![
        "validate".to_owned(),
        format!("--socket={}", proof_socket()),
    ];
    args.extend(facts(server));
    let mut container = container(VALIDATOR, &platform.capture_image, &args);
    put(
        &mut container,
        "securityContext",
        unprivileged(VALIDATOR_UID),
    );
    put(&mut container, "resources", small());
    put(
        &mut container,
        "volumeMounts",
        json!([mount(PROOF, "proof", true), no_token()]),
    );
    Value::Object(container)
}

fn sidecar(
    server: &Server,
    probes: &[String],
    guarding: &Guarding<'_>,
    platform: &Platform,
) -> Result<Value, Denial> {
    let mut args = own_flags(guarding, platform);
    args.extend(flags_of(guarding.spec, server.port));
    args.extend(platform.control.iter().cloned());
    args.extend(credential_flags(&guarding.spec.credentials)?);
    args.extend(probes.iter().cloned());
    let mut container = container(SIDECAR, &platform.sidecar_image, &args);
    put(&mut container, "restartPolicy", "Always".into());
    put(&mut container, "securityContext", unprivileged(SIDECAR_UID));
    put(&mut container, "resources", resources(guarding));
    put(
        &mut container,
        "ports",
        json!([
            { "name": "sp-mcp", "containerPort": LISTENER, "protocol": "TCP" },
            { "name": "sp-probes", "containerPort": PROBES, "protocol": "TCP" },
            { "name": "sp-metrics", "containerPort": METRICS, "protocol": "TCP" },
        ]),
    );
    // The next container starts when this one has a policy; the pod is ready when it also was proven.
    put(&mut container, "startupProbe", probe("/startz", 1, 300));
    put(&mut container, "readinessProbe", probe("/readyz", 2, 2));
    put(&mut container, "livenessProbe", probe("/livez", 10, 6));
    put(&mut container, "volumeMounts", mounts(guarding));
    Ok(Value::Object(container))
}

fn own_flags(guarding: &Guarding<'_>, platform: &Platform) -> Vec<String> {
    vec![
        format!("--bundle={MOUNTS}/policy"),
        format!("--root-key={}", platform.root_key),
        format!("--gateway={}/{}", guarding.namespace, guarding.name),
        format!("--gateway-uid={}", guarding.uid),
        format!("--minimum-generation={}", guarding.generation),
        format!("--listen=[::]:{LISTENER}"),
        format!("--probes=[::]:{PROBES}"),
        format!("--admin=[::]:{METRICS}"),
        format!("--state={MOUNTS}/state"),
        format!("--recordings={RECORDINGS}"),
        format!("--proof={}", proof_socket()),
        format!("--validator-uid={VALIDATOR_UID}"),
    ]
}

/// What the spec says of server and listener. It is fixed with the pod: another spec needs another pod.
fn flags_of(spec: &GatewaySpec, port: u16) -> Vec<String> {
    let path = spec.server.path.as_deref().unwrap_or(defaults::SERVER_PATH);
    let mut args = vec![format!("--path={path}"), format!("{UPSTREAM}{port}{path}")];
    if spec.server.transport == Some(Transport::Sse) {
        args.push("--sse".to_owned());
    }
    if spec.listener.tls.is_some() {
        args.push(format!("--tls-cert={MOUNTS}/tls/tls.crt"));
        args.push(format!("--tls-key={MOUNTS}/tls/tls.key"));
    }
    args
}

/// Whether a sidecar with these flags was injected by another spec than this one, as far as flags show: path, transport,
/// port, TLS and credentials. A spec by which no pod could be injected outdates them all.
pub(super) fn is_outdated(flags: &[String], spec: &GatewaySpec) -> bool {
    let port = spec.server.port.or_else(|| port_in(flags));
    let (Some(port), Ok(credentials)) = (port, credential_flags(&spec.credentials)) else {
        return true;
    };
    let mut wanted = flags_of(spec, port);
    wanted.extend(credentials);
    let found = flags.iter().filter(|flag| is_of_spec(flag));
    !found.eq(&wanted)
}

fn is_of_spec(flag: &str) -> bool {
    flag == "--sse"
        || ["--path=", UPSTREAM, "--tls-", "--credential"]
            .iter()
            .any(|start| flag.starts_with(start))
}

/// The port that was found in the pod, where the spec names none.
fn port_in(flags: &[String]) -> Option<u16> {
    let upstream = flags.iter().find_map(|flag| flag.strip_prefix(UPSTREAM))?;
    upstream.split('/').next()?.parse().ok()
}

fn credential_flags(credentials: &[Credential]) -> Result<Vec<String>, Denial> {
    let mut flags = Vec::new();
    for (number, credential) in credentials.iter().enumerate() {
        let Some(CredentialTarget::Header(name)) = credential.target() else {
            return Err(denied(
                "a credential that is no `header`",
                "name a `header`; `env` is for stdio servers",
            ));
        };
        let Some(CredentialOrigin::Namespace(_)) = credential.origin() else {
            return Err(denied(
                "a credential by `platformSecretRef`, which is not part of this version",
                "use `secretKeyRef`",
            ));
        };
        flags.push(format!(
            "--credential=header:{name}={MOUNTS}/credentials/{number}/value"
        ));
        if let Some(prefix) = &credential.prefix {
            flags.push(format!("--credential-prefix={name}={prefix}"));
        }
    }
    Ok(flags)
}

fn denied(what: &str, remedy: &str) -> Denial {
    Denial::new(
        Reason::Credential,
        format!("the gateway has {what}"),
        remedy,
    )
}

/// What the rules are made from, as flags of `sallyport-capture`.
fn facts(server: &Server) -> Vec<String> {
    vec![
        format!("--sidecar-uid={SIDECAR_UID}"),
        format!("--server-uid={}", server.uid),
        format!("--validator-uid={VALIDATOR_UID}"),
        format!("--server-port={}", server.port),
        format!("--listener={LISTENER}"),
        format!("--probes={PROBES}"),
        format!("--metrics={METRICS}"),
    ]
}

fn proof_socket() -> String {
    format!("{MOUNTS}/proof/{}", sallyport_policy::proof::SOCKET)
}

fn container(name: &str, image: &str, args: &[String]) -> Map<String, Value> {
    // The kubelet reads `$(NAME)` in arguments and takes `$$` for `$`.
    let args: Vec<String> = args.iter().map(|arg| arg.replace('$', "$$")).collect();
    let fields = [
        ("name", json!(name)),
        ("image", json!(image)),
        ("imagePullPolicy", json!("IfNotPresent")),
        ("args", json!(args)),
        ("terminationMessagePath", json!("/dev/termination-log")),
        ("terminationMessagePolicy", json!("FallbackToLogsOnError")),
    ];
    fields
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

fn put(container: &mut Map<String, Value>, key: &str, value: Value) {
    container.insert(key.to_owned(), value);
}

fn unprivileged(uid: u32) -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
        "readOnlyRootFilesystem": true,
        "runAsGroup": uid,
        "runAsNonRoot": true,
        "runAsUser": uid,
        "seccompProfile": { "type": "RuntimeDefault" },
    })
}

fn probe(path: &str, period: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": PROBES, "scheme": "HTTP" },
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "successThreshold": 1,
        "failureThreshold": failures,
    })
}

fn mount(volume: &str, folder: &str, read_only: bool) -> Value {
    let mut mount = json!({ "name": volume, "mountPath": format!("{MOUNTS}/{folder}") });
    if let (true, Some(fields)) = (read_only, mount.as_object_mut()) {
        fields.insert("readOnly".to_owned(), true.into());
    }
    mount
}

/// Something at the place of the pod's API token, so that the API server mounts none there.
fn no_token() -> Value {
    json!({ "name": NO_TOKEN, "mountPath": API_TOKEN, "readOnly": true })
}

fn mounts(guarding: &Guarding<'_>) -> Value {
    let mut all = vec![
        mount(POLICY, "policy", true),
        mount(STATE, "state", false),
        mount(CONTROL, "control", true),
        mount(PROOF, "proof", false),
        no_token(),
    ];
    for number in 0..guarding.spec.credentials.len() {
        all.push(mount(
            &format!("{CREDENTIALS}{number}"),
            &format!("credentials/{number}"),
            true,
        ));
    }
    if guarding.spec.listener.tls.is_some() {
        all.push(mount(TLS, "tls", true));
    }
    Value::Array(all)
}

/// What is used once and briefly.
fn small() -> Value {
    equal(&BTreeMap::from([
        ("cpu".to_owned(), "50m".to_owned()),
        ("memory".to_owned(), "64Mi".to_owned()),
    ]))
}

/// Requests equal to limits: a sidecar that is starved or evicted first would take its server with it.
fn resources(guarding: &Guarding<'_>) -> Value {
    let own = &guarding.spec.sidecar.resources;
    let said = if *own == Resources::default() {
        guarding.default_resources
    } else {
        own
    };
    let bodies = guarding
        .spec
        .limits
        .memory
        .unwrap_or(defaults::MEMORY)
        .get();
    let memory = bodies.saturating_add(BESIDE_BODIES) / (1024 * 1024);
    let mut amounts = BTreeMap::from([
        ("cpu".to_owned(), SIDECAR_CPU.to_owned()),
        ("memory".to_owned(), format!("{memory}Mi")),
    ]);
    amounts.extend(said.requests.clone());
    amounts.extend(said.limits.clone());
    equal(&amounts)
}

fn equal(amounts: &BTreeMap<String, String>) -> Value {
    json!({ "limits": amounts, "requests": amounts })
}
