//! Calls go on while no operator runs: what policy allows is not lost, and what it denies is not served.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::client::POD;
use crate::kubectl::{Kubectl, at};
use crate::release;
use crate::scene::Scene;
use crate::stage::Stage;

const CALLING: Duration = Duration::from_secs(20);
const AWAY: Duration = Duration::from_secs(8);

pub(super) fn run(stage: &mut Stage, bed: &Bed) -> Result<()> {
    let scene = Scene::set(bed, "e2e-alone", 1)?;
    let clerk = scene.clerk(bed)?;
    let plan = json!({
        "url": clerk.url, "token": clerk.token, "seconds": CALLING.as_secs(),
        "allowed": { "name": "echo", "arguments": { "message": "still here" } },
        "denied": { "name": "get-env", "arguments": {} },
    });
    let words = ["node", "/app/drivers/steady.mjs"];
    let mut calls = scene.clients().follow(POD, &words, &plan.to_string())?;
    calls.line()?;
    let away = gone_and_back();
    let counts: Value = serde_json::from_str(&calls.line()?).context("the last line")?;
    away?;
    let count = |name: &str| at(&counts, name).as_u64().unwrap_or_default();
    stage.check_in(
        &format!("both operators killed, none for {} s, then two: {} allowed calls ran and none was lost", AWAY.as_secs(), count("/allowed")),
        count("/allowed") > 0 && count("/lost") == 0,
        &counts,
    );
    stage.check_in(
        &format!("all {} denied calls were refused", count("/denied")),
        count("/denied") > 0 && count("/leaked") == 0,
        &counts,
    );
    Ok(())
}

/// Killed without a word, away for a while, and back.
fn gone_and_back() -> Result<()> {
    let kubectl = Kubectl::within(release::NAMESPACE);
    let mut words = vec!["delete", "pods", "--grace-period=0", "--force"];
    words.extend(release::PODS);
    kubectl.good(&words, "")?;
    release::scale(0)?;
    thread::sleep(AWAY);
    release::scale(2)
}
