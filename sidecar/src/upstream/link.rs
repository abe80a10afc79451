//! Servers that speak over one duplex pipe (stdio, HTTP+SSE), made to look like exchanges.
//!
//! Each session, or in the newest revision each caller, has a pipe of its own, so no two callers ever share one
//! (law 17). On a pipe, ids, progress tokens and subscription ids are ours: clients choose the same ones freely.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use sallyport_policy::decide::Permit;
use sallyport_policy::json::{Document, Limits, Splice};
use sallyport_policy::mcp::answer;
use sallyport_policy::mcp::era::META_SUBSCRIPTION;
use sallyport_policy::mcp::message::{Id, Message};
use sallyport_policy::sse::{Event, Item};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::sse::{SseServer, connect};
use super::stdio::{Pipe, StdioCommand, start};
use super::{Expects, Lane, Outbound, Reply, UpstreamError};

/// Messages that may wait for a slow client before the pipe waits too.
const QUEUE: usize = 64;
/// Unasked messages kept for a client that has no stream open at the moment.
const BACKLOG: usize = 64;
/// A server that ends sooner than this after its start counts as failing.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// Pause after the second failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two starts of a failing server.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause that a caller waits for; beyond it, it is told.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How long a message that is no answer may wait for a client that does not read.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a pipe comes to be.
#[derive(Clone, Debug)]
pub enum Dial {
    Stdio(Box<StdioCommand>),
    Sse(Box<SseServer>),
}

/// A server with a pipe for each lane.
#[derive(Debug)]
pub struct LinkedServer {
    dial: Dial,
    /// Most pipes at once, `limits.children`.
    limit: usize,
    lanes: Mutex<HashMap<Lane, Arc<Slot>>>,
    back_off: Arc<Mutex<BackOff>>,
}

/// The place of one lane's pipe. Its lock is held while the pipe opens, so that a slow start delays nobody else.
#[derive(Debug, Default)]
struct Slot(tokio::sync::Mutex<Option<Arc<Link>>>);

/// How starts are slowed down while servers end right after theirs.
#[derive(Debug, Default)]
struct BackOff {
    failures: u32,
    not_before: Option<Instant>,
}

/// One pipe and who waits on it.
#[derive(Debug)]
struct Link {
    outgoing: mpsc::Sender<Bytes>,
    gone: CancellationToken,
    stop: CancellationToken,
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

/// What the client calls its exchange.
#[derive(Clone, Debug)]
struct Names {
    id: Id,
    progress: Option<Id>,
}

impl LinkedServer {
    #[must_use]
    pub fn new(dial: Dial, limit: usize) -> Self {
        Self {
            dial,
            limit,
            lanes: Mutex::default(),
            back_off: Arc::default(),
        }
    }

    pub(super) async fn send(
        &self,
        _permit: Permit,
        outbound: Outbound,
    ) -> Result<Reply, UpstreamError> {
        let document = Document::parse(outbound.body, Limits::REQUEST)
            .map_err(|error| UpstreamError::BrokeOff(error.to_string()))?;
        let link = self.link(&outbound.lane, opens(&document)).await?;
        match outbound.expects {
            Expects::Answer { id } => link.ask(&document, id).await,
            Expects::Nothing => {
                link.tell(&document).await?;
                Ok(Reply::Accepted)
            }
        }
    }

    pub(super) async fn listen(
        &self,
        _permit: Permit,
        lane: &Lane,
    ) -> Result<Reply, UpstreamError> {
        let link = self.link(lane, false).await?;
        Ok(Reply::Events {
            session: None,
            events: link.unasked(),
        })
    }

    pub(super) async fn end(&self, _permit: Permit, lane: &Lane) -> Result<Reply, UpstreamError> {
        self.close(lane).await;
        Ok(Reply::Accepted)
    }

    /// Ends a lane's server, if there is one.
    pub async fn close(&self, lane: &Lane) {
        let slot = lock(&self.lanes).remove(lane);
        if let Some(slot) = slot
            && let Some(link) = slot.0.lock().await.take()
        {
            link.stop.cancel();
        }
    }

