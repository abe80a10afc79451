//! The audit chain: who read recordings, what was purged and what is on hold.
//!
//! It is a recording of its own in `audit/`, in the same format, signed with the same key, so that the commands write
//! it while the sidecar holds the other one. Each event is durable before what it tells of happens.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use sallyport_policy::name::SessionId;
use sallyport_policy::record::event::{Event, WriterBegan};
use sallyport_policy::record::segment::{ComposeError, Composer, Resumed};
use sallyport_policy::record::{EventRecord, Head, SigningKey, layout};
use sallyport_policy::time::UnixMillis;

use crate::error::{ReadError, failed};
use crate::folder::{Folder, Position};

/// Where a segment of the audit chain ends; small, because each command reads the last one.
const SEGMENT_BYTES: u64 = 1 << 20;

/// Locked by whoever purges, in the audit folder.
const PURGE_LOCK: &str = "purge.lock";

/// The audit chain of one recording folder.
#[derive(Clone, Debug)]
pub struct AuditLog {
    recordings: PathBuf,
    folder: PathBuf,
}

impl AuditLog {
    #[must_use]
    pub fn of(recordings: &Path) -> Self {
        Self {
            recordings: recordings.to_owned(),
            folder: recordings.join(layout::AUDIT),
        }
    }

    /// Appends one event and signs it; it is durable when this returns.
    ///
    /// # Errors
    /// It cannot be stored: what it tells of must not happen.
    pub fn append(&self, event: Event, at: UnixMillis) -> Result<Head, ReadError> {
        self.write(event, at)
            .map_err(|error| ReadError::NotWritten(error.to_string()))
    }

