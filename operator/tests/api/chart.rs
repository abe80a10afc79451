//! The chart on a real API server: rendered by helm, taken whole, and enough for the operator and for nobody else.

use std::path::Path;
use std::process::Command;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use sallyport_crds::McpGateway;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::scene::{NAMESPACE, SYSTEM, apply, condition, done, eventually};

pub(crate) async fn shown(bed: &Bed, helm: &Path) {
    let rendered = render(helm);
    assert_eq!(rendered, render(helm), "rendering is deterministic");
    assert!(
        !rendered.contains("caBundle:"),
        "that field is the operator's alone"
    );
    for name in [NAMESPACE, SYSTEM] {
        let api: Api<Namespace> = Api::all(bed.client.clone());
        let namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
        api.create(&PostParams::default(), &namespace)
            .await
            .unwrap();
    }
    let (hooks, rest): (Vec<Value>, Vec<Value>) =
        documents(&rendered).into_iter().partition(|object| {
            object["kind"]
                .as_str()
                .is_some_and(|kind| kind.ends_with("WebhookConfiguration"))
        });
    assert_eq!(hooks.len(), 2);
    for object in rest {
        put(bed, object).await;
    }
    let token = token(bed).await;
    let operator = bed.operator_as("first", &token);
    for mut object in hooks {
        reach(&mut object, operator.webhooks);
        put(bed, object).await;
    }
    a_gateway_is_taken_and_ready(bed).await;
    a_pod_gets_its_guard_and_is_touched(bed).await;
    nobody_else_writes_what_is_the_operators(bed).await;
    done(
        "the chart is taken whole, its rights are enough for the operator, and its webhooks guard pods",
    );
}

fn render(helm: &Path) -> String {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/sallyport");
    let mut command = Command::new(helm);
    command
        .arg("template")
        .arg("sallyport")
        .arg(chart)
        .args(["--namespace", SYSTEM]);
    for name in ["operator", "sidecar", "capture"] {
        let image = format!("registry.example.com/{name}@sha256:{}", "0".repeat(64));
        command.args(["--set-string", &format!("images.{name}={image}")]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|value| !value.is_null())
        .collect()
}

async fn put(bed: &Bed, object: Value) {
    let text = |key: &str| object[key].as_str().unwrap().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    apply(bed, &version, &kind, object, "").await;
}

/// No Service leads anywhere on this bed: the API server is told the address instead.
fn reach(configuration: &mut Value, port: u16) {
    for hook in configuration["webhooks"].as_array_mut().unwrap() {
        let path = hook["clientConfig"]["service"]["path"]
            .as_str()
            .unwrap()
            .to_owned();
        hook["clientConfig"] = json!({ "url": format!("https://127.0.0.1:{port}{path}") });
    }
}

async fn token(bed: &Bed) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(bed.client.clone(), SYSTEM);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: Vec::new(),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let params = PostParams::default();
    let made = accounts
        .create_token_request("sallyport-operator", &params, &request)
        .await;
    made.unwrap().status.unwrap().token
}

async fn a_gateway_is_taken_and_ready(bed: &Bed) {
    let gateway = json!({
        "metadata": { "name": "inventory", "namespace": NAMESPACE },
        "spec": {
            "selector": { "matchLabels": { "app": "inventory-mcp" } },
            "server": { "port": 8080, "runAsUser": 10001 },
            "publicUrl": "https://inventory.example.com/mcp",
        },
    });
    apply(
        bed,
        "sallyport.dev/v1alpha1",
        "McpGateway",
        gateway,
        "inventory",
    )
    .await;
    let gateways: Api<McpGateway> = Api::namespaced(bed.client.clone(), NAMESPACE);
    eventually(bed, "a ready gateway", || async {
        let gateway = gateways.get("inventory").await.unwrap();
        condition(&gateway, "Ready")
            .filter(|(status, _)| status == "True")
            .map(drop)
    })
    .await;
    let policy = json!({
        "apiVersion": "sallyport.dev/v1alpha1",
        "kind": "McpAccessPolicy",
        "metadata": { "name": "wrong", "namespace": NAMESPACE },
        "spec": {
            "targetRefs": [{ "kind": "McpGateway", "name": "inventory" }],
            "rules": [{
                "name": "broken", "effect": "Allow", "tools": ["*"],
                "when": [{ "argument": "$.sql", "operator": "Matches", "values": ["("] }],
            }],
        },
    });
    let policies: Api<sallyport_crds::McpAccessPolicy> =
        Api::namespaced(bed.client.clone(), NAMESPACE);
    let params = PatchParams::apply("a-person");
    let refused = policies
        .patch("wrong", &params, &Patch::Apply(&policy))
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("spec.rules[0].when[0].values[0]"),
        "{refused}"
    );
}

