//! The file of trusted tool definitions, and beside it what was seen and is not trusted yet.
//!
//! `sallyport pins` reads and edits the same files while the guard runs; the guard looks again when they change.

use std::collections::BTreeMap;
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
    read: Option<SystemTime>,
    book: PinBook,
    declared: Vec<(String, Digest)>,
    aside: SetAside,
    dirty: bool,
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

    /// Replaces the file whole, so that nobody reads half of it.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let bytes = serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?;
        let next = path.with_extension("json.new");
        std::fs::write(&next, bytes)?;
        std::fs::File::open(&next)?.sync_all()?;
        std::fs::rename(&next, path)
    }
}

impl PinFile {
    pub fn open(path: PathBuf) -> std::io::Result<Self> {
        let state = PinState::read(&path)?;
        let read = modified(&path);
        Ok(Self {
            path,
            read,
            book: state.book,
            declared: Vec::new(),
            aside: state.set_aside,
            dirty: false,
        })
    }

    pub fn book(&self) -> &PinBook {
        &self.book
    }

    /// Whether a person has changed the file since it was read.
    pub fn changed_on_disk(&self) -> bool {
        modified(&self.path) != self.read
    }

    /// Reads the file again if it changed; what cannot be read leaves the old trust as it was.
    pub fn refresh(&mut self) {
        if !self.changed_on_disk() {
            return;
        }
        match PinState::read(&self.path) {
            Ok(state) => {
                self.book = state.book.with_declared(self.declared.iter().cloned());
                self.aside = state.set_aside;
                self.read = modified(&self.path);
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
                self.dirty = true;
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
        self.dirty |= before.as_deref() != Some(definition.canonical());
    }

    /// Writes what changed.
    pub fn save(&mut self) {
        if !self.dirty {
            return;
        }
        let state = PinState {
            book: self.book.clone(),
            set_aside: self.aside.clone(),
        };
        match state.write(&self.path) {
            Ok(()) => {
                self.dirty = false;
                self.read = modified(&self.path);
            }
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "pins cannot be kept");
            }
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|meta| meta.modified())
        .ok()
}