    /// Ends servers of callers that nobody has used for `idle`; sessions are ended by whoever keeps them.
    pub async fn sweep(&self, idle: Duration) {
        lock(&self.lanes).retain(|lane, slot| {
            // One that opens at this moment is in use.
            let Ok(link) = slot.0.try_lock() else {
                return true;
            };
            let Some(link) = link.as_ref() else {
                return Arc::strong_count(slot) > 1;
            };
            let unused = matches!(lane, Lane::Caller(_)) && link.idle_for() > idle;
            if unused {
                link.stop.cancel();
            }
            !unused && !link.gone.is_cancelled()
        });
    }

    /// Ends every server and waits until they are gone, at most `limit`.
    pub async fn shut_down(&self, limit: Duration) {
        let slots: Vec<_> = lock(&self.lanes).drain().map(|(_, slot)| slot).collect();
        let all = async {
            let mut links = Vec::new();
            for slot in slots {
                links.extend(slot.0.lock().await.take());
            }
            for link in &links {
                link.stop.cancel();
            }
            for link in &links {
                link.gone.cancelled().await;
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!("a server process did not end in time");
        }
    }

    async fn link(&self, lane: &Lane, opens: bool) -> Result<Arc<Link>, UpstreamError> {
        let may_open = match lane {
            Lane::Session(_) => opens,
            Lane::Caller(_) => true,
        };
        let slot = self.slot(lane, may_open)?;
        let mut place = slot.0.lock().await;
        if let Some(link) = place.as_ref().filter(|link| !link.gone.is_cancelled()) {
            return Ok(Arc::clone(link));
        }
        if !may_open {
            // A session's server that died takes the session's state with it; a new one must be opened.
            return Err(UpstreamError::SessionGone);
        }
        let link = self.open().await?;
        *place = Some(Arc::clone(&link));
        Ok(link)
    }

    /// The lane's place, counted against the limit from before its server starts.
    fn slot(&self, lane: &Lane, may_open: bool) -> Result<Arc<Slot>, UpstreamError> {
        let mut lanes = lock(&self.lanes);
        if let Some(slot) = lanes.get(lane) {
            return Ok(Arc::clone(slot));
        }
        if !may_open {
            return Err(UpstreamError::SessionGone);
        }
        lanes.retain(|_, slot| slot.is_in_use());
        if lanes.len() >= self.limit {
            return Err(UpstreamError::TooManyChildren(self.limit));
        }
        let slot = Arc::<Slot>::default();
        lanes.insert(lane.clone(), Arc::clone(&slot));
        Ok(slot)
    }

    async fn open(&self) -> Result<Arc<Link>, UpstreamError> {
        let pause = lock(&self.back_off).pause();
        if pause > LONGEST_WAIT {
            return Err(UpstreamError::Unreachable(format!(
                "it keeps ending right after its start; the next start is in {} s",
                pause.as_secs()
            )));
        }
        tokio::time::sleep(pause).await;
        let pipe = match &self.dial {
            Dial::Stdio(command) => {
                start(command).map_err(|error| UpstreamError::Unreachable(error.to_string()))
            }
            Dial::Sse(server) => connect(server).await,
        };
        let pipe = pipe.inspect_err(|_| lock(&self.back_off).failed())?;
        Ok(Link::over(pipe, Arc::clone(&self.back_off)))
    }
}

impl Slot {
    /// Whether a server runs here, or somebody is about to start one.
    fn is_in_use(self: &Arc<Self>) -> bool {
        match self.0.try_lock() {
            Ok(link) => match link.as_ref() {
                Some(link) => !link.gone.is_cancelled(),
                None => Arc::strong_count(self) > 1,
            },
            Err(_) => true,
        }
    }
}

impl BackOff {
    /// The first failure costs nothing, each further one doubles the pause.
    fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        let pause = match self.failures {
            0 | 1 => Duration::ZERO,
            more => FIRST_PAUSE.saturating_mul(1 << more.saturating_sub(2).min(16)),
        };
        self.not_before = Some(Instant::now() + pause.min(LONGEST_PAUSE));
    }

    /// How long the next start has to wait.
    fn pause(&self) -> Duration {
        self.not_before.map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(Instant::now())
        })
    }
}

fn opens(document: &Document) -> bool {
    let root = document.root();
    root.get("method")
        .and_then(|method| method.as_str())
        .is_some_and(|method| method == "initialize")
}

