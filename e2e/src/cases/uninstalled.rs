//! The release is taken away and put back: what was guarded stays guarded, and nothing becomes unguarded meanwhile.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::client;
use crate::kubectl::at;
use crate::release;
use crate::scene::Scene;
use crate::stage::{Stage, say};

/// As long as a Deployment takes to try its pod again, several times over.
const MEANWHILE: Duration = Duration::from_secs(6);
const READY: Duration = Duration::from_secs(120);

pub(super) fn run(stage: &mut Stage, bed: &Bed) -> Result<()> {
    let Some(chart) = &bed.chart else {
        say("    not shown here: no chart was given (--chart)");
        return Ok(());
    };
    let scene = Scene::enforced(bed, "e2e-uninstalled", 1)?;
    release::uninstall()?;
    let without = without(stage, bed, &scene);
    // Whatever came of it, the next run needs it back.
    release::install(bed, chart)?;
    without?;
    let deployment = ["deployment", "everything"];
    scene
        .kubectl()
        .good(&["rollout", "restart", "deployment/everything"], "")?;
    scene.kubectl().good(
        &[
            "rollout",
            "status",
            "deployment/everything",
            "--timeout=50s",
        ],
        "",
    )?;
    scene
        .kubectl()
        .wait("condition=Available", &deployment, READY)?;
    stage.check(
        "installed again, a new pod is guarded and serves the clerk",
        called(bed, &scene)?,
    );
    Ok(())
}

fn without(stage: &mut Stage, bed: &Bed, scene: &Scene) -> Result<()> {
    stage.check(
        "helm uninstall: the pod that runs goes on as before",
        called(bed, scene)?,
    );
    let said = scene
        .kubectl()
        .ask(&["get", "mcpgateway", "everything"], "")?;
    stage.check_in(
        "definitions and resources stay",
        said.good,
        &json!(said.stderr),
    );
    let elsewhere = include_str!("../../manifests/elsewhere.yaml")
        .replace("{EVERYTHING}", bed.image("everything")?);
    let said = scene.kubectl().ask(&["create", "-f", "-"], &elsewhere)?;
    stage.check_in(
        "a new pod in the enforced namespace is refused",
        !said.good && said.stderr.contains("sallyport"),
        &json!(said.stderr),
    );
    scene
        .kubectl()
        .good(&["delete", "pods", "--selector", "app=everything"], "")?;
    thread::sleep(MEANWHILE);
    let pods = scene
        .kubectl()
        .get(&["pods", "--selector", "app=everything"])?;
    let none = at(&pods, "/items").as_array().is_some_and(Vec::is_empty);
    stage.check_in(
        "the guarded pod deleted: its Deployment brings no unguarded one",
        none,
        &pods,
    );
    Ok(())
}

/// What is allowed runs, and what is not is refused.
fn called(bed: &Bed, scene: &Scene) -> Result<bool> {
    let steps = [
        json!({ "as": "echo", "do": "call", "name": "echo", "arguments": { "message": "hello" } }),
        json!({ "as": "env", "do": "call", "name": "get-env" }),
    ];
    let report = scene.clerk(bed)?.take(scene.clients(), &steps)?;
    let ran = |step: &str| -> bool { client::ran(report.pointer(step).unwrap_or(&Value::Null)) };
    Ok(ran("/outcomes/echo") && !ran("/outcomes/env"))
}
