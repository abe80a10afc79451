//! A policy is changed while a client calls: how long until the next call is judged by the new one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::client::Place;
use crate::kubectl::at;
use crate::scene::{CLOSED, POLICY, Scene};
use crate::stage::{Stage, say};

/// What the product promises from `kubectl apply` to the first call that is judged anew.
const PROMISE: Duration = Duration::from_secs(2);
/// How long is waited before it is called missing.
const PATIENCE: Duration = Duration::from_secs(90);
const ROUNDS: usize = 6;

pub(super) fn run(stage: &mut Stage, bed: &Bed) -> Result<()> {
    let scene = Scene::set(bed, "e2e-push", 1)?;
    let clerk = scene.clerk(bed)?;
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        let (policy, word) = if round % 2 == 0 {
            (CLOSED, "closed")
        } else {
            (POLICY, "opened")
        };
        let (changed, took, evidence) = change(&scene, &clerk, policy)?;
        if !changed {
            stage.check_in(
                "a live session is judged by the changed policy",
                false,
                &evidence,
            );
            return Ok(());
        }
        say(&format!(
            "             the tool is {word} after {} ms",
            took.as_millis()
        ));
        slowest = slowest.max(took);
    }
    stage.check(
        &format!("a live session is judged by the changed policy, {ROUNDS} times"),
        true,
    );
    Stage::measured("kubectl apply to enforced, the slowest", slowest, PROMISE);
    Ok(())
}

/// Applies a policy while calls flow; whether calls came out otherwise, and how long after the apply was given.
fn change(scene: &Scene, clerk: &Place, policy: &str) -> Result<(bool, Duration, Value)> {
    let arguments = json!({ "message": "still here?" });
    let mut calls = clerk.until_it_changes(scene.clients(), "echo", &arguments, PATIENCE)?;
    let began = SystemTime::now().duration_since(UNIX_EPOCH)?;
    scene.kubectl().apply(policy)?;
    let line = calls.line()?;
    let told: Value = serde_json::from_str(&line).context("the client's last line")?;
    let seen = at(&told, "/seen")
        .as_u64()
        .context("the client says when")?;
    let took = Duration::from_millis(seen).saturating_sub(began);
    Ok((*at(&told, "/changed") == true, took, told))
}
