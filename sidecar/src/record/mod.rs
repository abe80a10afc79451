//! The spool: makes what happened durable before anybody may act on it (laws 30 and 31).
//!
//! [`Recorder`] is the handle that the data path holds; it never touches a file. One thread of its own takes what
//! the handles send, writes it in groups and answers when a group is on the disk, so that an fsync is shared by all
//! calls that wait for it and no call's task ever blocks. [`CallRecord`] ends every call exactly once, whatever way
//! its task goes. Nothing here may drop an event in silence: what cannot be stored is refused and counted.

mod anchor;
mod call;
mod disk;
mod durable;
mod handle;
mod ids;
mod recover;
mod room;
mod spool;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sallyport_policy::name::SessionId;
use sallyport_policy::record::event::{Capture, Mode};
use sallyport_policy::time::UnixMillis;

pub use anchor::AnchorAt;
pub use call::{CallRecord, Ended};
pub use durable::Durable;
pub use handle::Recorder;
pub use spool::Spool;

/// How a recorder writes.
#[derive(Clone)]
pub struct Options {
    /// Version of the program, for the log.
    pub version: String,
    /// Where a segment ends and the next begins.
    pub segment_bytes: u64,
    /// Longest time that a segment with events in it is written; none for as long as it is small enough. Retention
    /// takes whole segments, so it is as exact as they are short.
    pub segment_age: Option<Duration>,
    /// Most bytes that all recordings of the folder may take; none for the whole disk.
    pub quota: Option<u64>,
    /// Most bytes of events and payloads that wait for the disk; beyond it appends are refused.
    pub queue_bytes: usize,
    /// Longest time an event waits for a signed checkpoint.
    pub checkpoint_every: Duration,
    /// Most events between two checkpoints.
    pub checkpoint_events: u64,
    /// A file elsewhere to which checkpoints are copied; [`Recorder::anchor_to`] changes it later.
    pub anchor: Option<AnchorAt>,
    pub clock: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
}

impl Options {
    /// The defaults: segments of 64 MiB, 64 MiB of queue, a checkpoint every 10 s or 1,000 events, and
    /// no anchor.
    #[must_use]
    pub fn new(version: &str, clock: Arc<dyn Fn() -> UnixMillis + Send + Sync>) -> Self {
        Self {
            version: version.to_owned(),
            segment_bytes: 64 << 20,
            segment_age: None,
            quota: None,
            queue_bytes: 64 << 20,
            checkpoint_every: Duration::from_secs(10),
            checkpoint_events: 1000,
            anchor: None,
            clock,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("segment_bytes", &self.segment_bytes)
            .field("quota", &self.quota)
            .field("anchor", &self.anchor)
            .finish_non_exhaustive()
    }
}

/// What the policy in force asks of the recording of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub mode: Mode,
    pub capture: Capture,
}

/// Whether the spool takes events; for conditions, metrics and readiness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why nothing can be stored at present; none when all is well.
    pub trouble: Option<RecordError>,
    /// Events lost since the start.
    pub lost: u64,
}

/// Why an event is not durable. All of them are our fault or the machine's, never the caller's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("no room for recordings in `{0}`: free some space, or purge old recordings")]
    NoSpace(PathBuf),
    #[error("the recordings' quota of {0} bytes is used up: purge old recordings, or raise it")]
    Quota(u64),
    #[error("more is recorded than the disk can take: {0} bytes wait")]
    QueueFull(usize),
    #[error("an event of {0} bytes is larger than a line may be")]
    TooLarge(usize),
    #[error("session `{0}` is not open")]
    NoSession(SessionId),
    #[error("cannot compose an event: {0}")]
    Compose(String),
    #[error("recordings are disabled: nothing is kept")]
    Disabled,
    #[error("segment `{0}` cannot be read: run `sallyport verify`, then move the folder away")]
    Damaged(PathBuf),
    #[error("`{0}` is not the key of these recordings: restore it, or move the folder away")]
    BadKey(PathBuf),
    #[error(
        "recordings in `{path}` are being written by another process{holder}: stop it, or use another `--state`"
    )]
    InUse { path: PathBuf, holder: String },
    #[error("cannot {doing} `{path}`: {why}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        why: String,
    },
    #[error("the recorder has stopped after `{0}`: restart, so that the disk is read again")]
    Broken(String),
    #[error("the recorder is closed")]
    Closed,
}
