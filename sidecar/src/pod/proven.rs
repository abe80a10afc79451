//! Whether the validator has found that every connection of this pod reaches us.
//!
//! The fact is kept in the sidecar's own volume together with the network namespace that it is about: a container that
//! starts anew in the same namespace need not wait for a validator that will not come again, and a new namespace, whose
//! rules nobody has seen yet, begins without it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::admin::{BlockReady, Readiness};

const FILE: &str = "proven";
const NAMESPACE: &str = "/proc/self/ns/net";
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
const INTERFACES: &str = "/sys/class/net";

/// The fact, once it is one; and it stays one as long as the process.
#[derive(Debug)]
pub struct Proven {
    known: AtomicBool,
    file: PathBuf,
    space: String,
    /// Keeps the pod unready until then.
    waiting: Mutex<Option<BlockReady>>,
}

/// Why the network namespace cannot be told from another.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be read: {error}", path.display())]
pub struct NoSpace {
    path: PathBuf,
    error: io::Error,
}

impl Proven {
    /// Remembers what was kept under the state folder, where it is about this namespace.
    ///
    /// # Errors
    /// Where the kernel does not say which namespace this is.
    pub fn open(state: &Path, readiness: &Readiness) -> Result<Self, NoSpace> {
        Ok(Self::of(state, space()?, readiness))
    }

    fn of(state: &Path, space: String, readiness: &Readiness) -> Self {
        let file = state.join(FILE);
        // A file that cannot be read proves nothing, so the validator is waited for.
        let known = fs::read_to_string(&file).is_ok_and(|kept| kept == space);
        Self {
            known: AtomicBool::new(known),
            waiting: Mutex::new((!known).then(|| readiness.block("validator"))),
            file,
            space,
        }
    }

    /// Whether it is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// The validator has reported. It counts at once; that it was kept counts for the next start only.
    pub fn learn(&self) {
        if let Err(error) = self.keep() {
            tracing::warn!(%error, "the validator's report is not kept; after a restart of this container the pod must start anew");
        }
        self.known.store(true, Ordering::Release);
        drop(self.lock().take());
    }

    fn keep(&self) -> io::Result<()> {
        let new = self.file.with_extension("new");
        let mut file = fs::File::create(&new)?;
        file.write_all(self.space.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.file)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<BlockReady>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tells this network namespace from others. The kernel gives the number of a dead one to a new one, so the
/// interfaces' addresses, drawn anew for each sandbox, stand beside it.
fn space() -> Result<String, NoSpace> {
    let failed = |path: &str| {
        let path = PathBuf::from(path);
        move |error| NoSpace { path, error }
    };
    let inode = fs::metadata(NAMESPACE).map_err(failed(NAMESPACE))?.ino();
    let boot = fs::read_to_string(BOOT).map_err(failed(BOOT))?;
    let mut interfaces = Vec::new();
    for entry in fs::read_dir(INTERFACES).map_err(failed(INTERFACES))? {
        let folder = entry.map_err(failed(INTERFACES))?.path();
        // What is no interface has no address.
        let address = fs::read_to_string(folder.join("address")).unwrap_or_default();
        let name = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        interfaces.push(format!("{} {}", name.unwrap_or_default(), address.trim()));
    }
    interfaces.sort();
    Ok(format!(
        "{inode}\n{}\n{}\n",
        boot.trim(),
        interfaces.join("\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_proven_is_known_again_in_the_same_namespace_and_in_no_other() {
        let state = tempfile::tempdir().unwrap();
        let readiness = Readiness::default();
        let open = |space: &str| Proven::of(state.path(), space.to_owned(), &readiness);
        let first = open("one");
        assert!(!first.is_known());
        assert_eq!(readiness.missing(), ["validator"]);
        first.learn();
        assert!(first.is_known() && readiness.missing().is_empty());
        assert!(open("one").is_known());
        let other = open("two");
        assert!(!other.is_known());
        assert_eq!(readiness.missing(), ["validator"]);
    }

    #[test]
    fn this_namespace_has_a_name_that_stays() {
        assert_eq!(space().unwrap(), space().unwrap());
    }
}
