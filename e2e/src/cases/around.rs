//! Ways around the sidecar, tried from where an attacker would be: another pod, and `kubectl` with the built-in `edit`
//! role in the server's own namespace. Each must end closed.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::client;
use crate::kubectl::{Kubectl, at};
use crate::scene::{self, Scene};
use crate::stage::{Stage, say};

const READY: Duration = Duration::from_secs(60);
/// Whoever has `edit` in the namespace, and wants out.
const ATTACKER: &str = "mallory";

/// What is tried with `kubectl`; `{POD}` and `{NAMESPACE}` are filled in.
struct Attempt {
    path: &'static str,
    words: &'static [&'static str],
    /// What is put on stdin.
    manifest: &'static str,
}

const ATTEMPTS: [Attempt; 20] = [
    with(
        "exec into the server",
        &["exec", "{POD}", "-c", "server", "--", "true"],
    ),
    with(
        "exec into the sidecar",
        &["exec", "{POD}", "-c", "sallyport", "--", "true"],
    ),
    with("attach to the server", &["attach", "{POD}", "-c", "server"]),
    with(
        "port-forward to the server's port",
        &["port-forward", "pod/{POD}", ":8080"],
    ),
    with(
        "the API server's proxy to the pod",
        &[
            "get",
            "--raw",
            "/api/v1/namespaces/{NAMESPACE}/pods/{POD}:8080/proxy/mcp",
        ],
    ),
    with(
        "the API server's proxy to the Service",
        &[
            "get",
            "--raw",
            "/api/v1/namespaces/{NAMESPACE}/services/everything:80/proxy/mcp",
        ],
    ),
    with(
        "an ephemeral container",
        &[
            "debug",
            "{POD}",
            "--image={CLIENT}",
            "--target=server",
            "--",
            "true",
        ],
    ),
    with(
        "the sidecar's image replaced in place",
        &[
            "patch",
            "pod",
            "{POD}",
            "--type=json",
            "-p",
            r#"[{"op":"replace","path":"/spec/initContainers/1/image","value":"{CLIENT}"}]"#,
        ],
    ),
    with(
        "the sidecar's processors taken away",
        &[
            "patch",
            "pod",
            "{POD}",
            "--subresource=resize",
            "--type=strategic",
            "-p",
            r#"{"spec":{"initContainers":[{"name":"sallyport","resources":{"limits":{"cpu":"1m"},"requests":{"cpu":"1m"}}}]}}"#,
        ],
    ),
    with(
        "the label of the guard removed",
        &["label", "pod", "{POD}", "sallyport.dev/guarded-by-"],
    ),
    with(
        "the policy edited in its ConfigMap",
        &[
            "patch",
            "configmap",
            "sallyport-bundle-everything-0",
            "--type=merge",
            "-p",
            r#"{"data":{"manifest.json":"{}"}}"#,
        ],
    ),
    with(
        "the policy's ConfigMap deleted",
        &["delete", "configmap", "sallyport-bundle-everything-0"],
    ),
    with(
        "all ConfigMaps deleted at once",
        &[
            "delete",
            "--raw",
            "/api/v1/namespaces/{NAMESPACE}/configmaps",
        ],
    ),
    with(
        "a token for the control endpoint",
        &[
            "create",
            "token",
            "default",
            "--audience=sallyport.dev/control",
        ],
    ),
    with(
        "the gateway's status written",
        &[
            "patch",
            "mcpgateway",
            "everything",
            "--subresource=status",
            "--type=merge",
            "-p",
            r#"{"status":{"revision":"sha256:0"}}"#,
        ],
    ),
    with(
        "the namespace's label removed",
        &[
            "label",
            "namespace",
            "{NAMESPACE}",
            "sallyport.dev/enforce-",
        ],
    ),
    applied(
        "a pod made by hand as if it were guarded",
        include_str!("../../manifests/hand-made.yaml"),
    ),
    applied(
        "the server's image under other labels",
        include_str!("../../manifests/elsewhere.yaml"),
    ),
    applied(
        "the server on its node's network",
        include_str!("../../manifests/on-the-node.yaml"),
    ),
    applied(
        "a NetworkPolicy that opens every port",
        include_str!("../../manifests/opened.yaml"),
    ),
];

