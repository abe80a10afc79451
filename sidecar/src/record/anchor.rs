//! The file elsewhere that learns the heads of the chains, so that a cut tail can be proved (law 33).

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sallyport_policy::record::Head;

use super::RecordError;
use super::disk::failed;

/// Where an anchor is and how often it learns a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorAt {
    /// A file on another volume (`recording.anchor.file`).
    pub path: PathBuf,
    /// Longest time a head waits for it (`recording.anchor.every`); the last one is written at once.
    pub every: Duration,
}

/// An anchor that is open for appending.
pub(super) struct Anchor {
    at: AnchorAt,
    file: File,
    /// None before the first head, which is never kept waiting.
    written_at: Option<Instant>,
    waiting: Option<Head>,
}

impl Anchor {
    pub(super) fn open(at: &AnchorAt) -> Result<Self, RecordError> {
        let file = File::options()
            .append(true)
            .create(true)
            .open(&at.path)
            .map_err(failed("open", &at.path))?;
        Ok(Self {
            at: at.clone(),
            file,
            written_at: None,
            waiting: None,
        })
    }

    pub(super) fn at(&self) -> &AnchorAt {
        &self.at
    }

    /// A newer head; the last one of all is written at once.
    pub(super) fn learn(&mut self, head: Head, last: bool) {
        self.waiting = Some(head);
        if last {
            self.write();
        } else {
            self.write_if_due();
        }
    }

    pub(super) fn write_if_due(&mut self) {
        let due = self
            .written_at
            .is_none_or(|written| written.elapsed() >= self.at.every);
        if due {
            self.write();
        }
    }

    /// An anchor that cannot be written weakens what can be proved later, but must not stop the recording itself.
    fn write(&mut self) {
        let Some(head) = self.waiting.take() else {
            return;
        };
        self.written_at = Some(Instant::now());
        let written = writeln!(self.file, "{head}").and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            let path = self.at.path.display();
            tracing::error!(%path, %error, "a checkpoint could not be written to the anchor; the next one is tried");
        }
    }
}
