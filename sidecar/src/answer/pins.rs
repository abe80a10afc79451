//! The file of trusted tool definitions, and beside it what was seen and is not trusted yet.
//!
//! `sallyport pins` reads and edits the same file while the guard runs. Each of them changes it under a lock, beginning
//! with what stands there: a person's word and what the guard saw at the same moment are both kept.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sallyport_policy::name::Digest;
use sallyport_policy::pin::{Definition, PinBook};
use sallyport_policy::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// A definition that differs from its pin, by tool and revision.
pub type SetAside = BTreeMap<String, BTreeMap<String, String>>;

/// The trusted pins on disk.
#[derive(Debug)]
pub struct PinFile {
    path: PathBuf,
    read: Option<Stamp>,
    book: PinBook,
    declared: Vec<(String, Digest)>,
    aside: SetAside,
    /// What was seen and is not in the file yet.
    seen: Vec<Seen>,
}

/// One definition, to be written down.
#[derive(Debug)]
struct Seen {
    definition: Definition,
    revision: String,
    /// When it was trusted on first use; none where it waits for a person.
    trusted: Option<UnixMillis>,
}

/// By what a file is known to be the one that was read; the time alone is too coarse for two changes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    inode: u64,
    bytes: u64,
}

/// What `sallyport pins` works on.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinState {
    pub book: PinBook,
    /// Canonical definitions that wait for a person.
    #[serde(default)]
    pub set_aside: SetAside,
}

impl PinState {
    /// An absent file is an empty state; an unreadable one is an error, as trusting anew would accept anything.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(std::io::Error::other),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Changes the file under its lock, beginning with what stands there now. Nothing is written where `change` fails.
    pub fn edit<T, E: From<std::io::Error>>(
        path: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        // Released when the file is closed. The file of pins itself is replaced, so it cannot bear the lock.
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.with_extension("lock"))?;
        lock.lock()?;
        let mut state = Self::read(path)?;
        let changed = change(&mut state)?;
        state.write(path)?;
        Ok(changed)
    }

    /// Replaces the file whole, so that nobody reads half of it. Where others may write too, [`PinState::edit`] does.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let bytes = serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?;
        let next = path.with_extension("json.new");
        std::fs::write(&next, bytes)?;
        File::open(&next)?.sync_all()?;
        std::fs::rename(&next, path)
    }
}

impl PinFile {
    pub fn open(path: PathBuf) -> std::io::Result<Self> {
        // A file that is replaced between the two is read again, not missed.
        let read = Stamp::of(&path);
        let state = PinState::read(&path)?;
        Ok(Self {
            path,
            read,
            book: state.book,
            declared: Vec::new(),
            aside: state.set_aside,
            seen: Vec::new(),
        })
    }

    pub fn book(&self) -> &PinBook {
        &self.book
    }

    /// Whether a person has changed the file since it was read.
    pub fn changed_on_disk(&self) -> bool {
        Stamp::of(&self.path) != self.read
    }

    /// Reads the file again if it changed; what cannot be read leaves the old trust as it was.
    pub fn refresh(&mut self) {
        if !self.changed_on_disk() {
            return;
        }
        let read = Stamp::of(&self.path);
        match PinState::read(&self.path) {
            Ok(state) => {
                self.book = state.book.with_declared(self.declared.iter().cloned());
                self.aside = state.set_aside;
                self.read = read;
            }
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "the file of pins cannot be read");
            }
        }
    }

    /// The pins that the gateway declares now.
    pub fn declare(&mut self, pins: impl IntoIterator<Item = (String, Digest)>) {
        self.declared = pins.into_iter().collect();
        self.book = std::mem::take(&mut self.book).with_declared(self.declared.iter().cloned());
    }

    /// Trusts on first use; false if that cannot be kept.
    pub fn trust(&mut self, definition: &Definition, revision: &str, now: UnixMillis) -> bool {
        match self.book.trust(definition, revision, now) {
            Ok(()) => {
                self.note(definition, revision, Some(now));
                tracing::debug!(tool = definition.name(), digest = %definition.digest(), "tool trusted on first use");
                true
            }
            Err(error) => {
                tracing::warn!(%error, "a new tool cannot be trusted");
                false
            }
        }
    }

    /// Keeps a changed definition for a person to look at.
    pub fn set_aside(&mut self, definition: &Definition, revision: &str) {
        let kept = self.aside.entry(definition.name().to_owned()).or_default();
        let before = kept.insert(revision.to_owned(), definition.canonical().to_owned());
        if before.as_deref() != Some(definition.canonical()) {
            self.note(definition, revision, None);
        }
    }

    fn note(&mut self, definition: &Definition, revision: &str, trusted: Option<UnixMillis>) {
        self.seen.push(Seen {
            definition: definition.clone(),
            revision: revision.to_owned(),
            trusted,
        });
    }

    /// Writes down what was seen, beside whatever a person changed meanwhile.
    pub fn save(&mut self) {
        if self.seen.is_empty() {
            return;
        }
        let others = self.changed_on_disk();
        let written = PinState::edit(&self.path, |state| {
            for seen in &self.seen {
                seen.write_down(state);
            }
            Ok::<_, std::io::Error>(())
        });
        match written {
            Ok(()) => {
                self.seen.clear();
                // What others wrote is read, and the tools judged by it, before the next call.
                self.read = if others { None } else { Stamp::of(&self.path) };
            }
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "pins cannot be kept");
            }
        }
    }
}

