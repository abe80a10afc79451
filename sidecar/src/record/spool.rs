//! The writer's thread: takes what the handles send, in groups.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sallyport_policy::name::SessionId;
use sallyport_policy::record::Head;
use sallyport_policy::record::event::{
    Event, GapCause, Recovered, SessionEnd, SessionEnded, WriterBegan, WriterEnded,
};
use sallyport_policy::record::segment::Composer;
use sallyport_policy::time::UnixMillis;
use tokio::sync::{oneshot, watch};

use super::durable::Stored;
use super::recover::{Claimed, Left, claim};
use super::room::compose_error;
use super::writer::{Batch, Item, Writer, tell, weight};
use super::{AnchorAt, Health, Options, RecordError};

/// Most bytes and messages of one group, so that the first of it does not wait for ever.
const GROUP_BYTES: usize = 8 << 20;
const GROUP_MESSAGES: usize = 4096;

/// What a handle sends.
#[derive(Debug)]
pub(super) enum Message {
    Append(Batch),
    EndSession {
        session: SessionId,
        at: UnixMillis,
        reason: SessionEnd,
        reply: oneshot::Sender<Stored>,
    },
    Anchor(Option<AnchorAt>),
    Checkpoint(oneshot::Sender<Result<Head, RecordError>>),
    Close(oneshot::Sender<Result<Head, RecordError>>),
}

/// What handles and thread both see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Bytes sent and not yet written.
    pub(super) queued: AtomicUsize,
    any_dropped: AtomicBool,
    /// Events that were refused because too much waited, by session, and since when.
    dropped: Mutex<BTreeMap<SessionId, (u64, UnixMillis)>>,
}

