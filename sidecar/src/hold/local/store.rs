//! Requests and reviews as files: written whole, synced, renamed into place.
//!
//! The text is JSON that is also YAML, so that people and programs read the files as the kinds they are. Every
//! write is: temporary file, fsync, rename, fsync of the folder. A crash at any step leaves the old text or the
//! new one, never a mixture. One process holds the lock; a file whose version is not the one we wrote last was
//! changed by somebody else and is not overwritten.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sallyport_policy::approval::object::{Metadata, RequestObject, ReviewObject};
use sallyport_policy::name::RequestId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::hold::desk::StoreError;

/// How long a start waits for the process before it to let go of the lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_POLL: Duration = Duration::from_millis(20);
/// No file of ours comes near this; what is larger was not written by us.
const FILE_LIMIT: u64 = 4 << 20;

/// Told after each step that touches the disk.
pub type Probe = Arc<dyn Fn(&'static str) + Send + Sync>;

/// The files of one state folder.
pub(super) struct Store {
    requests: PathBuf,
    reviews: PathBuf,
    probe: Probe,
    /// Held for as long as the store lives; the kernel lets go of it however we end.
    _lock: File,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.requests.display())
    }
}

/// What the folder holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) requests: Vec<RequestObject>,
    /// In order of name.
    pub(super) reviews: Vec<ReviewObject>,
    /// Files that could not be read. None of them gives anybody anything.
    pub(super) unreadable: Vec<String>,
}

impl Store {
    /// Opens or makes the folders, and takes the lock.
    pub(super) fn open(state: &Path, probe: Probe) -> Result<Self, StoreError> {
        let requests = state.join("requests");
        let reviews = state.join("reviews");
        for folder in [state, &requests, &reviews] {
            make_folder(folder)?;
        }
        let lock = take_lock(state)?;
        for folder in [&requests, &reviews] {
            remove_unfinished(folder)?;
        }
        Ok(Self {
            requests,
            reviews,
            probe,
            _lock: lock,
        })
    }

    pub(super) fn load(&self) -> Result<Contents, StoreError> {
        let mut contents = Contents::default();
        contents.requests = read_all(&self.requests, &mut contents.unreadable)?;
        contents.reviews = read_all(&self.reviews, &mut contents.unreadable)?;
        Ok(contents)
    }

    /// Writes a request's file. `found`: the version it must have now; none for a new one.
    pub(super) fn write_request(
        &self,
        object: &RequestObject,
        found: Option<u64>,
    ) -> Result<(), StoreError> {
        let path = file_of(&self.requests, &object.metadata.name);
        self.replace(&path, object, || match found {
            Some(version) => is_version(&path, version),
            None => is_absent(&path),
        })
    }

    /// Writes a review's file, once.
    pub(super) fn write_review(&self, object: &ReviewObject) -> Result<(), StoreError> {
        let path = file_of(&self.reviews, &object.metadata.name);
        self.replace(&path, object, || is_absent(&path))
    }

    /// Removes a request that nobody needs any more, its reviews first: a review without a request says nothing.
    pub(super) fn remove(&self, request: &RequestId, reviews: &[String]) -> Result<(), StoreError> {
        for review in reviews {
            remove(&file_of(&self.reviews, review))?;
        }
        remove(&file_of(&self.requests, request.as_str()))
    }

    fn replace(
        &self,
        path: &Path,
        value: &impl Serialize,
        expected: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let text = yaml_text(value).map_err(|error| failed("write", path, &error.into()))?;
        let temporary = path.with_extension("tmp");
        let wrong = |error: io::Error| failed("write", path, &error);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(wrong)?;
        (self.probe)("created");
        file.write_all(&text).map_err(wrong)?;
        (self.probe)("written");
        file.sync_all().map_err(wrong)?;
        (self.probe)("synced");
        expected()?;
        fs::rename(&temporary, path).map_err(wrong)?;
        (self.probe)("renamed");
        sync_folder(path).map_err(wrong)?;
        (self.probe)("durable");
        Ok(())
    }
}

fn file_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.yaml"))
}

fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| failed("make the folder", folder, &error))
}

/// What a guard that was killed had begun to write counts for nothing, and holds a preview that nobody would remove.
fn remove_unfinished(folder: &Path) -> Result<(), StoreError> {
    let wrong = |error: io::Error| failed("read the folder", folder, &error);
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            remove(&path)?;
        }
    }
    Ok(())
}

fn take_lock(state: &Path) -> Result<File, StoreError> {
    let path = state.join("approvals.lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failed("open", &path, &error))?;
    let mut patience = LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed("lock", &path, &error)),
            Err(TryLockError::WouldBlock) if patience.is_zero() => {
                return Err(StoreError::InUse(state.display().to_string()));
            }
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(LOCK_POLL);
                patience = patience.saturating_sub(LOCK_POLL);
            }
        }
    }
}

fn read_all<T: DeserializeOwned>(
    folder: &Path,
    unreadable: &mut Vec<String>,
) -> Result<Vec<T>, StoreError> {
    let wrong = |error: io::Error| failed("read the folder", folder, &error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    let mut objects = Vec::new();
    for path in paths {
        match read(&path) {
            Ok(object) => objects.push(object),
            Err(error) => unreadable.push(error.to_string()),
        }
    }
    Ok(objects)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let wrong = |error: io::Error| failed("read", path, &error);
    let length = fs::metadata(path).map_err(wrong)?.len();
    if length > FILE_LIMIT {
        return Err(wrong(io::Error::other("the file is too large to be ours")));
    }
    let text = fs::read(path).map_err(wrong)?;
    serde_json::from_slice(&text).map_err(|error| wrong(error.into()))
}

#[derive(serde::Deserialize)]
struct Versioned {
    metadata: Metadata,
}

fn is_version(path: &Path, version: u64) -> Result<(), StoreError> {
    let found: Versioned = read(path)?;
    if found.metadata.resource_version == version.to_string() {
        Ok(())
    } else {
        Err(StoreError::Changed(path.display().to_string()))
    }
}

fn is_absent(path: &Path) -> Result<(), StoreError> {
    match path.try_exists() {
        Ok(false) => Ok(()),
        Ok(true) => Err(StoreError::Changed(path.display().to_string())),
        Err(error) => Err(failed("look for", path, &error)),
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", path, &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
    File::open(folder)?.sync_all()
}

fn failed(what: &str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::Disk {
        what: format!("{what} `{}`", path.display()),
        why: error.to_string(),
    }
}

/// JSON in which every character that YAML does not allow bare is escaped: C1 controls, its extra line breaks,
/// byte order marks. They can stand in strings only, and one `\u` escape means the same in both languages.
fn yaml_text(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let json = serde_json::to_string_pretty(value)?;
    let mut text = String::with_capacity(json.len() + 1);
    for character in json.chars() {
        if must_escape(character) {
            text.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            text.push(character);
        }
    }
    text.push('\n');
    Ok(text.into_bytes())
}

fn must_escape(character: char) -> bool {
    matches!(
        character,
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_json_and_holds_nothing_that_yaml_cannot_hold() {
        let value = "tab\t \u{7f} \u{85} \u{2028} \u{feff} \u{ffff} é 漢 🦀";
        let text = String::from_utf8(yaml_text(&value).unwrap()).unwrap();
        assert!(!text.chars().any(must_escape), "{text}");
        assert!(
            text.contains("é 漢 🦀") && text.contains("\\u2028"),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
    }
}
