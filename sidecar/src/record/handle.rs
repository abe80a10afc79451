//! The handle that the data path holds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};

use bytes::Bytes;
use sallyport_policy::name::{CallId, SessionId};
use sallyport_policy::record::Head;
use sallyport_policy::record::event::{
    CallRequested, Event, PayloadKind, SessionBegan, SessionEnd,
};
use sallyport_policy::time::UnixMillis;
use tokio::sync::{oneshot, watch};

use super::durable::{Durable, Stored};
use super::ids::Ids;
use super::spool::{Message, Shared, Spool, Thread};
use super::writer::{Batch, Item, weight};
use super::{AnchorAt, CallRecord, Health, Options, RecordError, Terms};

/// Payloads up to this size are copied for the writer, in bytes.
const COPIED: usize = 16 << 10;

/// Sends events to the spool's thread. Cheap to clone; no method blocks.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    /// None where recordings are disabled.
    sender: Option<Sender<Message>>,
    shared: Arc<Shared>,
    ids: Ids,
    own_chain: SessionId,
    queue_bytes: usize,
    clock: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
    health: watch::Receiver<Health>,
    head: watch::Receiver<Option<Head>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.own_chain)
    }
}

impl Recorder {
    /// Opens the folder, recovers what a crash left (open calls end as `Unknown`), and starts the writer's thread.
    /// It waits for the disk: call it before serving.
    ///
    /// # Errors
    /// Another process writes there, the disk is full, or the folder cannot be read.
    pub fn open(folder: &Path, options: Options) -> Result<(Self, Spool), RecordError> {
        let failed = |doing, why: String| RecordError::Io {
            doing,
            path: folder.to_owned(),
            why,
        };
        let no_randomness = || failed("draw randomness for", "the system gives none".to_owned());
        let ids = Ids::new().ok_or_else(no_randomness)?;
        let clock = Arc::clone(&options.clock);
        let queue_bytes = options.queue_bytes;
        let own_chain = ids.session(clock());
        let (sender, receiver) = mpsc::channel();
        let (thread, shared) = Thread::open(folder, options, own_chain.clone(), receiver)?;
        let (health, head) = thread.watches();
        std::thread::Builder::new()
            .name("sallyport-spool".to_owned())
            .spawn(|| thread.run())
            .map_err(|error| failed("start the writer of", error.to_string()))?;
        let spool = Spool::new(sender.clone());
        let inner = Inner {
            sender: Some(sender),
            shared,
            ids,
            own_chain,
            queue_bytes,
            clock,
            health,
            head,
        };
        Ok((Self(Arc::new(inner)), spool))
    }