const fn with(path: &'static str, words: &'static [&'static str]) -> Attempt {
    Attempt {
        path,
        words,
        manifest: "",
    }
}

const fn applied(path: &'static str, manifest: &'static str) -> Attempt {
    Attempt {
        path,
        words: &["create", "-f", "-"],
        manifest,
    }
}

pub(super) fn run(stage: &mut Stage, bed: &Bed) -> Result<()> {
    let scene = Scene::enforced(bed, "e2e-around", 1)?;
    let pod = scene.pod()?;
    dialled(stage, &scene, &pod)?;
    from_beside(stage, bed, &scene)?;
    let words = [
        "create",
        "rolebinding",
        ATTACKER,
        "--clusterrole=edit",
        "--user",
        ATTACKER,
    ];
    scene.kubectl().good(&words, "")?;
    scene.clients().good(&words, "")?;
    let elsewhere = scene.clients().acting_as(ATTACKER);
    stage.check(
        "the same attacker, with the same role, steps into a pod that is not guarded",
        elsewhere.exec(client::POD, &["true"], "")?.good,
    );
    let attacker = scene.kubectl().acting_as(ATTACKER);
    let name = at(&pod, "/metadata/name")
        .as_str()
        .context("the pod's name")?;
    for attempt in &ATTEMPTS {
        tried(stage, bed, &attacker, name, attempt)?;
    }
    let places = [
        json!({ "as": "echo", "do": "call", "name": "echo", "arguments": { "message": "after all that" } }),
    ];
    let report = scene.clerk(bed)?.take(scene.clients(), &places)?;
    let outcome = at(&report, "/outcomes/echo");
    stage.check_in(
        "after all that, the clerk's call still runs",
        client::ran(outcome),
        outcome,
    );
    Ok(())
}

/// Every address and port of the pod leads to the sidecar, or nowhere.
fn dialled(stage: &mut Stage, scene: &Scene, pod: &Value) -> Result<()> {
    let addresses = at(pod, "/status/podIPs")
        .as_array()
        .context("the pod has addresses")?;
    for address in addresses.iter().filter_map(|it| at(it, "/ip").as_str()) {
        let address: IpAddr = address.parse()?;
        for (port, what) in [
            (8080, "the server's port"),
            (15101, "the sidecar's port"),
            (47_001, "a port of nobody's"),
        ] {
            let url = format!("http://{}/mcp", std::net::SocketAddr::new(address, port));
            let answer = scene::post(scene.clients(), &url)?;
            stage.check_in(
                &format!("{what} at {address} gives no answer of the server's"),
                !scene::is_the_servers(&answer) && at(&answer, "/status") != 200,
                &answer,
            );
        }
    }
    Ok(())
}

/// A second container of the pod, with a user of its own, reaches the sidecar like everybody else.
fn from_beside(stage: &mut Stage, bed: &Bed, scene: &Scene) -> Result<()> {
    const NAME: &str = "beside";
    let manifest = include_str!("../../manifests/beside.yaml")
        .replace("{CLIENT}", bed.image("client")?)
        .replace("{EVERYTHING}", bed.image("everything")?);
    scene.kubectl().apply(&manifest)?;
    scene
        .kubectl()
        .wait("condition=Ready", &["pod", NAME], READY)?;
    let pod = scene.kubectl().get(&["pod", NAME])?;
    let own = at(&pod, "/status/podIP")
        .as_str()
        .context("the pod has an address")?;
    let urls = ["127.0.0.1", "[::1]", own].map(|host| format!("http://{host}:8080/mcp"));
    let plan = json!({ "urls": urls, "seconds": 1 }).to_string();
    let words = ["-c", NAME, "--", "node", "/app/drivers/knock.mjs"];
    let said = scene.kubectl().exec_with(NAME, &words, &plan)?;
    let last = said.stdout.lines().last().unwrap_or_default();
    let counts: Value = serde_json::from_str(last).with_context(|| said.stderr.clone())?;
    let count = |place: &str| at(&counts, place).as_u64().unwrap_or_default();
    stage.check_in(
        &format!("a second container of the pod knocks {} times at 127.0.0.1, ::1 and the pod's address: never the server", count("/knocks")),
        count("/served") == 0 && count("/turnedAway") > 0,
        &counts,
    );
    let words = ["delete", "pod", NAME, "--wait=true"];
    scene.kubectl().good(&words, "").map(drop)
}

/// Refused is what the API server refuses, and not what failed by itself.
fn tried(
    stage: &mut Stage,
    bed: &Bed,
    attacker: &Kubectl,
    pod: &str,
    attempt: &Attempt,
) -> Result<()> {
    let fill = |text: &str| -> Result<String> {
        Ok(text
            .replace("{POD}", pod)
            .replace("{NAMESPACE}", attacker.namespace())
            .replace("{CLIENT}", bed.image("client")?)
            .replace("{EVERYTHING}", bed.image("everything")?))
    };
    let words = attempt
        .words
        .iter()
        .map(|word| fill(word))
        .collect::<Result<Vec<_>>>()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = attacker.try_for_a_while(&words, &fill(attempt.manifest)?)?;
    let refused = !said.good
        && ["forbidden", "Forbidden", "sallyport:"]
            .iter()
            .any(|word| said.stderr.contains(word));
    stage.check_in(
        &format!("{}: refused", attempt.path),
        refused,
        &json!(said.stderr),
    );
    if refused {
        let why: String = said
            .stderr
            .trim()
            .lines()
            .last()
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect();
        say(&format!("             {why}"));
    }
    Ok(())
}
