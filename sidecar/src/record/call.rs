//! The record of one call, from its first event to its terminal one (law 30).

use bytes::Bytes;
use sallyport_policy::name::CallId;
use sallyport_policy::record::event::{Event, Outcome, PayloadKind};

use super::{Durable, RecordError};

/// How the call's task says that it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub outcome: Outcome,
    /// Stable code of why.
    pub reason: Option<String>,
    /// HTTP status given to the client.
    pub status: Option<u16>,
}

/// Open until [`CallRecord::end`]; a record that is dropped (a panic, a cancelled task) ends as `Unknown` where the
/// server had been given the call, else as `Cancelled`.
///
/// The way of a call in every mode: `open_call`, `note(Decided)`, `note(Forwarded)`, `settle().await?`, send,
/// `note(Answered)`, `settle().await` (on an error withhold the answer and end as `Withheld`), release, `end`.
#[derive(Debug)]
pub struct CallRecord {}

impl CallRecord {
    #[must_use]
    pub fn id(&self) -> &CallId {
        todo!()
    }

    /// Appends an event of this call; [`CallRecord::settle`] tells whether it was stored.
    pub fn note(&mut self, event: Event, payloads: Vec<(PayloadKind, Bytes)>) {
        todo!()
    }

    /// In `Strict`, waits until everything noted is durable; otherwise returns at once.
    ///
    /// # Errors
    /// Something noted cannot be stored: call no upstream and release nothing.
    pub async fn settle(&mut self) -> Result<(), RecordError> {
        todo!()
    }

    /// Ends the call. Its space was reserved by `open_call`, so it is stored even on a full disk. `executed` is
    /// true where `Forwarded` was noted.
    pub fn end(self, ended: Ended) -> Durable {
        todo!()
    }
}