impl Shared {
    pub(super) fn drop_event(&self, session: &SessionId, at: UnixMillis) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        dropped.entry(session.clone()).or_insert((0, at)).0 += 1;
        self.any_dropped.store(true, Ordering::Release);
    }

    fn take_dropped(&self) -> BTreeMap<SessionId, (u64, UnixMillis)> {
        if !self.any_dropped.swap(false, Ordering::AcqRel) {
            return BTreeMap::new();
        }
        std::mem::take(&mut *self.dropped.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The running writer. Close it at exit; when it is dropped instead, the folder is left as after a crash.
#[derive(Debug)]
pub struct Spool {
    sender: Sender<Message>,
}

impl Spool {
    pub(super) fn new(sender: Sender<Message>) -> Self {
        Self { sender }
    }

    /// Ends every open session (`Shutdown`), signs the last checkpoint and waits for the thread.
    ///
    /// # Errors
    /// The last events cannot be stored.
    pub async fn close(self) -> Result<Head, RecordError> {
        let (reply, told) = oneshot::channel();
        self.sender
            .send(Message::Close(reply))
            .map_err(|_| RecordError::Closed)?;
        told.await.unwrap_or(Err(RecordError::Closed))
    }
}

/// The thread's own side.
pub(super) struct Thread {
    writer: Writer,
    own_chain: SessionId,
    receiver: Receiver<Message>,
    shared: Arc<Shared>,
    health: watch::Sender<Health>,
    head: watch::Sender<Option<Head>>,
    checkpoint_every: Duration,
    /// Held as long as anything can be written.
    _lock: File,
}

/// Whether the thread goes on.
enum Next {
    GoOn,
    Close(oneshot::Sender<Result<Head, RecordError>>),
}

impl Thread {
    /// Claims the folder, ends what a former writer left open, and signs that state.
    pub(super) fn open(
        folder: &Path,
        options: Options,
        own_chain: SessionId,
        receiver: Receiver<Message>,
    ) -> Result<(Self, Arc<Shared>), RecordError> {
        let Claimed {
            folder,
            key,
            left,
            lock,
        } = claim(folder)?;
        let at = (options.clock)();
        let checkpoint_every = options.checkpoint_every;
        let version = options.version.clone();
        let Left { resumed, torn } = left;
        let found = resumed.as_ref().map(|resumed| Recovered {
            segment: resumed.segment,
            torn_bytes: resumed.torn,
            torn_digest: torn,
            damaged_lines: resumed.damaged,
            sessions: 0,
            calls: 0,
        });
        let mut header = Vec::new();
        let composer = Composer::begin(key, own_chain.clone(), at, resumed, &mut header)
            .map_err(compose_error)?;
        let mut writer = Writer::new(&folder, options, composer, header)?;
        let began = WriterBegan {
            version,
            pid: std::process::id(),
        };
        writer.record(&own_chain, Event::WriterBegan(began))?;
        if let Some(found) = found {
            end_left_over(&mut writer, &own_chain, found)?;
        }
        writer.checkpoint(false)?;
        let shared = Arc::new(Shared::default());
        let thread = Self {
            head: watch::Sender::new(writer.head),
            writer,
            own_chain,
            receiver,
            shared: Arc::clone(&shared),
            health: watch::Sender::new(Health::default()),
            checkpoint_every,
            _lock: lock,
        };
        Ok((thread, shared))
    }

    pub(super) fn watches(&self) -> (watch::Receiver<Health>, watch::Receiver<Option<Head>>) {
        (self.health.subscribe(), self.head.subscribe())
    }

    pub(super) fn run(mut self) {
        loop {
            match self.receiver.recv_timeout(self.patience()) {
                Ok(first) => {
                    if let Next::Close(reply) = self.group(first) {
                        let closed = self.close();
                        // The folder is free before anybody hears of it.
                        drop(self);
                        tell(Some(reply), closed);
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.tend();
        }
    }

    /// The thread looks round at least so often as anything may be due.
    fn patience(&self) -> Duration {
        let dues = [self.writer.sync_due_in(), self.writer.anchor_every()];
        dues.into_iter()
            .flatten()
            .fold(self.checkpoint_every, Duration::min)
    }

    /// Everything that waits now is written together, with one sync.
    fn group(&mut self, first: Message) -> Next {
        let mut bytes = 0;
        let mut next = Some(first);
        let mut signers = Vec::new();
        let mut closing = None;
        for _ in 0..GROUP_MESSAGES {
            let Some(message) = next else { break };
            match message {
                Message::Append(batch) => {
                    bytes += weight(&batch.items);
                    self.writer.append(batch);
                }
                Message::EndSession {
                    session,
                    at,
                    reason,
                    reply,
                } => {
                    self.end_session(session, at, reason, reply);
                }
                Message::Anchor(anchor) => self.writer.anchor_to(anchor),
                Message::Checkpoint(reply) => signers.push(reply),
                Message::Close(reply) => closing = Some(reply),
            }
            let full = bytes >= GROUP_BYTES || closing.is_some();
            next = if full {
                None
            } else {
                self.receiver.try_recv().ok()
            };
        }
        self.take_dropped();
        self.finish_group(signers);
        self.shared.queued.fetch_sub(bytes, Ordering::AcqRel);
        closing.map_or(Next::GoOn, Next::Close)
    }

    fn finish_group(&mut self, signers: Vec<oneshot::Sender<Result<Head, RecordError>>>) {
        if signers.is_empty() {
            // Whoever waits in the group has been told, and so has the log.
            drop(self.writer.flush_for_whoever_waits());
        } else {
            let signed = self.writer.checkpoint(false);
            // Where the checkpoint found no room, the group must be written all the same.
            let flushed = self.writer.flush();
            let head = self.writer.head.ok_or(RecordError::Closed);
            for reply in signers {
                let told = signed
                    .clone()
                    .and(flushed.clone())
                    .and_then(|()| head.clone());
                tell(Some(reply), told);
            }
        }
        self.report();
    }

    fn end_session(
        &mut self,
        session: SessionId,
        at: UnixMillis,
        reason: SessionEnd,
        reply: oneshot::Sender<Stored>,
    ) {
        match self.writer.end_calls(&session) {
            Ok(_) => {
                let event = Event::SessionEnded(SessionEnded { reason });
                let item = Item {
                    at,
                    event,
                    payloads: Vec::new(),
                };
                self.writer.append(Batch {
                    session,
                    items: vec![item],
                    reply: Some(reply),
                });
            }
            Err(error) => tell(Some(reply), Err(error)),
        }
    }

    fn take_dropped(&mut self) {
        for (session, (count, since)) in self.shared.take_dropped() {
            self.writer
                .lose(&session, since, GapCause::QueueFull, count);
        }
    }

    /// What is due by time or size.
    fn tend(&mut self) {
        self.writer.sync_if_due();
        if self.writer.checkpoint_due()
            && let Err(error) = self.writer.checkpoint(false)
        {
            tracing::warn!(%error, "no checkpoint could be signed; it is tried again");
        }
        self.writer.anchor_if_due();
        self.writer.rotate_if_due();
        self.report();
    }

    fn report(&mut self) {
        let now = Health {
            trouble: self.writer.trouble(),
            lost: self.writer.lost_total,
        };
        self.health.send_if_modified(|health| {
            let changed = *health != now;
            *health = now;
            changed
        });
        let head = self.writer.head;
        self.head.send_if_modified(|last| {
            let changed = *last != head;
            *last = head;
            changed
        });
    }

    fn close(&mut self) -> Result<Head, RecordError> {
        for session in self.writer.composer.chains().sessions() {
            if session != self.own_chain {
                self.writer.end_calls(&session)?;
                let event = SessionEnded {
                    reason: SessionEnd::Shutdown,
                };
                self.writer.record(&session, Event::SessionEnded(event))?;
            }
        }
        let ended = WriterEnded {
            events: self.writer.written_total + 1,
            lost: self.writer.lost_total,
        };
        self.writer
            .record(&self.own_chain, Event::WriterEnded(ended))?;
        self.writer.checkpoint(true)?;
        self.writer.finish()?;
        self.report();
        self.writer.head.ok_or(RecordError::Closed)
    }
}

/// Ends the chains that a former writer left open (law 30), its own included.
fn end_left_over(
    writer: &mut Writer,
    own_chain: &SessionId,
    mut found: Recovered,
) -> Result<(), RecordError> {
    for session in writer.composer.chains().sessions() {
        if session != *own_chain {
            found.sessions += 1;
            found.calls += writer.end_calls(&session)?;
            let event = SessionEnded {
                reason: SessionEnd::Restart,
            };
            writer.record(&session, Event::SessionEnded(event))?;
        }
    }
    let clean = found.sessions == 0 && found.torn_bytes == 0 && found.damaged_lines == 0;
    if !clean {
        tracing::warn!(
            segment = found.segment,
            torn = found.torn_bytes,
            damaged = found.damaged_lines,
            sessions = found.sessions,
            calls = found.calls,
            "the last writer did not end in good order"
        );
        writer.record(own_chain, Event::Recovered(found))?;
    }
    Ok(())
}
