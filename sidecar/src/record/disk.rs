//! Files that grow: space is taken from the disk before it is needed, so that a write that was promised succeeds.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

use super::RecordError;

/// Taken at once, so that a disk is asked rarely.
const CHUNK: u64 = 1 << 20;

pub(super) fn failed(
    doing: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> RecordError {
    let path = path.to_owned();
    move |error| {
        if error.kind() == std::io::ErrorKind::StorageFull {
            RecordError::NoSpace(path)
        } else {
            let why = error.to_string();
            RecordError::Io { doing, path, why }
        }
    }
}

/// Makes what was created or renamed in a folder survive a crash.
pub(super) fn sync_folder(folder: &Path) -> Result<(), RecordError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("sync", folder))
}

/// How much all recordings may take. What other processes free (a purge) is seen when the limit is met.
#[derive(Debug)]
pub(super) struct Quota {
    folder: PathBuf,
    limit: Option<u64>,
    used: u64,
}

impl Quota {
    pub(super) fn new(folder: &Path, limit: Option<u64>) -> Self {
        let used = limit.map_or(0, |_| disk_usage(folder));
        Self {
            folder: folder.to_owned(),
            limit,
            used,
        }
    }

    fn take(&mut self, bytes: u64) -> Result<(), RecordError> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        if self.used.saturating_add(bytes) > limit {
            self.used = disk_usage(&self.folder);
        }
        if self.used.saturating_add(bytes) > limit {
            return Err(RecordError::Quota(limit));
        }
        self.used += bytes;
        Ok(())
    }

    fn give_back(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }
}

/// Bytes that a folder really takes on the disk. What vanishes meanwhile takes none.
fn disk_usage(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let facts = entry.metadata().ok()?;
            let inside = if facts.is_dir() {
                disk_usage(&entry.path())
            } else {
                0
            };
            Some(facts.blocks() * 512 + inside)
        })
        .sum()
}

/// One file that only grows.
#[derive(Debug)]
pub(super) struct Growing {
    file: File,
    path: PathBuf,
    written: u64,
    allocated: u64,
}

impl Growing {
    pub(super) fn create(path: PathBuf) -> Result<Self, RecordError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("create", &path))?;
        Ok(Self {
            file,
            path,
            written: 0,
            allocated: 0,
        })
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Makes sure that the file can grow to `size`, without writing anything.
    pub(super) fn room(&mut self, size: u64, quota: &mut Quota) -> Result<(), RecordError> {
        if size <= self.allocated {
            return Ok(());
        }
        let needed = size - self.allocated;
        let generous = needed.next_multiple_of(CHUNK);
        self.allocate(generous, quota)
            .or_else(|_| self.allocate(needed, quota))
    }

    fn allocate(&mut self, bytes: u64, quota: &mut Quota) -> Result<(), RecordError> {
        quota.take(bytes)?;
        let taken = fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.allocated, bytes)
            .or_else(|errno| self.without_fallocate(errno, bytes));
        match taken {
            Ok(()) => {
                self.allocated += bytes;
                Ok(())
            }
            Err(errno) => {
                quota.give_back(bytes);
                Err(self.no_room(errno))
            }
        }
    }

    /// Some network file systems cannot reserve; there the free space is at least looked at.
    fn without_fallocate(&self, errno: Errno, bytes: u64) -> Result<(), Errno> {
        if errno != Errno::OPNOTSUPP && errno != Errno::NOSYS {
            return Err(errno);
        }
        let facts = statvfs(&self.path)?;
        if facts.f_bavail.saturating_mul(facts.f_frsize) >= bytes {
            Ok(())
        } else {
            Err(Errno::NOSPC)
        }
    }

    fn no_room(&self, errno: Errno) -> RecordError {
        if matches!(errno, Errno::NOSPC | Errno::DQUOT | Errno::FBIG) {
            RecordError::NoSpace(self.path.clone())
        } else {
            failed("reserve space in", &self.path)(errno.into())
        }
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        self.file
            .write_all_at(bytes, self.written)
            .map_err(failed("write to", &self.path))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), RecordError> {
        self.file.sync_data().map_err(failed("sync", &self.path))
    }

    /// Gives back what was reserved and not used.
    pub(super) fn trim(&mut self, quota: &mut Quota) -> Result<(), RecordError> {
        self.file
            .set_len(self.written)
            .map_err(failed("trim", &self.path))?;
        quota.give_back(self.allocated.saturating_sub(self.written));
        self.allocated = self.written;
        Ok(())
    }

    /// Takes a file back that was made in vain.
    pub(super) fn discard(self, quota: &mut Quota) {
        quota.give_back(self.allocated);
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "an unused file of the recordings stays behind");
        }
    }
}
