//! Opening a folder: one writer only, a key, and whatever the last writer left.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use rustix::fs::{FlockOperation, flock};
use sallyport_policy::name::Digest;
use sallyport_policy::record::SigningKey;
use sallyport_policy::record::layout;
use sallyport_policy::record::line;
use sallyport_policy::record::segment::Resumed;
use zeroize::Zeroizing;

use super::RecordError;
use super::disk::{failed, sync_folder};

/// A folder that this process alone writes.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) folder: PathBuf,
    pub(super) key: Arc<SigningKey>,
    pub(super) left: Left,
    /// Held until the writer is done.
    pub(super) lock: File,
}

/// What the last writer left.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) resumed: Option<Resumed>,
    /// Digest of the torn end that was set aside.
    pub(super) torn: Option<Digest>,
}

pub(super) fn claim(folder: &Path) -> Result<Claimed, RecordError> {
    for part in ["", layout::SEGMENTS, layout::PAYLOADS, layout::TORN] {
        let path = folder.join(part);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(failed("create", &path))?;
    }
    let lock = lock(folder)?;
    let key = Arc::new(signing_key(folder)?);
    let left = resume(folder)?;
    let foreign = |resumed: &Resumed| resumed.header.key != key.verifying();
    if left.resumed.as_ref().is_some_and(foreign) {
        return Err(RecordError::BadKey(folder.join(layout::SIGNING_KEY)));
    }
    let folder = folder.to_owned();
    Ok(Claimed {
        folder,
        key,
        left,
        lock,
    })
}

fn lock(folder: &Path) -> Result<File, RecordError> {
    let path = folder.join(layout::LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed("open", &path))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut text = String::new();
        // Who holds it is a help only; the lock itself has spoken.
        let known = file.read_to_string(&mut text).is_ok() && !text.trim().is_empty();
        let holder = if known {
            format!(" (process {})", text.trim())
        } else {
            String::new()
        };
        return Err(RecordError::InUse {
            path: folder.to_owned(),
            holder,
        });
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(failed("write to", &path))?;
    Ok(file)
}

/// Reads the folder's key, or makes one where there are no recordings yet.
fn signing_key(folder: &Path) -> Result<SigningKey, RecordError> {
    let path = folder.join(layout::SIGNING_KEY);
    let text = match fs::read_to_string(&path) {
        Ok(text) => Zeroizing::new(text),
        // A key that is lost must not be replaced in silence: what was signed with it would look forged.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if !numbers(&folder.join(layout::SEGMENTS))?.is_empty() {
                return Err(RecordError::BadKey(path));
            }
            new_key(folder, &path)?
        }
        Err(error) => return Err(failed("read", &path)(error)),
    };
    let bad = || RecordError::BadKey(path.clone());
    let seed = Zeroizing::new(hex::decode(text.trim()).map_err(|_| bad())?);
    let key = SigningKey::from_seed(&seed).map_err(|_| bad())?;
    write_new(
        &folder.join(layout::VERIFYING_KEY),
        format!("{}\n", key.verifying()).as_bytes(),
    )?;
    Ok(key)
}

fn new_key(folder: &Path, path: &Path) -> Result<Zeroizing<String>, RecordError> {
    let mut seed = Zeroizing::new([0; 32]);
    SystemRandom::new()
        .fill(seed.as_mut())
        .map_err(|_| RecordError::Io {
            doing: "draw randomness for",
            path: path.to_owned(),
            why: "the system gives none".to_owned(),
        })?;
    let text = Zeroizing::new(format!("{}\n", hex::encode(seed.as_ref())));
    write_new(path, text.as_bytes())?;
    sync_folder(folder)?;
    Ok(text)
}

/// Writes a file unless it is there; whole or not at all, even through a crash.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    if path.exists() {
        return Ok(());
    }
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(failed("create", &draft))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed("write to", &draft))?;
    fs::rename(&draft, path).map_err(failed("rename", &draft))
}

fn resume(folder: &Path) -> Result<Left, RecordError> {
    let segments = folder.join(layout::SEGMENTS);
    let mut numbers = numbers(&segments)?;
    numbers.sort_unstable();
    while let Some(number) = numbers.pop() {
        let path = segments.join(layout::segment_file(number));
        let bytes = fs::read(&path).map_err(failed("read", &path))?;
        if let Some(resumed) = Resumed::read(&bytes) {
            let torn = cut(folder, &path, &resumed, &bytes)?;
            trim_payloads(folder, number)?;
            return Ok(Left {
                resumed: Some(resumed),
                torn,
            });
        }
        if line::lines(&bytes).any(|line| line::decode(line.text).is_ok()) {
            return Err(RecordError::Damaged(path));
        }
        set_aside_whole(folder, number)?;
    }
    Ok(Left::default())
}

fn numbers(segments: &Path) -> Result<Vec<u64>, RecordError> {
    let entries = fs::read_dir(segments).map_err(failed("read", segments))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("read", segments))?;
        numbers.extend(entry.file_name().to_str().and_then(layout::segment_number));
    }
    Ok(numbers)
}

/// Takes a torn end off a segment. It goes into a file of its own first: what looks torn could also be evidence.
fn cut(
    folder: &Path,
    path: &Path,
    resumed: &Resumed,
    bytes: &[u8],
) -> Result<Option<Digest>, RecordError> {
    let keep = usize::try_from(resumed.bytes).unwrap_or(usize::MAX);
    let torn = bytes.get(keep..).unwrap_or_default();
    if !torn.is_empty() {
        let aside = folder
            .join(layout::TORN)
            .join(layout::torn_file(resumed.segment, resumed.bytes));
        write_new(&aside, torn)?;
        sync_folder(&folder.join(layout::TORN))?;
    }
    let file = OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(failed("open", path))?;
    // Also gives back what had been reserved beyond the end.
    file.set_len(resumed.bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed("trim", path))?;
    Ok((!torn.is_empty()).then(|| Digest::of(torn)))
}

/// Gives back what a crashed writer had reserved beyond the end of its payloads.
fn trim_payloads(folder: &Path, number: u64) -> Result<(), RecordError> {
    let path = folder
        .join(layout::PAYLOADS)
        .join(layout::payload_file(number));
    let file = match OpenOptions::new().write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("open", &path)(error)),
    };
    let length = file.metadata().map_err(failed("read", &path))?.len();
    file.set_len(length).map_err(failed("trim", &path))
}

/// A crash met a segment just made, before its head was written: no event of it was ever acknowledged.
fn set_aside_whole(folder: &Path, number: u64) -> Result<(), RecordError> {
    let torn = folder.join(layout::TORN);
    let from = folder
        .join(layout::SEGMENTS)
        .join(layout::segment_file(number));
    let to = torn.join(layout::torn_file(number, 0));
    fs::rename(&from, &to).map_err(failed("rename", &from))?;
    let payloads = folder
        .join(layout::PAYLOADS)
        .join(layout::payload_file(number));
    match fs::rename(&payloads, torn.join(layout::payload_file(number))) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed("rename", &payloads)(error))
        }
        Ok(()) | Err(_) => sync_folder(&torn),
    }
}