impl Seen {
    fn write_down(&self, state: &mut PinState) {
        let name = self.definition.name();
        match self.trusted {
            Some(now) => {
                if let Err(error) = state.book.trust(&self.definition, &self.revision, now) {
                    tracing::warn!(%error, "a new tool cannot be trusted");
                }
            }
            None => {
                let trusted = state.book.trusted(name, &self.revision);
                if trusted.is_some_and(|pin| pin.digest() == self.definition.digest()) {
                    return; // a person accepted it in this moment
                }
                let kept = state.set_aside.entry(name.to_owned()).or_default();
                kept.insert(
                    self.revision.clone(),
                    self.definition.canonical().to_owned(),
                );
            }
        }
    }
}

impl Stamp {
    /// None where there is no file.
    fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().as_ref().map(Self::from)
    }
}

impl From<&Metadata> for Stamp {
    fn from(facts: &Metadata) -> Self {
        Self {
            modified: facts.modified().ok(),
            inode: facts.ino(),
            bytes: facts.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sallyport_policy::json::{Document, Limits};

    use super::*;

    fn definition(name: &str, description: &str) -> Definition {
        let text = format!(
            r#"{{"name":"{name}","description":"{description}","inputSchema":{{"type":"object"}}}}"#
        );
        let document = Document::parse(Bytes::from(text), Limits::RESPONSE).unwrap();
        Definition::of(document.root()).unwrap()
    }

    /// A person's word, as `sallyport pins accept` gives it.
    fn accept(path: &Path, definition: &Definition) {
        PinState::edit(path, |state| {
            state.book.accept(definition, "r", UnixMillis(2));
            state.set_aside.clear();
            Ok::<_, std::io::Error>(())
        })
        .unwrap();
    }

    #[test]
    fn law_29_what_a_person_accepts_between_reading_and_saving_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins.json");
        let (old, new) = (definition("get", "old"), definition("get", "new"));
        let mut file = PinFile::open(path.clone()).unwrap();
        assert!(file.trust(&old, "r", UnixMillis(1)));
        file.save();
        assert!(!file.changed_on_disk());

        // The guard sees the new definition and another tool; before it saves, somebody accepts the new one.
        file.set_aside(&new, "r");
        assert!(file.trust(&definition("put", "x"), "r", UnixMillis(3)));
        accept(&path, &new);
        file.save();
        let state = PinState::read(&path).unwrap();
        assert_eq!(
            state.book.trusted("get", "r").unwrap().digest(),
            new.digest()
        );
        assert!(
            state.book.trusted("put", "r").is_some(),
            "what the guard saw"
        );
        assert!(
            state.set_aside.is_empty(),
            "nothing waits: {:?}",
            state.set_aside
        );
        assert!(file.changed_on_disk(), "the guard looks again");
        file.refresh();
        assert_eq!(
            file.book().trusted("get", "r").unwrap().digest(),
            new.digest()
        );
    }

    #[test]
    fn an_edit_that_fails_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins.json");
        let refused = PinState::edit(&path, |state| {
            state
                .book
                .accept(&definition("get", "x"), "r", UnixMillis(1));
            Err::<(), _>(std::io::Error::other("no"))
        });
        assert!(refused.is_err() && !path.exists());
    }
}
