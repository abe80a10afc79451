//! The status of a gateway says on how many pods a change is in force, and says it because the pods did.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use crate::bed::Bed;
use crate::kubectl::at;
use crate::scene::{CLOSED, POLICY, Scene};
use crate::stage::{Stage, say};

/// As many as a small node bears: each sidecar asks for a fifth of a processor.
const PODS: u32 = 6;
const ROUNDS: usize = 6;
const PROMISE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(50);

pub(super) fn run(stage: &mut Stage, bed: &Bed) -> Result<()> {
    let scene = Scene::set(bed, "e2e-programmed", PODS)?;
    let mut before = in_force(&scene, "")?;
    stage.check_in(
        &format!("{PODS} pods run, and all of them say that they enforce the policy"),
        before.is_some(),
        &gateway(&scene)?,
    );
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        let policy = if round % 2 == 0 { CLOSED } else { POLICY };
        let began = Instant::now();
        scene.kubectl().apply(policy)?;
        before = in_force(&scene, before.as_deref().unwrap_or_default())?;
        if before.is_none() {
            break;
        }
        let took = began.elapsed();
        say(&format!(
            "             {PODS} pods say so after {} ms",
            took.as_millis()
        ));
        slowest = slowest.max(took);
    }
    stage.check_in(
        &format!("the status says that {PODS} pods enforce each changed policy, {ROUNDS} times"),
        before.is_some(),
        &gateway(&scene)?,
    );
    Stage::measured(
        "kubectl apply until the status says so, the slowest",
        slowest,
        PROMISE,
    );
    Ok(())
}

/// The revision that every pod enforces, once it is another than `before`.
fn in_force(scene: &Scene, before: &str) -> Result<Option<String>> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let gateway = gateway(scene)?;
        let revision = at(&gateway, "/status/revision")
            .as_str()
            .unwrap_or_default();
        let current = at(&gateway, "/status/pods/current").as_u64();
        if revision != before && current == Some(PODS.into()) && programmed(&gateway) {
            return Ok(Some(revision.to_owned()));
        }
        thread::sleep(GLANCE);
    }
    Ok(None)
}

fn programmed(gateway: &Value) -> bool {
    let conditions = at(gateway, "/status/conditions").as_array();
    conditions.is_some_and(|conditions| {
        conditions
            .iter()
            .any(|it| at(it, "/type") == "Programmed" && at(it, "/status") == "True")
    })
}

fn gateway(scene: &Scene) -> Result<Value> {
    scene.kubectl().get(&["mcpgateway", "everything"])
}
