//! Who can reach which file, and whether the files are right.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sallyport_policy::record::layout;

use crate::policy;

use super::Line;

/// Folder and keys: what is there is for its owner alone.
pub(super) fn state(state: &Path) -> Vec<Line> {
    let what = "state folder";
    let shown = state.display();
    let facts = match std::fs::metadata(state) {
        Ok(facts) if facts.is_dir() => facts,
        Ok(_) => {
            return vec![Line::bad(
                what,
                format!("`{shown}` is no folder"),
                "name another one with --state",
            )];
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec![Line::ok(
                what,
                format!("`{shown}` is not there yet; `sallyport up` makes it"),
            )];
        }
        Err(error) => {
            let remedy =
                "run as the account that runs the guard, or name another folder with --state";
            return vec![Line::bad(
                what,
                format!("`{shown}` cannot be looked at: {error}"),
                remedy,
            )];
        }
    };
    let mut lines = vec![folder(state, &facts)];
    lines.extend(keys(state).iter().filter_map(|path| key(path)));
    lines
}

fn folder(state: &Path, facts: &Metadata) -> Line {
    let what = "state folder";
    let shown = state.display();
    let mode = facts.mode() & 0o777;
    let uid = rustix::process::getuid().as_raw();
    if facts.uid() != uid && uid != 0 {
        let found = format!(
            "`{shown}` belongs to account {}, not to this one",
            facts.uid()
        );
        return Line::warn(
            what,
            found,
            "run as the account that runs the guard, to see what it sees",
        );
    }
    // A group may pass through, for the approval socket; it must not list or write.
    match mode & 0o077 {
        0 | 0o010 => Line::ok(
            what,
            format!("`{shown}`, for its owner alone (mode {mode:o})"),
        ),
        _ => Line::bad(
            what,
            format!("`{shown}` is open to other accounts (mode {mode:o})"),
            format!("chmod 700 '{shown}'; whoever writes here can forge approvals and tokens"),
        ),
    }
}

/// Every secret of the state folder that exists.
fn keys(state: &Path) -> Vec<PathBuf> {
    let mut paths = vec![
        state.join("issuer.pk8"),
        state.join("recordings").join(layout::SIGNING_KEY),
    ];
    let approval = std::fs::read_dir(state.join("keys"))
        .into_iter()
        .flatten()
        .flatten();
    paths.extend(approval.map(|entry| entry.path()));
    paths.retain(|path| path.exists());
    paths.sort();
    paths
}

fn key(path: &Path) -> Option<Line> {
    let what = "key";
    let facts = std::fs::metadata(path).ok()?;
    let shown = path.display();
    let mode = facts.mode() & 0o777;
    let is_issuer = path.file_name().is_some_and(|name| name == "issuer.pk8");
    let remedy = format!(
        "remove '{shown}' and restart the guard: what it protects cannot be trusted any more"
    );
    Some(match mode & 0o177 {
        _ if facts.len() == 0 => Line::bad(
            what,
            format!("`{shown}` is empty"),
            "restore it from a backup, or remove it",
        ),
        0 => Line::ok(
            what,
            format!("`{shown}`, for its owner alone (mode {mode:o})"),
        ),
        0o040 if is_issuer => Line::ok(
            what,
            format!("`{shown}`, for its owner and the approver group (mode {mode:o})"),
        ),
        _ => Line::bad(
            what,
            format!("`{shown}` can be reached by others (mode {mode:o})"),
            remedy,
        ),
    })
}

/// When anything in the state folder was written last.
pub(super) fn newest(state: &Path) -> Option<SystemTime> {
    let folders = [
        state.to_owned(),
        state.join("requests"),
        state.join("recordings").join(layout::SEGMENTS),
    ];
    let entries = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| entry.metadata().ok()?.modified().ok())
        .max()
}

/// Whether the files compile, and who can change them.
pub(super) fn policies(files: &[PathBuf]) -> Vec<Line> {
    let what = "policy files";
    let loaded = match policy::read(files) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            let found = format!("{} mistakes in them", mistakes.len());
            return vec![Line::bad(what, found, "see `sallyport policy check`")];
        }
    };
    let findings = policy::examine(&loaded, &[]);
    let (mistakes, warnings) = (findings.mistakes.len(), findings.warnings.len());
    let mut lines = vec![match (mistakes, warnings) {
        (0, 0) => Line::ok(what, format!("{} files compile", loaded.files.len())),
        (0, _) => Line::warn(
            what,
            format!("they compile, with {warnings} warnings"),
            "see `sallyport policy check`",
        ),
        (_, _) => Line::bad(
            what,
            format!("{mistakes} mistakes in them"),
            "see `sallyport policy check`",
        ),
    }];
    lines.extend(loaded.files.iter().filter_map(|path| open_to_others(path)));
    lines
}

fn open_to_others(path: &Path) -> Option<Line> {
    let mode = std::fs::metadata(path).ok()?.mode() & 0o777;
    let shown = path.display();
    (mode & 0o022 != 0).then(|| {
        let found = format!("`{shown}` can be written by other accounts (mode {mode:o})");
        Line::warn(
            "policy files",
            found,
            format!("chmod go-w '{shown}'; a running guard picks changes up"),
        )
    })
}
