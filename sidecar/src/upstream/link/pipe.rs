//! One pipe to one server: who waits on it, and which of its messages belongs to whom.
//!
//! An answer never waits for a client that does not read: its place in the queue is kept from the start.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use sallyport_policy::json::{Document, Limits, Splice};
use sallyport_policy::mcp::answer;
use sallyport_policy::mcp::era::META_SUBSCRIPTION;
use sallyport_policy::mcp::message::{Id, Message};
use sallyport_policy::sse::{Event, Item};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::naming::{Names, number_of, progress_token, renumbered, restored};
use super::{BackOff, SHORT_LIFE, lock};
use crate::upstream::stdio::Pipe;
use crate::upstream::{Events, Reply, UpstreamError};

/// Messages that may wait for a slow client before the pipe waits too.
const QUEUE: usize = 64;
/// Unasked messages kept for a client that has no stream open at the moment.
const BACKLOG: usize = 64;
/// How long a message that is no answer may wait for a client that does not read.
const PATIENCE: Duration = Duration::from_secs(5);

/// One pipe and who waits on it.
#[derive(Debug)]
pub(super) struct Link {
    outgoing: mpsc::Sender<Bytes>,
    pub(super) gone: CancellationToken,
    pub(super) stop: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: i64,
    waiting: BTreeMap<i64, Waiting>,
    unasked: Option<mpsc::Sender<Delivery>>,
    backlog: VecDeque<Bytes>,
    used: Instant,
}

type Delivery = Result<Bytes, UpstreamError>;

#[derive(Debug)]
struct Waiting {
    names: Names,
    /// A place in the queue that is kept free, so that no answer ever waits for a client that does not read.
    answer: mpsc::OwnedPermit<Delivery>,
    between: mpsc::Sender<Delivery>,
}

impl Link {
    pub(super) fn over(pipe: Pipe, back_off: Arc<Mutex<BackOff>>) -> Arc<Self> {
        let state = State {
            next: 1,
            waiting: BTreeMap::new(),
            unasked: None,
            backlog: VecDeque::new(),
            used: Instant::now(),
        };
        let link = Arc::new(Self {
            outgoing: pipe.outgoing,
            gone: pipe.gone,
            stop: pipe.stop,
            state: Mutex::new(state),
        });
        tokio::spawn(Arc::clone(&link).pump(pipe.incoming, back_off));
        link
    }

    pub(super) fn idle_for(&self) -> Duration {
        let state = lock(&self.state);
        if state.waiting.is_empty() {
            state.used.elapsed()
        } else {
            Duration::ZERO
        }
    }

    async fn write(&self, bytes: Bytes) -> Result<(), UpstreamError> {
        tokio::select! {
            () = self.gone.cancelled() => Err(UpstreamError::SessionGone),
            sent = self.outgoing.send(bytes) => sent.map_err(|_| UpstreamError::SessionGone),
        }
    }

    /// Sends a request under an id of ours and gives the stream of what belongs to it.
    pub(super) async fn ask(
        self: &Arc<Self>,
        document: &Document,
        id: Id,
    ) -> Result<Reply, UpstreamError> {
        let (between, deliveries) = mpsc::channel(QUEUE);
        let answer = between
            .clone()
            .try_reserve_owned()
            .map_err(|_| UpstreamError::BrokeOff("no room for its answer".into()))?;
        let progress = progress_token(document);
        let with_progress = progress.is_some();
        let names = Names { id, progress };
        let number = self.wait_for(Waiting {
            names,
            answer,
            between,
        });
        let exchange = Exchange {
            link: Arc::clone(self),
            number,
            answered: false,
        };
        self.write(renumbered(document, number, with_progress))
            .await?;
        Ok(Reply::Events {
            session: None,
            events: exchange.events(deliveries),
        })
    }

    /// Gives the exchange a number of ours.
    fn wait_for(&self, waiting: Waiting) -> i64 {
        let mut state = lock(&self.state);
        let number = state.next;
        state.next = state.next.saturating_add(1);
        state.used = Instant::now();
        state.waiting.insert(number, waiting);
        number
    }

    /// Sends a notification or a response.
    pub(super) async fn tell(&self, document: &Document) -> Result<(), UpstreamError> {
        lock(&self.state).used = Instant::now();
        let cancels = document
            .root()
            .get("method")
            .is_some_and(|method| method.is_text("notifications/cancelled"));
        if !cancels {
            return self.write(document.bytes().clone()).await;
        }
        match self.cancellation(document) {
            Some(bytes) => self.write(bytes).await,
            // Over already. The client's id, sent on as it is, could be our number of another exchange.
            None => Ok(()),
        }
    }

