//! `cargo xtask demo`: the guard in front of two servers that nobody here wrote, driven by an official client.
//!
//! Each outcome is told when it happens and checked as it is told; one that does not happen fails the run. Everything
//! that was started is ended, and the folder that held it all is removed.

mod changes;
mod recording;
mod scene;
mod stage;
mod tour;

use std::time::Instant;

use anyhow::Result;

use crate::console::say;
use stage::Stage;

/// True: everything happened.
pub(crate) fn run() -> Result<bool> {
    let folder = tempfile::Builder::new()
        .prefix("sallyport-demo-")
        .tempdir()?;
    let ready = scene::Ready::installed(folder.path())?;
    let began = Instant::now();
    let mut stage = Stage::default();
    play(&mut stage, &ready, folder.path())?;
    let place = folder.path().to_path_buf();
    folder.close()?;
    stage.check(
        "nothing is left behind: every process ended, the folder is gone",
        !place.exists(),
    );
    say("");
    say(&format!(
        "{} of {} outcomes seen in {:.0} s",
        stage.seen(),
        stage.told(),
        began.elapsed().as_secs_f64()
    ));
    Ok(stage.seen() == stage.told())
}

fn play(stage: &mut Stage, ready: &scene::Ready, folder: &std::path::Path) -> Result<()> {
    say("");
    say("A database server (mcp-server-motherduck, over HTTP) behind Sallyport.");
    say("Ada, a stock clerk, drives the official TypeScript SDK. Bob leads the stock room.");
    let mut database = ready.database(folder)?;
    tour::hidden_and_refused(stage, &database)?;
    changes::held_and_approved(stage, &database)?;
    tour::masked(stage, &database)?;
    let session = recording::listed_and_replayed(stage, &database)?;
    database.guard.stop()?;
    recording::verified_and_tampered(stage, &database, &session)?;
    drop(database);
    say("");
    say(
        "The reference server (server-everything, over stdio) behind Sallyport, with a credential of its own.",
    );
    let mut everything = ready.everything(folder)?;
    tour::credential(stage, &everything)?;
    everything.guard.stop()
}
