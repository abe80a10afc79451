//! The handle that the data path holds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

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
use super::mail::{Sender, mail};
use super::spool::{Message, Shared, Spool, Thread, weight};
use super::writer::Item;
use super::{CallRecord, Health, Options, RecordError, Terms};

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
        let (sender, receiver) = mail();
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
        self.note(&session, event, Vec::new());
        session
    }

    /// Ends a session's chain; open calls of it end as `Unknown` first.
    pub fn end_session(&self, session: &SessionId, reason: SessionEnd) -> Durable {
        let (reply, told) = oneshot::channel();
        let session = session.clone();
        let at = self.now();
        let message = Message::EndSession {
            session,
            at,
            reason,
            reply,
        };
        self.send(message, told)
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
        if self.0.sender.is_none() {
            return Durable::refused(RecordError::Disabled);
        }
        let item = self.item(session, event, payloads);
        if let Err(error) = self.admit(&item) {
            return Durable::refused(error);
        }
        let (reply, told) = oneshot::channel();
        self.send(Message::Append(Box::new(item), Some(reply)), told)
    }

    /// The same for an event that nobody will wait for: what becomes of it is the spool's to tell.
    pub fn note(&self, session: &SessionId, event: Event, payloads: Vec<(PayloadKind, Bytes)>) {
        let Some(sender) = &self.0.sender else {
            return;
        };
        let item = self.item(session, event, payloads);
        // What is refused was counted, and after the thread's end there is nobody to count.
        if self.admit(&item).is_ok() {
            drop(sender.send(Message::Append(Box::new(item), None)));
        }
    }

    fn item(&self, session: &SessionId, event: Event, payloads: Vec<(PayloadKind, Bytes)>) -> Item {
        Item {
            session: session.clone(),
            at: self.now(),
            event,
            payloads: payloads.into_iter().map(kept).collect(),
        }
    }

    /// Counts an item against the queue's limit.
    fn admit(&self, item: &Item) -> Result<(), RecordError> {
        let terminal = matches!(item.event, Event::CallEnded(_) | Event::SessionBegan(_));
        let size = weight(item);
        let shared = &self.0.shared;
        let queued = shared.queued.fetch_add(size, Ordering::AcqRel);
        // One event alone is taken whatever its size, or a large answer could never be recorded.
        let too_much = queued > 0 && queued.saturating_add(size) > self.0.queue_bytes;
        if too_much && !terminal {
            shared.queued.fetch_sub(size, Ordering::AcqRel);
            shared.drop_event(&item.session, item.at);
            return Err(RecordError::QueueFull(queued));
        }
        if queued.saturating_add(size) > self.0.queue_bytes / 8
            && let Some(sender) = &self.0.sender
        {
            // Much waits already: the thread should not linger.
            sender.hurry();
        }
        Ok(())
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
        sender.hurry();
        told.await.unwrap_or(Err(RecordError::Closed))
    }

    pub(super) fn now(&self) -> UnixMillis {
        (self.0.clock)()
    }

    fn send(&self, message: Message, told: oneshot::Receiver<Stored>) -> Durable {
        let Some(sender) = &self.0.sender else {
            return Durable::refused(RecordError::Disabled);
        };
        match sender.send_belled(message) {
            Ok(bell) => Durable::sent(told, bell),
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
