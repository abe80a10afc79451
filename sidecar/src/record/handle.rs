//! The handle that the data path holds.

use std::path::Path;

use bytes::Bytes;
use sallyport_policy::name::{CallId, SessionId};
use sallyport_policy::record::Head;
use sallyport_policy::record::event::{
    CallRequested, Event, PayloadKind, SessionBegan, SessionEnd,
};
use tokio::sync::watch;

use super::{CallRecord, Durable, Health, Options, RecordError, Spool, Terms};

/// Sends events to the spool's thread. Cheap to clone; no method blocks.
#[derive(Clone, Debug)]
pub struct Recorder {}

impl Recorder {
    /// Opens the folder, recovers what a crash left (open calls end as `Unknown`), and starts the writer's thread.
    ///
    /// # Errors
    /// Another process writes there, the disk is full, or the folder cannot be read.
    pub fn open(folder: &Path, options: Options) -> Result<(Self, Spool), RecordError> {
        todo!()
    }

    /// A recorder for `recording.mode: Disabled`: takes everything, keeps nothing.
    #[must_use]
    pub fn disabled() -> Self {
        todo!()
    }

    /// Begins a session's chain. Its first event is durable before any later event of the session is.
    #[must_use]
    pub fn begin_session(&self, began: SessionBegan) -> SessionId {
        todo!()
    }

    /// Ends a session's chain; open calls of it end as `Unknown` first.
    pub fn end_session(&self, session: &SessionId, reason: SessionEnd) -> Durable {
        todo!()
    }

    /// The writer's own chain, for what belongs to no session (`PolicyChanged`).
    #[must_use]
    pub fn writer(&self) -> SessionId {
        todo!()
    }

    /// Appends an event to a session's chain. Events of one session are chained in the order of these calls.
    pub fn append(
        &self,
        session: &SessionId,
        event: Event,
        payloads: Vec<(PayloadKind, Bytes)>,
    ) -> Durable {
        todo!()
    }

    /// Begins a call's record and reserves the space of its terminal event (law 31); nothing is waited for yet:
    /// [`CallRecord::settle`] does, before the upstream is called.
    pub fn open_call(
        &self,
        session: &SessionId,
        terms: Terms,
        requested: impl FnOnce(CallId) -> CallRequested,
        payloads: Vec<(PayloadKind, Bytes)>,
    ) -> CallRecord {
        todo!()
    }

    /// Changes when trouble begins or ends, or when something is lost.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        todo!()
    }

    /// The last signed checkpoint; none before the first.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        todo!()
    }

    /// Signs a checkpoint over everything appended before this call.
    ///
    /// # Errors
    /// The checkpoint cannot be made durable.
    pub async fn checkpoint(&self) -> Result<Head, RecordError> {
        todo!()
    }
}
