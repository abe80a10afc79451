//! What a large cluster costs: a thousand gateways and policies, five thousand pods, on the real API server.

use std::fs;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use sallyport_crds::{McpAccessPolicy, McpGateway};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::scene::{SYSTEM, done};

const NAMESPACES: usize = 100;
const GATEWAYS: usize = 10;
const PODS: usize = 5;
const AT_ONCE: usize = 32;
/// Clock ticks a second, as Linux tells processor time.
const TICKS: f64 = 100.0;

pub(crate) async fn measured(bed: &Bed) {
    crate::scene::define(bed).await;
    let namespaces: Vec<String> = (0..NAMESPACES).map(|n| format!("team-{n}")).collect();
    let all: Api<Namespace> = Api::all(bed.client.clone());
    for name in namespaces.iter().map(String::as_str).chain([SYSTEM]) {
        create(&all, json!({ "metadata": { "name": name } })).await;
    }
    let objects = namespaces.iter().flat_map(|namespace| {
        (0..GATEWAYS).map(move |n| (namespace.clone(), format!("server-{n}")))
    });
    stream::iter(objects)
        .for_each_concurrent(AT_ONCE, |(namespace, name)| async move {
            fill(bed, &namespace, &name).await;
        })
        .await;
    println!(
        "made: {} gateways and policies, {} pods",
        NAMESPACES * GATEWAYS,
        NAMESPACES * GATEWAYS * PODS
    );
    let begun = Instant::now();
    let operator = bed.operator("first");
    let pid = operator.running.pid();
    let maps: Api<ConfigMap> = Api::all(bed.client.clone());
    let bundles = ListParams::default().labels("sallyport.dev/bundle-of");
    until(|| async {
        maps.list_metadata(&bundles).await.unwrap().items.len() == NAMESPACES * GATEWAYS * 4
    })
    .await;
    println!(
        "all bundles written after {:.1?}, processor {:.2} s",
        begun.elapsed(),
        cpu(pid)
    );
    loop {
        let before = cpu(pid);
        tokio::time::sleep(Duration::from_secs(3)).await;
        if cpu(pid) - before < 0.1 {
            break;
        }
    }
    println!(
        "at rest after {:.1?}, processor {:.2} s in all, memory {} MiB",
        begun.elapsed(),
        cpu(pid),
        memory(pid)
    );
    let compiled = metric(operator.health, "sallyport_operator_compile_seconds_sum").await;
    let times = metric(operator.health, "sallyport_operator_compile_seconds_count").await;
    println!(
        "compiled {times} times in {compiled:.3} s, {:.3} ms each",
        compiled * 1000.0 / times
    );
    one_change(bed, pid).await;
    done("the cost of a large cluster is as printed");
}

async fn fill(bed: &Bed, namespace: &str, name: &str) {
    let gateways: Api<McpGateway> = Api::namespaced(bed.client.clone(), namespace);
    let gateway = json!({
        "apiVersion": "sallyport.dev/v1alpha1", "kind": "McpGateway",
        "metadata": { "name": name },
        "spec": { "selector": { "matchLabels": { "app": name } }, "server": { "port": 8080 } },
    });
    create(&gateways, gateway).await;
    let policies: Api<McpAccessPolicy> = Api::namespaced(bed.client.clone(), namespace);
    create(&policies, policy(name, "stock_*")).await;
    let pods: Api<Pod> = Api::namespaced(bed.client.clone(), namespace);
    for n in 0..PODS {
        let pod = json!({
            "metadata": { "name": format!("{name}-{n}"), "labels": { "app": name } },
            "spec": {
                "containers": [{ "name": "server", "image": "registry.example.com/server" }],
                "initContainers": [{
                    "name": "sallyport", "image": "registry.example.com/sidecar", "restartPolicy": "Always",
                    "args": [format!("--gateway={namespace}/{name}"), "--gateway-uid=of-old"],
                }],
            },
        });
        create(&pods, pod).await;
    }
}

fn policy(gateway: &str, tools: &str) -> Value {
    json!({
        "apiVersion": "sallyport.dev/v1alpha1", "kind": "McpAccessPolicy",
        "metadata": { "name": gateway },
        "spec": {
            "targetRefs": [{ "kind": "McpGateway", "name": gateway }],
            "rules": [
                { "name": "read", "effect": "Allow", "tools": [tools] },
                { "name": "sql", "effect": "Deny", "tools": ["*"],
                  "when": [{ "argument": "$.sql", "operator": "Matches", "values": ["(?i)\\b(drop|truncate)\\b"] }] },
            ],
        },
    })
}

async fn one_change(bed: &Bed, pid: u32) {
    const ROUNDS: u32 = 10;
    let policies: Api<McpAccessPolicy> = Api::namespaced(bed.client.clone(), "team-7");
    let gateways: Api<McpGateway> = Api::namespaced(bed.client.clone(), "team-7");
    let before = cpu(pid);
    for round in 0..ROUNDS {
        let old = gateways
            .get("server-3")
            .await
            .unwrap()
            .status
            .unwrap()
            .revision;
        let patch = policy("server-3", &format!("stock_{round}"));
        let params = PatchParams::apply("a-person").force();
        policies
            .patch("server-3", &params, &Patch::Apply(&patch))
            .await
            .unwrap();
        until(|| async {
            gateways
                .get("server-3")
                .await
                .unwrap()
                .status
                .unwrap()
                .revision
                != old
        })
        .await;
    }
    let each = (cpu(pid) - before) * 1000.0 / f64::from(ROUNDS);
    println!("one changed policy: {each:.1} ms of processor");
}

async fn create<K: Clone + std::fmt::Debug + DeserializeOwned + Serialize>(
    api: &Api<K>,
    object: Value,
) {
    let object: K = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

async fn until<F: Future<Output = bool>>(mut look: impl FnMut() -> F) {
    let begun = Instant::now();
    while !look().await {
        assert!(begun.elapsed() < Duration::from_secs(300), "waited in vain");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Processor time of a process, in seconds.
fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<f64> = fields
        .split(' ')
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    (fields[11] + fields[12]) / TICKS
}

/// Resident memory, in MiB.
fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024
}

async fn metric(port: u16, name: &str) -> f64 {
    let text = crate::scene::http(port, "/metrics").await;
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{name} ")))
        .unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
