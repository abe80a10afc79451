//! No secret of the run may lie in what the guard wrote: state folder, recordings, log.

use anyhow::{Result, bail};

use crate::files::{holds, walk};

use super::bench::{CREDENTIAL, Guarded, SECRETS};

/// An error that names each file and what was found in it.
pub(crate) fn none_in(guarded: &Guarded) -> Result<()> {
    let mut secrets: Vec<(&str, String)> = SECRETS
        .iter()
        .chain([&CREDENTIAL])
        .map(|secret| (secret.name, secret.value()))
        .collect();
    secrets.extend(
        guarded
            .tokens()
            .into_iter()
            .map(|token| ("a caller's token", token)),
    );
    let mut files = vec![guarded.log()];
    walk(guarded.folder(), &mut |path| {
        files.push(path.to_path_buf());
        Ok(())
    })?;
    let mut found = Vec::new();
    for file in &files {
        for (name, value) in &secrets {
            if holds(file, value)? {
                found.push(format!("{name} in {}", file.display()));
            }
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!("secrets were written: {}", found.join(", "))
}