    /// `notifications/cancelled` names the client's id; the server knows ours.
    fn cancellation(&self, document: &Document) -> Option<Bytes> {
        let named = document.root().get("params")?.get("requestId")?;
        let id = Id::of(named)?;
        let number = lock(&self.state)
            .waiting
            .iter()
            .find(|(_, waiting)| waiting.names.id == id)
            .map(|(n, _)| *n)?;
        let mut splice = Splice::new();
        splice.replace(named, number.to_string());
        Some(splice.apply(document))
    }

    pub(super) fn unasked(self: &Arc<Self>) -> Events {
        let (sender, deliveries) = mpsc::channel(QUEUE);
        {
            let mut state = lock(&self.state);
            while let Some(waiting) = state.backlog.pop_front() {
                // The queue is as long as the backlog, so this cannot fail for lack of room.
                if sender.try_send(Ok(waiting)).is_err() {
                    break;
                }
            }
            // A newer stream of the same session takes over; a message goes to exactly one stream.
            state.unasked = Some(sender);
        }
        tokio_stream::wrappers::ReceiverStream::new(deliveries)
            .map(|delivery| delivery.map(|bytes| Item::Event(Event::message(bytes))))
            .boxed()
    }

    fn is_answered(&self, number: i64) -> bool {
        !lock(&self.state).waiting.contains_key(&number)
    }

    async fn pump(
        self: Arc<Self>,
        mut incoming: mpsc::Receiver<Bytes>,
        back_off: Arc<Mutex<BackOff>>,
    ) {
        let grown = tokio::time::sleep(SHORT_LIFE);
        tokio::pin!(grown);
        let mut young = true;
        loop {
            tokio::select! {
                () = &mut grown, if young => {
                    young = false;
                    *lock(&back_off) = BackOff::default();
                }
                bytes = incoming.recv() => match bytes {
                    // One that has answered has started: what ends it later is no reason to keep others waiting.
                    Some(bytes) => if self.route(bytes).await && std::mem::take(&mut young) {
                        *lock(&back_off) = BackOff::default();
                    },
                    None => break,
                },
            }
        }
        // Only a short life without an answer that nobody here ended counts as a failure.
        if young && !self.stop.is_cancelled() {
            lock(&back_off).failed();
        }
        // Dropping every sender ends the exchanges' streams: each says that the server ended early.
        let mut state = lock(&self.state);
        state.waiting.clear();
        state.unasked = None;
    }

    /// True: it was an answer, and somebody waited for it.
    async fn route(&self, bytes: Bytes) -> bool {
        let document = match Document::parse(bytes.clone(), Limits::RESPONSE) {
            Ok(document) => document,
            Err(error) => {
                self.refuse(&bytes, &error.to_string()).await;
                return false;
            }
        };
        let message = match Message::parse(&document) {
            Ok(message) => message,
            Err(error) => {
                self.refuse(&bytes, &error.to_string()).await;
                return false;
            }
        };
        match &message {
            Message::Response(response) => {
                let Some(number) = response.id.as_ref().and_then(number_of) else {
                    tracing::warn!("the server answered without an id; dropped");
                    return false;
                };
                let Some(waiting) = lock(&self.state).waiting.remove(&number) else {
                    tracing::debug!(number, "an answer that nobody waits for; dropped");
                    return false;
                };
                let answer = restored(&document, &waiting.names);
                waiting.answer.send(Ok(answer));
                return true;
            }
            Message::Notification(_) => match self.owner_of(&document) {
                Some((names, between)) => {
                    deliver(&between, restored(&document, &names), "notification").await;
                }
                None => {
                    self.unowned(bytes, belongs_to_no_call(&message)).await;
                }
            },
            Message::Request(request) => {
                if !self.unowned(bytes, false).await {
                    let refusal = answer::to_server(&request.id, &request.method);
                    drop(self.outgoing.try_send(refusal));
                }
            }
        }
        false
    }

