//! What handles send to the writer: events of one session that belong together, and who waits for them.

use bytes::Bytes;
use sallyport_policy::name::SessionId;
use sallyport_policy::record::event::{Event, PayloadKind};
use sallyport_policy::time::UnixMillis;
use tokio::sync::oneshot;

use super::Stored;

/// One event on its way.
#[derive(Debug)]
pub(in crate::record) struct Item {
    pub(in crate::record) at: UnixMillis,
    pub(in crate::record) event: Event,
    pub(in crate::record) payloads: Vec<(PayloadKind, Bytes)>,
}

/// Events of one session that are stored together; `reply` hears when their group is durable.
#[derive(Debug)]
pub(in crate::record) struct Batch {
    pub(in crate::record) session: SessionId,
    pub(in crate::record) items: Vec<Item>,
    pub(in crate::record) reply: Option<oneshot::Sender<Stored>>,
}

/// What events count against the queue's limit.
pub(in crate::record) fn weight(items: &[Item]) -> usize {
    const EVENT: usize = 1024;
    let payloads = items.iter().flat_map(|item| &item.payloads);
    items.len() * EVENT + payloads.map(|(_, bytes)| bytes.len()).sum::<usize>()
}

/// Tells one who may have stopped waiting.
pub(in crate::record) fn tell<T>(reply: Option<oneshot::Sender<T>>, told: T) {
    if let Some(reply) = reply {
        // Nobody waits for an event under `BestEffort`; that is no error.
        drop(reply.send(told));
    }
}
