//! What needs two people: a change waits, somebody else approves it, and it runs once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::guard::{self, Approver};

use super::scene::{Scene, sql};
use super::stage::{Stage, ran, text};
use super::tour::of;

const CHANGE: &str = "update orders set shipments = shipments + 1 where id = 1";
const COUNT: &str = "select 'shipments: ' || shipments as counted from orders where id = 1";
const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(100);

const BOB: Approver<'_> = Approver {
    user: "bob@example.com",
    group: "stock-leads",
    reason: "order 1 was packed",
};
const ADA: Approver<'_> = Approver {
    user: "ada@example.com",
    group: "stock-leads",
    reason: "I am sure",
};
pub(crate) fn held_and_approved(stage: &mut Stage, scene: &Scene) -> Result<()> {
    stage.act(&format!("Ada runs `{CHANGE}`."));
    let (first, id) = meanwhile(scene, |id| {
        stage.check("the call waits", true);
        stage.check(
            "Ada cannot approve it herself",
            scene.guard.decide("approve", id, ADA).is_err(),
        );
        scene.guard.decide("approve", id, BOB)?;
        stage.check("Bob approves it, with a reason", true);
        Ok(())
    })?;
    stage.check_in(
        "it goes on by itself, and runs",
        ran(of(&first, "change")),
        &first,
    );
    stage.check(
        "the request says that it was used",
        phase_of(scene, &id)? == "Consumed",
    );
    stage.check_in("the order was shipped once", counted(scene)? == 1, &first);
    stage.act("Ada's agent sends the very same call again.");
    let repeat = scene.ada(&[sql("change", CHANGE)])?;
    let told = text(of(&repeat, "change"));
    stage.check_in(
        &format!("the approval is used up, and the agent hears it: \"{told}\""),
        !ran(of(&repeat, "change")) && told.contains("used"),
        &repeat,
    );
    stage.check_in(
        "the order is still shipped once",
        counted(scene)? == 1,
        &repeat,
    );
    Ok(())
}

/// Ada's call, while `decide` is handed the request that it opened.
fn meanwhile(scene: &Scene, decide: impl FnOnce(&str) -> Result<()>) -> Result<(Value, String)> {
    std::thread::scope(|scope| {
        let call = scope.spawn(|| scene.ada(&[sql("change", CHANGE)]));
        let decided = pending(scene).and_then(|id| decide(&id).map(|()| id));
        let report = match call.join() {
            Ok(report) => report?,
            Err(_) => bail!("the client's thread ended"),
        };
        Ok((report, decided?))
    })
}

/// The one request that is waiting.
fn pending(scene: &Scene) -> Result<String> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        for request in scene.guard.requests()? {
            if let Some((id, "Pending")) = guard::phase(&request) {
                return Ok(id.to_owned());
            }
        }
        std::thread::sleep(GLANCE);
    }
    bail!("no request is waiting")
}

fn phase_of(scene: &Scene, id: &str) -> Result<String> {
    let requests = scene.guard.requests()?;
    let found = requests
        .iter()
        .filter_map(guard::phase)
        .find(|(name, _)| *name == id);
    found
        .map(|(_, phase)| phase.to_owned())
        .context("the request is gone")
}

/// How often the order was shipped, as the database says.
fn counted(scene: &Scene) -> Result<u32> {
    let report = scene.ada(&[sql("count", COUNT)])?;
    let text = text(of(&report, "count")).to_owned();
    let number = text
        .split("shipments: ")
        .nth(1)
        .context("no count in the answer")?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}