    /// What no exchange owns: the newest one in flight carries it, else the open stream, else it is kept. What is about
    /// no call goes to the stream first. False where it had to be dropped.
    async fn unowned(&self, bytes: Bytes, stream_first: bool) -> bool {
        let (newest, stream) = {
            let state = lock(&self.state);
            let newest = state.waiting.values().next_back();
            (
                newest.map(|waiting| waiting.between.clone()),
                state.unasked.clone().filter(|stream| !stream.is_closed()),
            )
        };
        let reader = if stream_first {
            stream.or(newest)
        } else {
            newest.or(stream)
        };
        if let Some(reader) = reader {
            return deliver(&reader, bytes, "message").await;
        }
        let mut state = lock(&self.state);
        if state.backlog.len() == BACKLOG {
            state.backlog.pop_front();
            tracing::warn!("a message of the server found no reader and was dropped");
        }
        state.backlog.push_back(bytes);
        true
    }

    /// The exchange that a notification belongs to, by progress token or subscription id.
    fn owner_of(&self, document: &Document) -> Option<(Names, mpsc::Sender<Delivery>)> {
        let params = document.root().get("params")?;
        let mark = params
            .get("progressToken")
            .or_else(|| {
                params
                    .get("_meta")
                    .and_then(|meta| meta.get(META_SUBSCRIPTION))
            })
            .and_then(Id::of)?;
        let number = number_of(&mark)?;
        let state = lock(&self.state);
        let waiting = state.waiting.get(&number)?;
        Some((waiting.names.clone(), waiting.between.clone()))
    }

    /// A line that is no message we would pass on. If it names one of our exchanges, that one ends with the reason.
    async fn refuse(&self, bytes: &Bytes, why: &str) {
        tracing::warn!(
            why,
            bytes = bytes.len(),
            "the server wrote what is no message; dropped"
        );
        let number = serde_json::from_slice::<serde_json::Value>(bytes)
            .ok()
            .and_then(|value| value.get("id").and_then(serde_json::Value::as_i64));
        let waiting = number.and_then(|number| lock(&self.state).waiting.remove(&number));
        if let Some(waiting) = waiting {
            let error = UpstreamError::BrokeOff(why.to_owned());
            waiting.answer.send(Err(error));
        }
    }
}

/// An exchange in flight. Leaving it before its answer tells the server to stop.
struct Exchange {
    link: Arc<Link>,
    number: i64,
    answered: bool,
}

impl Exchange {
    /// What belongs to the exchange, its answer last; an end before that is an error.
    fn events(self, mut deliveries: mpsc::Receiver<Delivery>) -> Events {
        let mut exchange = Some(self);
        let events = futures_util::stream::poll_fn(move |cx| {
            let Some(open) = exchange.as_mut() else {
                return std::task::Poll::Ready(None);
            };
            let next = std::task::ready!(deliveries.poll_recv(cx));
            let item = match next {
                Some(Ok(bytes)) => {
                    open.answered = open.link.is_answered(open.number);
                    Ok(Item::Event(Event::message(bytes)))
                }
                Some(Err(error)) => {
                    open.answered = true;
                    Err(error)
                }
                None => {
                    let was_answered = open.answered;
                    open.answered = true;
                    exchange = None;
                    if was_answered {
                        return std::task::Poll::Ready(None);
                    }
                    Err(UpstreamError::BrokeOff(
                        "the server ended before it answered".into(),
                    ))
                }
            };
            std::task::Poll::Ready(Some(item))
        });
        events.boxed()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let waited = lock(&self.link.state)
            .waiting
            .remove(&self.number)
            .is_some();
        if waited && !self.answered {
            let number = self.number;
            let cancel = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number},"reason":"the client is gone"}}}}"#
            );
            // A full queue means that the server does not read; it will be ended with its session.
            if self.link.outgoing.try_send(Bytes::from(cancel)).is_err() {
                tracing::debug!("could not tell the server of a cancellation");
            }
        }
    }
}

/// Hands on what is no answer. A pipe carries other exchanges too, so it does not wait long for one client.
async fn deliver(reader: &mpsc::Sender<Delivery>, bytes: Bytes, what: &str) -> bool {
    match reader.send_timeout(Ok(bytes), PATIENCE).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "a {what} of the server was dropped; its client does not read");
            false
        }
    }
}

/// News about the server itself, not about a call.
fn belongs_to_no_call(message: &Message<'_>) -> bool {
    message.method().is_some_and(|method| {
        method.ends_with("/list_changed") || method == "notifications/resources/updated"
    })
}
