//! The reference server in a pod that its author did not change, and a clerk who uses it with an official SDK.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::client::{ran, told};
use crate::kubectl::at;
use crate::scene::{self, Scene};
use crate::stage::Stage;

pub(super) fn run(stage: &mut Stage, bed: &Bed) -> Result<()> {
    let scene = Scene::set(bed, "e2e-guarded", 1)?;
    let pod = scene.pod()?;
    let server = pod
        .pointer("/spec/containers/0/image")
        .and_then(Value::as_str);
    stage.check_in(
        "the sidecar runs in the pod, and the server's image is the one that its author named",
        server == Some(bed.image("everything")?) && has_sidecar(&pod),
        at(&pod, "/spec"),
    );
    talked(stage, bed, &scene)?;
    strangers(stage, &scene, &pod)
}

/// What a clerk may do with the tools, and what not.
fn talked(stage: &mut Stage, bed: &Bed, scene: &Scene) -> Result<()> {
    let steps = [
        json!({ "as": "tools", "do": "listTools" }),
        json!({ "as": "echo", "do": "call", "name": "echo", "arguments": { "message": "from the stock room" } }),
        json!({ "as": "env", "do": "call", "name": "get-env" }),
    ];
    let report = scene.clerk(bed)?.take(scene.clients(), &steps)?;
    let outcome = |name: &str| {
        report
            .pointer(&format!("/outcomes/{name}"))
            .unwrap_or(&Value::Null)
    };
    let tools = names(outcome("tools"));
    stage.check_in(
        "the clerk's official client lists the one tool that policy allows",
        tools == ["echo"],
        outcome("tools"),
    );
    stage.check_in(
        "her call runs on the server",
        ran(outcome("echo")) && told(outcome("echo")).contains("from the stock room"),
        outcome("echo"),
    );
    stage.check_in(
        "a tool that nobody allowed is refused, and the server's environment stays where it is",
        !ran(outcome("env")) && !outcome("env").to_string().contains("PORT"),
        outcome("env"),
    );
    Ok(())
}

/// Nobody gets an answer of the server without a token: neither through the Service nor at the pod's own address.
fn strangers(stage: &mut Stage, scene: &Scene, pod: &Value) -> Result<()> {
    let refused = scene.place(None).take(scene.clients(), &[]);
    stage.check("a client without a token is turned away", refused.is_err());
    let address = pod
        .pointer("/status/podIP")
        .and_then(Value::as_str)
        .context("the pod has an address")?;
    for (way, url) in [
        ("the Service", scene.place(None).url),
        (
            "the pod's own address and the server's own port",
            format!("http://{address}:8080/mcp"),
        ),
    ] {
        let answer = scene::post(scene.clients(), &url)?;
        stage.check_in(
            &format!("through {way}, an initialize without a token gets no server's answer"),
            matches!(at(&answer, "/status").as_u64(), Some(401 | 403 | 421))
                && !scene::is_the_servers(&answer),
            &answer,
        );
    }
    Ok(())
}

/// A native sidecar: an init container that is started again.
fn has_sidecar(pod: &Value) -> bool {
    let containers = pod
        .pointer("/spec/initContainers")
        .and_then(Value::as_array);
    containers.is_some_and(|containers| {
        containers
            .iter()
            .any(|it| at(it, "/name") == "sallyport" && at(it, "/restartPolicy") == "Always")
    })
}

fn names(outcome: &Value) -> Vec<&str> {
    let tools = outcome.pointer("/result/tools").and_then(Value::as_array);
    let tools = tools.map(Vec::as_slice).unwrap_or_default();
    tools
        .iter()
        .filter_map(|tool| at(tool, "/name").as_str())
        .collect()
}