    /// A recorder that keeps nothing, for where every gateway says `recording.mode: Disabled`. Under any other mode
    /// its calls fail as if the disk were full.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn disabled(clock: Arc<dyn Fn() -> UnixMillis + Send + Sync>) -> Result<Self, RecordError> {
        let ids = Ids::new().ok_or(RecordError::Disabled)?;
        let inner = Inner {
            sender: None,
            shared: Arc::default(),
            own_chain: ids.session(clock()),
            ids,
            queue_bytes: 0,
            clock,
            health: watch::Sender::new(Health::default()).subscribe(),
            head: watch::Sender::new(None).subscribe(),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Begins a session's chain. Its first event is durable before any later event of the session is.
    #[must_use]
    pub fn begin_session(&self, began: SessionBegan) -> SessionId {
        let at = self.now();
        let session = self.0.ids.session(at);
        let event = Event::SessionBegan(Box::new(began));
        // Whoever waits for a later event of the session waits for this one too.
        self.tell_all(&session, vec![self.item(event, Vec::new())]);
        session
    }

    /// Ends a session's chain; open calls of it end as `Unknown` first.
    pub fn end_session(&self, session: &SessionId, reason: SessionEnd) -> Durable {
        let (reply, durable) = Durable::waiting();
        let session = session.clone();
        let at = self.now();
        let message = Message::EndSession {
            session,
            at,
            reason,
            reply,
        };
        self.send(message, durable)
    }

    /// The writer's own chain, for what belongs to no session (`PolicyChanged`).
    #[must_use]
    pub fn writer(&self) -> SessionId {
        self.0.own_chain.clone()
    }

    /// Appends an event to a session's chain. Events of one session are chained in the order of these calls.
    /// Terminal events are taken however much waits; others are refused (`QueueFull`) beyond the queue's limit.
    pub fn append(
        &self,
        session: &SessionId,
        event: Event,
        payloads: Vec<(PayloadKind, Bytes)>,
    ) -> Durable {
        self.append_all(session, vec![self.item(event, payloads)])
    }

    /// Appends events together: they are stored with one sync, and one promise is given for all of them. Of a batch
    /// with a terminal event, the promise is that event's.
    pub(super) fn append_all(&self, session: &SessionId, items: Vec<Item>) -> Durable {
        let (reply, durable) = Durable::waiting();
        match self.put(session, items, Some(reply)) {
            Ok(()) => durable,
            Err(error) => Durable::refused(error),
        }
    }

    /// Appends events that nobody waits for. What cannot be stored is told by a gap.
    pub(super) fn tell_all(&self, session: &SessionId, items: Vec<Item>) {
        if let Err(error) = self.put(session, items, None) {
            tracing::debug!(%error, "events that nobody waits for were not taken");
        }
    }

    /// An event of this moment.
    pub(super) fn item(&self, event: Event, payloads: Vec<(PayloadKind, Bytes)>) -> Item {
        Item {
            at: self.now(),
            event,
            payloads: payloads.into_iter().map(kept).collect(),
        }
    }

    fn put(
        &self,
        session: &SessionId,
        mut items: Vec<Item>,
        reply: Option<oneshot::Sender<Stored>>,
    ) -> Result<(), RecordError> {
        let sender = self.0.sender.as_ref().ok_or(RecordError::Disabled)?;
        let admitted = self.admit(session, &mut items);
        if items.is_empty() {
            return admitted;
        }
        let session = session.clone();
        let batch = Batch {
            session,
            items,
            reply,
        };
        sender
            .send(Message::Append(batch))
            .map_err(|_| RecordError::Closed)
    }

    /// Counts what is sent against the queue's limit; beyond it only terminal events are left.
    fn admit(&self, session: &SessionId, items: &mut Vec<Item>) -> Result<(), RecordError> {
        let shared = &self.0.shared;
        let size = weight(items);
        let queued = shared.queued.fetch_add(size, Ordering::AcqRel);
        // One batch alone is taken whatever its size, or a large answer could never be recorded.
        if queued == 0 || queued.saturating_add(size) <= self.0.queue_bytes {
            return Ok(());
        }
        items.retain(|item| {
            let kept = matches!(item.event, Event::CallEnded(_) | Event::SessionBegan(_));
            if !kept {
                shared.drop_event(session, item.at);
            }
            kept
        });
        shared
            .queued
            .fetch_sub(size - weight(items), Ordering::AcqRel);
        Err(RecordError::QueueFull(queued))
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
        let id = self.0.ids.call();
        let event = Event::CallRequested(Box::new(requested(id.clone())));
        CallRecord::open(self.clone(), session.clone(), id, terms, event, payloads)
    }

    /// Changes when trouble begins or ends, or when something is lost.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.health.clone()
    }

    /// The last durable checkpoint; none before the first.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        *self.0.head.borrow()
    }

    /// Signs a checkpoint over everything appended before this call.
    ///
    /// # Errors
    /// The checkpoint cannot be made durable.
    pub async fn checkpoint(&self) -> Result<Head, RecordError> {
        let (reply, told) = oneshot::channel();
        let sender = self.0.sender.as_ref().ok_or(RecordError::Disabled)?;
        sender
            .send(Message::Checkpoint(reply))
            .map_err(|_| RecordError::Closed)?;
        told.await.unwrap_or(Err(RecordError::Closed))
    }

    /// Copies checkpoints to another place from now on, or to none. A place that cannot be opened is told in the log,
    /// and tried again when it is given again; recording goes on without it.
    pub fn anchor_to(&self, anchor: Option<AnchorAt>) {
        if let Some(sender) = &self.0.sender {
            // Without its writer nothing is signed that could be copied.
            drop(sender.send(Message::Anchor(anchor)));
        }
    }

    pub(super) fn now(&self) -> UnixMillis {
        (self.0.clock)()
    }

    fn send(&self, message: Message, durable: Durable) -> Durable {
        let Some(sender) = &self.0.sender else {
            return Durable::refused(RecordError::Disabled);
        };
        match sender.send(message) {
            Ok(()) => durable,
            Err(_) => Durable::refused(RecordError::Closed),
        }
    }
}

/// A small payload of its own: as a part of a connection's buffer it would keep all of that from being used again.
fn kept((kind, bytes): (PayloadKind, Bytes)) -> (PayloadKind, Bytes) {
    if bytes.len() <= COPIED {
        (kind, Bytes::copy_from_slice(&bytes))
    } else {
        (kind, bytes)
    }
}
