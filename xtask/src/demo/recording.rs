//! What is left afterwards: sessions, a replay, an export, and a proof that a changed byte breaks.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::files::{holds, walk};
use crate::guard::sallyport;

use super::scene::{DATABASE_TOKEN, Scene};
use super::stage::Stage;

/// Lists the sessions, and replays the one in which the change was made. Gives its id.
pub(crate) fn listed_and_replayed(stage: &mut Stage, scene: &Scene) -> Result<String> {
    let sessions = scene.guard.sessions()?;
    stage.act("Everything was recorded.");
    stage.check_in(
        &format!("{} sessions are listed", sessions.len()),
        !sessions.is_empty(),
        &json!(sessions),
    );
    let ids: Vec<String> = sessions.iter().filter_map(id_of).collect();
    for id in &ids {
        let text = scene.guard.command(&["replay", id, "--speed", "1000"])?;
        if text.contains("update orders") {
            stage.check(
                "the session of the change is replayed, with who approved it",
                text.contains("bob@example.com"),
            );
            return Ok(id.clone());
        }
    }
    stage.check("the session of the change is replayed", false);
    ids.first().cloned().context("no session was recorded")
}

/// Export and verification need no guard; then one byte is changed in a copy.
pub(crate) fn verified_and_tampered(stage: &mut Stage, scene: &Scene, session: &str) -> Result<()> {
    let export = sallyport(&scene.binary, &scene.state, &["export", session])?;
    let lines = export
        .stdout
        .lines()
        .filter(|line| serde_json::from_str::<Value>(line).is_ok())
        .count();
    stage.check(
        &format!("the session is exported: {lines} events as JSON Lines"),
        export.status.success() && lines > 0,
    );
    let verified = sallyport(&scene.binary, &scene.state, &["verify"])?;
    stage.check(
        &format!("verified offline: {}", first_line(&verified.stdout)),
        verified.status.success(),
    );
    let copy = scene.state.with_extension("tampered");
    copy_folder(&scene.state, &copy)?;
    let changed = flip_a_byte(&copy.join("recordings"))?;
    let tampered = sallyport(&scene.binary, &copy, &["verify"])?;
    let name = changed
        .file_name()
        .unwrap_or_default()
        .display()
        .to_string();
    stage.act(&format!("One byte of {name} is changed, in a copy."));
    let complaint = format!("{}{}", tampered.stdout, tampered.stderr);
    stage.check(
        &format!("found: {}", first_line(&complaint)),
        !tampered.status.success(),
    );
    stage.check(
        "no file holds the database's credential",
        !any_file_holds(&scene.state, DATABASE_TOKEN)?,
    );
    Ok(())
}

fn id_of(session: &Value) -> Option<String> {
    Some(session.get("id")?.as_str()?.to_owned())
}

fn first_line(text: &str) -> &str {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
}

/// Turns over one bit in the middle of the longest segment.
fn flip_a_byte(folder: &Path) -> Result<PathBuf> {
    let mut segments = Vec::new();
    walk(folder, &mut |path| {
        let segment = path
            .extension()
            .is_some_and(|ending| ending == "seg" || ending == "log" || ending == "segment");
        if segment {
            segments.push((fs::metadata(path)?.len(), path.to_path_buf()));
        }
        Ok(())
    })?;
    let (_, path) = segments
        .into_iter()
        .max()
        .context("no segment was written")?;
    let mut bytes = fs::read(&path)?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    fs::write(&path, bytes)?;
    Ok(path)
}

fn any_file_holds(folder: &Path, secret: &str) -> Result<bool> {
    let mut found = false;
    walk(folder, &mut |path| {
        found |= holds(path, secret)?;
        Ok(())
    })?;
    Ok(found)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    walk(from, &mut |path| {
        let target = to.join(path.strip_prefix(from)?);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(path, target)?;
        Ok(())
    })
}