impl Link {
    fn over(pipe: Pipe, back_off: Arc<Mutex<BackOff>>) -> Arc<Self> {
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

    fn idle_for(&self) -> Duration {
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
    async fn ask(self: &Arc<Self>, document: &Document, id: Id) -> Result<Reply, UpstreamError> {
        let (between, mut deliveries) = mpsc::channel(QUEUE);
        let answer = between
            .clone()
            .try_reserve_owned()
            .map_err(|_| UpstreamError::BrokeOff("no room for its answer".into()))?;
        let token = progress_token(document);
        let number = {
            let mut state = lock(&self.state);
            let number = state.next;
            state.next = state.next.saturating_add(1);
            state.used = Instant::now();
            state.waiting.insert(
                number,
                Waiting {
                    names: Names {
                        id,
                        progress: token.clone(),
                    },
                    answer,
                    between,
                },
            );
            number
        };
        let exchange = Exchange {
            link: Arc::clone(self),
            number,
            answered: false,
        };
        let request = renumbered(document, number, token.is_some());
        self.write(request).await?;
        let mut exchange = Some(exchange);
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
        Ok(Reply::Events {
            session: None,
            events: events.boxed(),
        })
    }

    /// Sends a notification or a response.
    async fn tell(&self, document: &Document) -> Result<(), UpstreamError> {
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

    fn unasked(self: &Arc<Self>) -> super::Events {
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
                    Some(bytes) => self.route(bytes).await,
                    None => break,
                },
            }
        }
        // Only a short life that nobody here ended counts as a failure.
        if young && !self.stop.is_cancelled() {
            lock(&back_off).failed();
        }
        // Dropping every sender ends the exchanges' streams: each says that the server ended early.
        let mut state = lock(&self.state);
        state.waiting.clear();
        state.unasked = None;
    }

    async fn route(&self, bytes: Bytes) {
        let document = match Document::parse(bytes.clone(), Limits::RESPONSE) {
            Ok(document) => document,
            Err(error) => return self.refuse(&bytes, &error.to_string()).await,
        };
        let message = match Message::parse(&document) {
            Ok(message) => message,
            Err(error) => return self.refuse(&bytes, &error.to_string()).await,
        };
        match &message {
            Message::Response(response) => {
                let Some(number) = response.id.as_ref().and_then(number_of) else {
                    tracing::warn!("the server answered without an id; dropped");
                    return;
                };
                let Some(waiting) = lock(&self.state).waiting.remove(&number) else {
                    tracing::debug!(number, "an answer that nobody waits for; dropped");
                    return;
                };
                let answer = restored(&document, &waiting.names);
                waiting.answer.send(Ok(answer));
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

fn progress_token(document: &Document) -> Option<Id> {
    document
        .root()
        .get("params")?
        .get("_meta")?
        .get("progressToken")
        .and_then(Id::of)
}

/// The request under our id; our id is its progress token too, so both are unique on the pipe.
fn renumbered(document: &Document, number: i64, with_progress: bool) -> Bytes {
    let mut splice = Splice::new();
    let root = document.root();
    splice.set_member(root, "id", number.to_string());
    if with_progress && let Some(meta) = root.get("params").and_then(|params| params.get("_meta")) {
        splice.set_member(meta, "progressToken", number.to_string());
    }
    splice.apply(document)
}

/// The server's message with the client's own id, progress token and subscription id in it.
fn restored(document: &Document, names: &Names) -> Bytes {
    let mut splice = Splice::new();
    let root = document.root();
    if root.get("id").is_some() {
        splice.set_member(root, "id", names.id.to_json());
    }
    if let (Some(params), Some(progress)) = (root.get("params"), &names.progress)
        && params.get("progressToken").is_some()
    {
        splice.set_member(params, "progressToken", progress.to_json());
    }
    for holder in ["params", "result"] {
        if let Some(meta) = root.get(holder).and_then(|holder| holder.get("_meta"))
            && meta.get(META_SUBSCRIPTION).is_some()
        {
            splice.set_member(meta, META_SUBSCRIPTION, names.id.to_json());
        }
    }
    splice.apply(document)
}

fn number_of(id: &Id) -> Option<i64> {
    match id {
        Id::Integer(lexeme) => lexeme.parse().ok(),
        Id::Text(_) => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps of waiting exchanges stay usable whatever panicked beside them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