    /// Everything in the chain, in order; empty where nothing was ever written.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn events(&self) -> Result<Vec<EventRecord>, ReadError> {
        let Some(folder) = self.folder()? else {
            return Ok(Vec::new());
        };
        folder
            .entries(Position::default())?
            .map(|entry| entry.map(|(entry, _)| entry.record))
            .collect()
    }

    /// The chain as a folder of recordings; none where nothing was ever written.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn folder(&self) -> Result<Option<Folder>, ReadError> {
        match Folder::open(&self.folder) {
            Ok(folder) => Ok(Some(folder)),
            Err(ReadError::NoRecordings(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Held by whoever purges or changes holds: two purges of one segment would write two tombstones, and the second
    /// one of a file that is gone. Released when the file is closed.
    ///
    /// # Errors
    /// The folder cannot be made or locked.
    pub(crate) fn purge_lock(&self) -> Result<File, ReadError> {
        self.make()?;
        self.lock(PURGE_LOCK)
    }

    fn write(&self, event: Event, at: UnixMillis) -> Result<Head, ReadError> {
        self.make()?;
        // Held until the file is closed at the end of this function.
        let _lock = self.lock(layout::LOCK)?;
        let key = Arc::new(self.key()?);
        let mut pen = self.pen(key, at)?;
        let session = chain();
        pen.event(&session, event, at)?;
        pen.sign_and_sync(at)
    }

    fn make(&self) -> Result<(), ReadError> {
        for part in ["", layout::SEGMENTS, layout::TORN] {
            let path = self.folder.join(part);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(failed("create", &path))?;
        }
        Ok(())
    }

    fn lock(&self, name: &str) -> Result<File, ReadError> {
        let path = self.folder.join(name);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open", &path))?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(std::io::Error::from)
            .map_err(failed("lock", &path))?;
        Ok(file)
    }

    fn key(&self) -> Result<SigningKey, ReadError> {
        let path = self.recordings.join(layout::SIGNING_KEY);
        let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
        let bad = || ReadError::BadKey(path.clone());
        let seed = hex::decode(text.trim()).map_err(|_| bad())?;
        SigningKey::from_seed(&seed).map_err(|_| bad())
    }

    /// Goes on where the last command stopped: in its segment, or in a new one where that is full.
    fn pen(&self, key: Arc<SigningKey>, at: UnixMillis) -> Result<Pen<'_>, ReadError> {
        let segments = Folder::open(&self.folder)?.segments()?;
        let Some(last) = segments.last().copied() else {
            let mut buffer = Vec::new();
            let composer = Composer::begin(key, chain(), at, None, &mut buffer)
                .map_err(|error| self.bad(&error))?;
            let mut pen = Pen::new(self, composer, buffer)?;
            let began = WriterBegan {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
            };
            pen.event(&chain(), Event::WriterBegan(began), at)?;
            return Ok(pen);
        };
        let path = self.segment(last);
        let bytes = fs::read(&path).map_err(failed("read", &path))?;
        let resumed = Resumed::read(&bytes).ok_or_else(|| ReadError::Audit(self.folder.clone()))?;
        self.set_torn_end_aside(&resumed, &bytes)?;
        if resumed.bytes < SEGMENT_BYTES {
            return Pen::new(self, Composer::resume(key, chain(), resumed), Vec::new());
        }
        let mut buffer = Vec::new();
        let composer = Composer::begin(key, chain(), at, Some(resumed), &mut buffer)
            .map_err(|error| self.bad(&error))?;
        Pen::new(self, composer, buffer)
    }

    /// The end of a line that a killed command left. Kept apart: what looks torn could also be evidence.
    fn set_torn_end_aside(&self, resumed: &Resumed, bytes: &[u8]) -> Result<(), ReadError> {
        if resumed.torn == 0 {
            return Ok(());
        }
        let keep = usize::try_from(resumed.bytes).unwrap_or(usize::MAX);
        let name = layout::torn_file(resumed.segment, resumed.bytes);
        let aside = self.folder.join(layout::TORN).join(name);
        fs::write(&aside, bytes.get(keep..).unwrap_or_default())
            .map_err(failed("write to", &aside))?;
        let path = self.segment(resumed.segment);
        OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(resumed.bytes))
            .map_err(failed("trim", &path))
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.folder
            .join(layout::SEGMENTS)
            .join(layout::segment_file(number))
    }

    fn bad(&self, error: &ComposeError) -> ReadError {
        ReadError::Io {
            doing: "append to",
            path: self.folder.clone(),
            why: error.to_string(),
        }
    }
}

/// The one chain of the audit folder; commands continue it one after another.
fn chain() -> SessionId {
    SessionId::new("audit")
}

/// The open end of the chain.
struct Pen<'a> {
    log: &'a AuditLog,
    composer: Composer,
    buffer: Vec<u8>,
    file: File,
}

impl<'a> Pen<'a> {
    fn new(log: &'a AuditLog, composer: Composer, buffer: Vec<u8>) -> Result<Self, ReadError> {
        let path = log.segment(composer.segment());
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open", &path))?;
        Ok(Self {
            log,
            composer,
            buffer,
            file,
        })
    }

    fn event(
        &mut self,
        session: &SessionId,
        event: Event,
        at: UnixMillis,
    ) -> Result<(), ReadError> {
        let prepared = self
            .composer
            .prepare(session, at, event, Vec::new())
            .map_err(|error| self.log.bad(&error))?;
        self.composer.commit(&prepared, &mut self.buffer);
        Ok(())
    }

    fn sign_and_sync(mut self, at: UnixMillis) -> Result<Head, ReadError> {
        let json = self
            .composer
            .prepare_checkpoint(at)
            .map_err(|error| self.log.bad(&error))?;
        let head = self.composer.commit_checkpoint(&json, &mut self.buffer);
        let path = self.log.segment(self.composer.segment());
        self.file
            .write_all(&self.buffer)
            .and_then(|()| self.file.sync_all())
            .map_err(failed("write to", &path))?;
        let folder = self.log.folder.join(layout::SEGMENTS);
        File::open(&folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed("sync", &folder))?;
        Ok(head)
    }
}
