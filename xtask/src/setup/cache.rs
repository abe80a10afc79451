//! The cache folder: `$XDG_CACHE_HOME/sallyport`, else `~/.cache/sallyport`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::console::say;

/// Written last, so that an installation that was interrupted is not taken for a whole one.
const STAMP: &str = ".complete";

/// The folder of an installation whose content is described by `recipe`; `install` fills it if it is not there yet.
///
/// # Errors
/// Those of `install`; the folder is then left without its stamp, and the next run starts anew.
pub(crate) fn ready(
    name: &str,
    recipe: &str,
    what: &str,
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let root = root()?;
    let folder = folder(&root, name, recipe);
    // Two runs at once would install into each other's folder.
    let lock = File::create(root.join(format!("{name}.lock")))?;
    lock.lock()?;
    if folder.join(STAMP).exists() {
        return Ok(folder);
    }
    say(&format!("installing {what} into {}", folder.display()));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    install(&folder)?;
    fs::write(folder.join(STAMP), recipe)?;
    Ok(folder)
}

/// Whether an installation is there and whole.
pub(crate) fn is_ready(name: &str, recipe: &str) -> Result<bool> {
    Ok(folder(&root()?, name, recipe).join(STAMP).exists())
}

fn folder(root: &Path, name: &str, recipe: &str) -> PathBuf {
    root.join(format!("{name}-{:016x}", digest(recipe)))
}

fn root() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .context("no home folder: set XDG_CACHE_HOME")?;
    let root = base.join("sallyport");
    fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
    Ok(root)
}

/// FNV-1a: it names folders and guards nothing.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn another_list_is_another_folder() {
        assert_eq!(digest(""), 0xcbf2_9ce4_8422_2325);
        assert_ne!(digest("mcp==2.3.0"), digest("mcp==2.3.1"));
    }
}
