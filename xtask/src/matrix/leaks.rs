//! No secret of the run may lie in what the guard wrote: state folder, recordings, log.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::bench::{CREDENTIAL, Guarded, SECRETS};

/// An error that names each file and what was found in it.
pub(crate) fn none_in(guarded: &Guarded) -> Result<()> {
    let mut secrets: Vec<(&str, String)> =
        SECRETS.iter().chain([&CREDENTIAL]).map(|secret| (secret.name, secret.value())).collect();
    secrets.push(("the caller's token", guarded.token.clone()));
    let mut files = vec![guarded.log()];
    walk(guarded.folder(), &mut files)?;
    let mut found = Vec::new();
    for file in &files {
        let bytes = fs::read(file).unwrap_or_default();
        for (name, value) in &secrets {
            if contains(&bytes, value.as_bytes()) {
                found.push(format!("{name} in {}", file.display()));
            }
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!("secrets were written: {}", found.join(", "))
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
