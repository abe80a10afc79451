//! Where inputs come from: the corpora of the policy crate, good inputs that are made, and what the fuzzers kept.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Target;

/// This crate's folder.
fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the kept inputs of a target lie, one a file, named by their digest.
#[must_use]
pub fn folder(target: &Target) -> PathBuf {
    home().join("corpus").join(target.name)
}

/// Every input of a target that is kept, findings of the past among them, with its file's name.
///
/// None where nothing was kept yet.
///
/// # Errors
/// A file that is there and cannot be read.
pub fn kept(target: &Target) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let folder = folder(target);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    files.sort();
    let named = |path: PathBuf| {
        let bytes = fs::read(&path)?;
        Ok((path.display().to_string(), bytes))
    };
    files.into_iter().map(named).collect()
}

/// The bodies of the message corpus that unit tests share.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    let path = home().join("../policy/corpus/mcp/messages.json");
    let text = fs::read(path).expect("the message corpus is there");
    let rows: Vec<Value> = serde_json::from_slice(&text).expect("and is JSON");
    let body = |row: &Value| {
        row.get("body")?
            .as_str()
            .map(|body| body.as_bytes().to_vec())
    };
    let bodies: Vec<_> = rows.iter().filter_map(body).collect();
    assert!(bodies.len() > 10, "the message corpus has changed its form");
    bodies
}

/// Every body and answer of the corpus of attacks.
pub(crate) fn attacks() -> Vec<Vec<u8>> {
    sallyport_attacks::seeds().expect("the corpus of attacks is whole")
}

/// The documents of the examples, each whole.
pub(crate) fn examples() -> Vec<String> {
    let mut found = Vec::new();
    gather(&home().join("../examples"), &mut found);
    assert!(!found.is_empty(), "the examples have moved");
    found
}

fn gather(folder: &Path, found: &mut Vec<String>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the examples are there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            gather(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(fs::read_to_string(path).expect("an example is text"));
        }
    }
}
