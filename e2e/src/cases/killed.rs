//! The sidecar is killed while strangers knock at the pod: while it is down nobody answers in its place, and what comes
//! back enforces what was enforced before.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::client::{self, POD};
use crate::kubectl::at;
use crate::node::Node;
use crate::scene::Scene;
use crate::stage::Stage;

const KNOCKING: Duration = Duration::from_secs(10);
/// Between two kills; the kubelet waits longer from one restart to the next.
const BETWEEN: Duration = Duration::from_secs(3);
const BACK: Duration = Duration::from_secs(60);

pub(super) fn run(stage: &mut Stage, bed: &Bed) -> Result<()> {
    let scene = Scene::set(bed, "e2e-killed", 1)?;
    let node = Node::enter(bed)?;
    let address = scene.pod()?;
    let address = at(&address, "/status/podIP")
        .as_str()
        .context("the pod has an address")?;
    let urls = [8080, 15101].map(|port| format!("http://{address}:{port}/mcp"));
    let plan = json!({ "urls": urls, "seconds": KNOCKING.as_secs() }).to_string();
    let words = ["node", "/app/drivers/knock.mjs"];
    let mut knocking = scene.clients().follow(POD, &words, &plan)?;
    knocking.line()?;
    for _ in 0..2 {
        node.kill_sidecar(scene.kubectl().namespace(), "everything")?;
        thread::sleep(BETWEEN);
    }
    let counts: Value = serde_json::from_str(&knocking.line()?).context("the last line")?;
    let count = |name: &str| at(&counts, name).as_u64().unwrap_or_default();
    stage.check_in(
        &format!(
            "killed twice, it was gone for a while: {} knocks without an answer",
            count("/unanswered")
        ),
        count("/unanswered") > 0,
        &counts,
    );
    stage.check_in(
        &format!(
            "of {} knocks none was answered by the server",
            count("/knocks")
        ),
        count("/served") == 0 && count("/turnedAway") > 0,
        &counts,
    );
    back(stage, bed, &scene)
}

/// The same container starts again in the same pod, and the clerk's next client is served.
fn back(stage: &mut Stage, bed: &Bed, scene: &Scene) -> Result<()> {
    scene.kubectl().wait(
        "condition=Ready",
        &["pod", "--selector", "app=everything"],
        BACK,
    )?;
    let steps = [
        json!({ "as": "echo", "do": "call", "name": "echo", "arguments": { "message": "back" } }),
        json!({ "as": "env", "do": "call", "name": "get-env" }),
    ];
    let report = scene.clerk(bed)?.take(scene.clients(), &steps)?;
    let echo = at(&report, "/outcomes/echo");
    stage.check_in(
        "started again, it lets pass what policy allows",
        client::ran(echo),
        echo,
    );
    let env = at(&report, "/outcomes/env");
    stage.check_in("and refuses what it refused before", !client::ran(env), env);
    Ok(())
}
