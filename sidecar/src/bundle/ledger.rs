//! What must outlive a restart: the highest generation ever seen, and the last good envelope.
//!
//! Both lie in the pod's own volume, which nobody else mounts. The envelope is verified again when it is read, so
//! the folder is trusted for one thing only: that the number in it does not go back.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const GENERATION: &str = "generation";
const ENVELOPE: &str = "envelope";

/// Why the memory of earlier policies cannot be used. Going on without it could let an older policy in.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("`{}` cannot be read or made: {error}", path.display())]
    Disk { path: PathBuf, error: io::Error },
    #[error("`{}` holds no generation; restart the pod with a fresh volume", .0.display())]
    Damaged(PathBuf),
}

/// The memory of one sidecar.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    seen: u64,
    /// What could not be written yet.
    unsaved: Option<(u64, Vec<u8>)>,
}

impl Ledger {
    /// Opens the memory under the state folder. `minimum`: the generation known when the pod was made.
    pub fn open(state: &Path, minimum: u64) -> Result<Self, LedgerError> {
        let folder = state.join("bundle");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| LedgerError::Disk {
                path: folder.clone(),
                error,
            })?;
        let path = folder.join(GENERATION);
        let stored = match fs::read_to_string(&path) {
            Ok(text) => text
                .trim_end()
                .parse()
                .map_err(|_| LedgerError::Damaged(path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(LedgerError::Disk { path, error }),
        };
        Ok(Self {
            folder,
            seen: minimum.max(stored),
            unsaved: None,
        })
    }

    /// The highest generation ever seen.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn saw(&mut self, generation: u64) {
        self.seen = self.seen.max(generation);
    }

    /// The last good envelope, if there was one.
    pub(super) fn kept(&self) -> Option<Vec<u8>> {
        fs::read(self.folder.join(ENVELOPE)).ok()
    }

    /// Remembers a good envelope. A full disk does not keep a newer policy from being put in force, as the older
    /// one may allow what was taken back since; it is told, and tried again.
    pub(super) fn keep(&mut self, generation: u64, envelope: Vec<u8>) {
        self.saw(generation);
        self.unsaved = Some((generation, envelope));
        self.settle();
    }

    /// Writes what could not be written before.
    pub(super) fn settle(&mut self) {
        let Some((generation, envelope)) = &self.unsaved else {
            return;
        };
        // The envelope first: one without its number still counts as seen, a number without its envelope refuses it.
        let saved = self
            .write(ENVELOPE, envelope)
            .and_then(|()| self.write(GENERATION, format!("{generation}\n").as_bytes()));
        match saved {
            Ok(()) => self.unsaved = None,
            Err(error) => tracing::error!(
                %error, folder = %self.folder.display(),
                "the generation in force is not remembered: after a restart an older policy could pass"
            ),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.folder.join(name);
        let draft = path.with_extension("draft");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(&self.folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_generation_outlives_a_restart_and_never_goes_back() {
        let state = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(state.path(), 0).unwrap();
        ledger.keep(7, b"seven".to_vec());
        ledger.saw(5);
        assert_eq!(ledger.seen(), 7);
        let again = Ledger::open(state.path(), 0).unwrap();
        assert_eq!((again.seen(), again.kept()), (7, Some(b"seven".to_vec())));
        assert_eq!(Ledger::open(state.path(), 9).unwrap().seen(), 9);
    }

    #[test]
    fn a_damaged_memory_is_told_and_not_taken_for_an_empty_one() {
        let state = tempfile::tempdir().unwrap();
        Ledger::open(state.path(), 0).unwrap();
        fs::write(state.path().join("bundle/generation"), "many").unwrap();
        let error = Ledger::open(state.path(), 0).unwrap_err();
        assert!(matches!(error, LedgerError::Damaged(_)), "{error}");
    }

    #[test]
    fn what_cannot_be_written_is_remembered_and_written_later() {
        let state = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(state.path(), 0).unwrap();
        let folder = state.path().join("bundle");
        fs::remove_dir(&folder).unwrap();
        ledger.keep(7, b"seven".to_vec());
        assert_eq!(ledger.seen(), 7);
        fs::create_dir(&folder).unwrap();
        ledger.settle();
        assert_eq!(Ledger::open(state.path(), 0).unwrap().seen(), 7);
    }
}
