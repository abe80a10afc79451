//! Looking through folders.

use std::fs;
use std::path::Path;

use anyhow::Result;

/// Every plain file below a folder; sockets and the like are passed over.
pub(crate) fn walk(folder: &Path, visit: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), visit)?;
        } else if kind.is_file() {
            visit(&entry.path())?;
        }
    }
    Ok(())
}

/// Whether a file has these bytes in it.
pub(crate) fn holds(path: &Path, wanted: &str) -> Result<bool> {
    let bytes = fs::read(path)?;
    Ok(bytes
        .windows(wanted.len())
        .any(|window| window == wanted.as_bytes()))
}