async fn a_pod_gets_its_guard_and_is_touched(bed: &Bed) {
    let pods: Api<Pod> = Api::namespaced(bed.client.clone(), NAMESPACE);
    let accounts: Api<ServiceAccount> = Api::namespaced(bed.client.clone(), NAMESPACE);
    let account = serde_json::from_value(json!({ "metadata": { "name": "default" } })).unwrap();
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let pod = json!({
        "metadata": {
            "name": "inventory-0", "namespace": NAMESPACE,
            "labels": { "app": "inventory-mcp" },
            "annotations": { "sallyport.dev/inject": "true" },
        },
        "spec": {
            "serviceAccountName": "default",
            "containers": [{
                "name": "server",
                "image": "registry.example.com/server",
                "ports": [{ "containerPort": 8080 }],
            }],
        },
    });
    let pod = serde_json::from_value(pod).unwrap();
    let made = pods.create(&PostParams::default(), &pod).await.unwrap();
    let inits = made.spec.unwrap().init_containers.unwrap_or_default();
    let names: Vec<_> = inits.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(
        names,
        ["sallyport-capture", "sallyport", "sallyport-validator"]
    );
    eventually(bed, "a touched pod", || async {
        let pod = pods.get("inventory-0").await.unwrap();
        pod.annotations().get("sallyport.dev/revision").map(drop)
    })
    .await;
    let gateways: Api<McpGateway> = Api::namespaced(bed.client.clone(), NAMESPACE);
    eventually(bed, "a gateway that counts it", || async {
        let status = gateways.get("inventory").await.unwrap().status?;
        let counts = (
            status.pods.matched,
            status.pods.injected,
            status.pods.outdated,
        );
        (counts == (1, 1, 0)).then_some(())
    })
    .await;
    let params = PatchParams::default();
    let moved = Patch::Merge(json!({ "spec": { "server": { "path": "/elsewhere" } } }));
    gateways.patch("inventory", &params, &moved).await.unwrap();
    eventually(bed, "a gateway that asks for a restart", || async {
        let status = gateways.get("inventory").await.unwrap().status?;
        (status.pods.outdated == 1).then_some(())
    })
    .await;
}

async fn nobody_else_writes_what_is_the_operators(bed: &Bed) {
    let maps: Api<ConfigMap> = Api::namespaced(bed.client.clone(), NAMESPACE);
    let params = PatchParams::default();
    let edit = Patch::Merge(json!({ "binaryData": { "bundle-1": "AAAA" } }));
    // Admission policies are in force a moment after they were made.
    let refused = eventually(bed, "a refusal of edits", || async {
        maps.patch("sallyport-bundle-inventory-1", &params, &edit)
            .await
            .err()
    })
    .await;
    assert!(
        refused.to_string().contains("are the operator's"),
        "{refused}"
    );
    let gateways: Api<McpGateway> = Api::namespaced(bed.client.clone(), NAMESPACE);
    let edit = Patch::Merge(json!({ "status": { "revision": "sha256:0" } }));
    let refused = eventually(bed, "a refusal of a foreign status", || async {
        gateways
            .patch_status("inventory", &params, &edit)
            .await
            .err()
    })
    .await;
    assert!(
        refused
            .to_string()
            .contains("written by the operator alone"),
        "{refused}"
    );
}
