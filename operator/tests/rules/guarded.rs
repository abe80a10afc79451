//! Pods as injection makes them.

use std::collections::BTreeMap;

use sallyport_operator::admission::{Guard, Keeper, World, validate_pods};
use sallyport_operator::inject::{Guarding, Platform, Surroundings, inject as put_in};
use sallyport_policy::source::gateway::{GatewaySpec, Resources};
use serde_json::{Value, json};

pub(crate) const SIDECAR_IMAGE: &str =
    "sidecar@sha256:5555555555555555555555555555555555555555555555555555555555555555";
pub(crate) const NEXT_IMAGE: &str =
    "sidecar@sha256:6666666666666666666666666666666666666666666666666666666666666666";
pub(crate) const CAPTURE_IMAGE: &str =
    "capture@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
pub(crate) const ROOT_KEY: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";
const GENERATION: u64 = 1_790_000_000_000;

fn platform() -> Platform {
    Platform {
        sidecar_image: SIDECAR_IMAGE.to_owned(),
        capture_image: CAPTURE_IMAGE.to_owned(),
        root_key: ROOT_KEY.to_owned(),
        control: Vec::new(),
    }
}

fn spec() -> GatewaySpec {
    serde_json::from_value(json!({ "server": { "port": 8080, "container": "server" } })).unwrap()
}

/// A plain pod that keeps to `restricted`, with the guard put in.
pub(crate) fn pod(namespace: &str) -> Value {
    inject(namespace, &plain(), &spec())
}

pub(crate) fn plain() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" },
        "spec": {
            "containers": [
                { "name": "server", "image": "i", "ports": [{ "containerPort": 8080 }],
                  "securityContext": { "runAsUser": 10001, "runAsNonRoot": true } },
                { "name": "helper", "image": "h", "securityContext": {
                    "runAsUser": 10002, "runAsNonRoot": true, "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] }, "seccompProfile": { "type": "RuntimeDefault" } } },
            ],
            "volumes": [{ "name": "data", "emptyDir": {} }],
        },
    })
}

pub(crate) fn inject(namespace: &str, pod: &Value, spec: &GatewaySpec) -> Value {
    let labels = BTreeMap::new();
    let guarding = Guarding {
        namespace,
        name: "inventory",
        uid: "u1",
        spec,
        generation: GENERATION,
        default_resources: &Resources::default(),
        default_pull_secrets: &[],
    };
    put_in(
        pod,
        &guarding,
        &platform(),
        Surroundings { labels: &labels },
    )
    .unwrap()
}

/// Shapes whose fields the API server completes in many ways.
pub(crate) fn shapes() -> Vec<(&'static str, Value, GatewaySpec)> {
    let mut probed = plain();
    probed["spec"]["containers"][0]["livenessProbe"] = json!({ "httpGet": { "port": 9090 } });
    probed["spec"]["containers"][0]["startupProbe"] =
        json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 1 });
    probed["spec"]["containers"][0]["lifecycle"] =
        json!({ "preStop": { "httpGet": { "path": "/drain", "port": 8080 } } });
    let secretive: GatewaySpec = serde_json::from_value(json!({
        "server": { "port": 8080, "container": "server", "transport": "Sse" },
        "listener": { "tls": { "secretRef": { "name": "tls" } } },
        "credentials": [{ "header": "Authorization", "prefix": "Bearer $(X) $$", "secretKeyRef": { "name": "s", "key": "k" } }],
        "sidecar": { "resources": { "limits": { "cpu": "0.5", "memory": "1024Mi" } }, "imagePullSecrets": [{ "name": "pull" }] },
    }))
    .unwrap();
    vec![
        ("plain", plain(), spec()),
        ("probes and hooks", probed, spec()),
        (
            "credentials, TLS and quantities in other spellings",
            plain(),
            secretive,
        ),
    ]
}

pub(crate) fn ours(pod: &Value) -> Vec<&Value> {
    let inits = pod["spec"]["initContainers"].as_array().unwrap();
    inits.iter().take(3).collect()
}

/// What the validating webhook says to a stored pod; nothing where it agrees.
pub(crate) fn twin(pod: &Value, spec: &GatewaySpec) -> Option<String> {
    let review = json!({ "request": { "uid": "r", "operation": "CREATE", "namespace": "enforced", "object": pod } });
    let answer = validate_pods(review.to_string().as_bytes(), &Known(spec.clone()));
    (!answer.allowed).then(|| String::from_utf8(answer.body).unwrap())
}

struct Known(GatewaySpec);

impl World for Known {
    fn platform(&self) -> Option<Platform> {
        Some(platform())
    }

    fn labels_of(&self, _: &str) -> Option<BTreeMap<String, String>> {
        Some(BTreeMap::new())
    }

    fn guard_of(
        &self,
        _: &str,
        _: &BTreeMap<String, String>,
        _: &BTreeMap<String, String>,
    ) -> Guard {
        Guard::By(Box::new(Keeper {
            name: "inventory".to_owned(),
            uid: "u1".to_owned(),
            spec: self.0.clone(),
            generation: GENERATION,
            default_resources: Resources::default(),
            default_pull_secrets: Vec::new(),
        }))
    }

    fn exemptions(&self, _: &str) -> Vec<Vec<String>> {
        Vec::new()
    }
}
