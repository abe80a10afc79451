//! Streams: a call's events until its answer, and a session's events without end.
//!
//! Back-pressure goes all the way: a slow client fills its small queue, and then the server is not read. Events keep
//! their ids, `retry` and emptiness, since clients resume by them (trap 33).

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use sallyport_policy::json::{Document, Limits};
use sallyport_policy::mcp::era::META_SUBSCRIPTION;
use sallyport_policy::mcp::message::{Body, Message};
use sallyport_policy::record::event::Outcome;
use sallyport_policy::sse::{Event, Item};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::{Flight, Relay, land};
use crate::guard::Answer;
use crate::inbound::context::Context;
use crate::upstream::{Events, UpstreamError};

/// Events that may wait for a slow client.
pub const QUEUE: usize = 16;
/// How often a quiet stream shows that it lives.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long the first event of a pipe may take before the client hears that there will be a stream.
const FIRST_EVENT: Duration = Duration::from_secs(10);
/// How long a call of a client that left is followed to its end (legacy: leaving does not cancel).
const FOLLOWED: Duration = Duration::from_secs(600);

/// Turns the events of a call into the client's answer: one body where nothing came before it, else a stream.
pub(super) async fn answer(flight: Flight, session: Option<String>, events: Events) -> Answer {
    let context = flight.context();
    let piped = context.gateway.upstream.mints_sessions();
    let single = flight.method.name == "initialize" || !context.accepts_events;
    if single {
        return collected(flight, session, events).await;
    }
    if !piped {
        return streamed(flight, session, events, None);
    }
    let mut events = events;
    let first = tokio::select! {
        biased;
        () = flight.revoked() => Ok(Some(Err(UpstreamError::Revoked))),
        first = timeout(FIRST_EVENT, events.next()) => first,
    };
    match first {
        Err(_) => streamed(flight, session, events, None),
        Ok(None) => land::lost(flight, &UpstreamError::BrokeOff("no answer".into())).await,
        Ok(Some(Err(error))) => land::lost(flight, &error).await,
        Ok(Some(Ok(first))) if flight.context().accepts_json && is_answer(&first) => {
            let Item::Event(event) = first else {
                return land::lost(flight, &UpstreamError::SessionGone).await;
            };
            land::json(flight, 200, event.data.unwrap_or_default(), session).await
        }
        Ok(Some(Ok(first))) => streamed(flight, session, events, Some(first)),
    }
}

/// Whether an event carries a response, judged by its shape alone; the landing judges the rest.
fn is_answer(item: &Item) -> bool {
    let Item::Event(Event {
        data: Some(data), ..
    }) = item
    else {
        return false;
    };
    let Ok(document) = Document::parse(data.clone(), Limits::RESPONSE) else {
        return false;
    };
    matches!(Message::parse(&document), Ok(Message::Response(_)))
}

/// For clients that take no stream, and for the handshake: the answer alone.
async fn collected(mut flight: Flight, session: Option<String>, mut events: Events) -> Answer {
    loop {
        let next = tokio::select! {
            biased;
            () = flight.revoked() => Some(Err(UpstreamError::Revoked)),
            next = timeout(FOLLOWED, events.next()) => match next {
                Ok(next) => next,
                Err(_) => Some(Err(UpstreamError::TimedOut)),
            },
        };
        let event = match next {
            None => return land::lost(flight, &UpstreamError::BrokeOff("no answer".into())).await,
            Some(Err(error)) => return land::lost(flight, &error).await,
            Some(Ok(Item::Comment(_))) => continue,
            Some(Ok(Item::Event(event))) => event,
        };
        let Some(data) = event.data.filter(|data| !data.is_empty()) else {
            continue;
        };
        let Ok(document) = Document::parse(data, Limits::RESPONSE) else {
            return land::lost(
                flight,
                &UpstreamError::BrokeOff("an event is not JSON".into()),
            )
            .await;
        };
        let document = match land::named(document, &flight) {
            Ok(document) => document,
            Err(why) => return land::lost(flight, &UpstreamError::BrokeOff(why)).await,
        };
        match Message::parse(&document) {
            Ok(Message::Response(response)) if response.id.as_ref() == Some(flight.id()) => {
                let landed = flight.land(&document, &response, 200, session).await;
                return Answer::Json {
                    status: landed.status,
                    body: landed.body,
                    session: landed.session,
                };
            }
            Ok(Message::Response(_)) => stray(),
            // Judged and recorded, though this client cannot hear it.
            Ok(message) => {
                drop(Relay::Unheard(&mut flight).pass(&document, &message).await);
                if flight.unrecorded {
                    let landed = flight.unrecordable().await;
                    return Answer::Json {
                        status: landed.status,
                        body: landed.body,
                        session: landed.session,
                    };
                }
            }
            Err(error) => {
                return land::lost(flight, &UpstreamError::BrokeOff(error.to_string())).await;
            }
        }
    }
}

fn streamed(
    flight: Flight,
    session: Option<String>,
    events: Events,
    first: Option<Item>,
) -> Answer {
    let (sender, items) = mpsc::channel(QUEUE);
    tokio::spawn(run(flight, events, first, sender));
    Answer::Stream { session, items }
}

/// Follows a call to its end. Public to the hold room, whose stream is open already.
pub async fn run(
    mut flight: Flight,
    mut events: Events,
    mut first: Option<Item>,
    mut out: mpsc::Sender<Item>,
) {
    let _open = OpenStream::new(flight.context().gateway.metrics.streams.clone());
    let mut changes = flight.context().gateway.changes.subscribe();
    let mut resumable = false;
    let give_up = tokio::time::sleep(FOLLOWED);
    tokio::pin!(give_up);
    loop {
        let next = match first.take() {
            Some(item) => Next::Said(Some(Ok(item))),
            None => tokio::select! {
                biased;
                () = &mut give_up, if out.is_closed() => return flight.left("abandoned").await,
                next = next(&flight, &mut events, &out, &mut changes) => next,
            },
        };
        match next {
            // Dropping the events tells the server: newest revision, leaving is cancelling.
            Next::ClientLeft => return flight.left("disconnected").await,
            Next::Stopping => return flight.listened("stopped", &out).await,
            Next::LookAgain => {
                let welcome = flight.look_again();
                if welcome {
                    announce_to(&flight, &out).await;
                } else if flight.leaving_cancels() {
                    return flight.listened("no_longer_welcome", &out).await;
                } else {
                    // The client's stream ends; the call is followed to its end, as if the client had left.
                    out = mpsc::channel(1).0;
                }
            }
            Next::Said(Some(Ok(Item::Comment(_)))) => emit(&out, alive()).await,
            Next::Said(Some(Ok(Item::Event(event)))) => {
                resumable |= event.id.is_some();
                match one(flight, event, &out).await {
                    Some(still) => flight = still,
                    None => return,
                }
            }
            Next::Said(Some(Err(error)))
                if !resumable || matches!(error, UpstreamError::Revoked) =>
            {
                let reply = flight.lost(&error).await;
                return emit(&out, Item::Event(Event::message(reply.body))).await;
            }
            Next::Said(Some(Err(_)) | None) => return ended_early(flight, resumable, &out).await,
        }
    }
}

/// What a call's stream has to look at next.
enum Next {
    Said(Option<Result<Item, UpstreamError>>),
    ClientLeft,
    /// The process stops, and this stream would never end by itself.
    Stopping,
    /// The token is over, or the policy is another one.
    LookAgain,
}

async fn next(
    flight: &Flight,
    events: &mut Events,
    out: &mpsc::Sender<Item>,
    changes: &mut watch::Receiver<u64>,
) -> Next {
    let context = flight.context();
    let heard = !out.is_closed();
    tokio::select! {
        biased;
        () = flight.revoked() => Next::Said(Some(Err(UpstreamError::Revoked))),
        () = out.closed(), if flight.leaving_cancels() => Next::ClientLeft,
        () = context.gateway.stop.cancelled(), if flight.is_listening() => Next::Stopping,
        () = context.expired(), if heard => Next::LookAgain,
        changed = changes.changed(), if heard => match changed {
            Ok(()) => Next::LookAgain,
            Err(_) => Next::Stopping,
        },
        next = timeout(KEEP_ALIVE, events.next()) => match next {
            Ok(next) => Next::Said(next),
            Err(_) => Next::Said(Some(Ok(alive()))),
        },
    }
}

/// The server closed the stream before the answer: a client that can will resume it (2025-11-25 polling).
async fn ended_early(flight: Flight, resumable: bool, out: &mpsc::Sender<Item>) {
    match flight.context().session.clone() {
        Some(session) if resumable => session.park(flight),
        Some(_) | None => {
            let reply = flight
                .lost(&UpstreamError::BrokeOff(
                    "the stream ended before the answer".into(),
                ))
                .await;
            emit(out, Item::Event(Event::message(reply.body))).await;
        }
    }
}

/// One event of a call's stream; gives the flight back unless it landed.
async fn one(mut flight: Flight, event: Event, out: &mpsc::Sender<Item>) -> Option<Flight> {
    let Some(data) = event.data.clone().filter(|data| !data.is_empty()) else {
        emit(out, Item::Event(event)).await; // priming, `retry`, `id` alone
        return Some(flight);
    };
    if event.name() != "message" {
        tracing::info!(target: "sallyport::audit", code = "unknown_event", "an event of the server was dropped");
        return Some(flight);
    }
    let Ok(document) = Document::parse(data, Limits::RESPONSE) else {
        return broken(flight, "an event is not acceptable JSON", out).await;
    };
    let document = match land::named(document, &flight) {
        Ok(document) => document,
        Err(why) => return broken(flight, &why, out).await,
    };
    let body = match Body::parse(&document) {
        Ok(body) => body,
        Err(error) => return broken(flight, &error.to_string(), out).await,
    };
    match body {
        Body::One(Message::Response(response)) if response.id.as_ref() == Some(flight.id()) => {
            let landed = flight.land(&document, &response, 200, None).await;
            emit(
                out,
                Item::Event(Event {
                    data: Some(landed.body),
                    ..event
                }),
            )
            .await;
            None
        }
        Body::One(Message::Response(_)) => {
            stray();
            Some(flight)
        }
        Body::One(message) if out.is_closed() => {
            drop(Relay::Unheard(&mut flight).pass(&document, &message).await);
            recorded(flight, out).await
        }
        Body::One(message) => {
            flight.subscribed.hear(&message);
            if let Some(bytes) = Relay::Call(&mut flight).pass(&document, &message).await {
                emit(
                    out,
                    Item::Event(Event {
                        data: Some(bytes),
                        ..event
                    }),
                )
                .await;
            }
            recorded(flight, out).await
        }
        Body::Batch(_) => Box::pin(batch(flight, &document, event, out)).await,
    }
}

/// An array in one event (2025-03-26): taken apart, each element an event of its own.
async fn batch(
    mut flight: Flight,
    document: &Document,
    event: Event,
    out: &mpsc::Sender<Item>,
) -> Option<Flight> {
    for element in document.root().elements() {
        let data = Bytes::copy_from_slice(element.raw());
        flight = one(
            flight,
            Event {
                data: Some(data),
                ..event.clone()
            },
            out,
        )
        .await?;
    }
    Some(flight)
}

/// A call goes on as long as it can be recorded; whatever the server would say after that is not waited for.
async fn recorded(flight: Flight, out: &mpsc::Sender<Item>) -> Option<Flight> {
    if !flight.unrecorded {
        return Some(flight);
    }
    let landed = flight.unrecordable().await;
    emit(out, Item::Event(Event::message(landed.body))).await;
    None
}

async fn broken(flight: Flight, why: &str, out: &mpsc::Sender<Item>) -> Option<Flight> {
    let reply = flight.lost(&UpstreamError::BrokeOff(why.to_owned())).await;
    emit(out, Item::Event(Event::message(reply.body))).await;
    None
}

fn stray() {
    tracing::info!(target: "sallyport::audit", code = "stray_response", "an answer to no open request was dropped");
}

/// A comment keeps a connection open and says nothing; a server's own text there is neither judged nor recorded, so
/// it stays behind.
fn alive() -> Item {
    Item::Comment(Bytes::new())
}

/// A client that is gone hears nothing more; whoever follows the call notices by other means.
async fn emit(out: &mpsc::Sender<Item>, item: Item) {
    if out.send(item).await.is_err() {
        tracing::debug!("the client is gone");
    }
}

impl Flight {
    /// The client left, and that cancels.
    async fn left(mut self, why: &str) {
        self.finish_grant(sallyport_policy::approval::Outcome::Unknown)
            .await;
        self.trail.end(Outcome::Disconnected, Some(why), None).await;
    }

    /// Newest revision: whoever closes the stream cancels the call.
    fn leaving_cancels(&self) -> bool {
        self.context.revision.is_modern()
    }

    /// A subscription has no end of its own.
    fn is_listening(&self) -> bool {
        self.method.name == "subscriptions/listen"
    }

    /// Looks whether the caller would still be let in. A subscription is judged by the policy of the moment; a call
    /// that the server works on keeps the one that let it through (rule 6).
    fn look_again(&mut self) -> bool {
        let renewed = self.context.renewed();
        let welcome = renewed.is_welcome();
        if self.is_listening() {
            self.context = renewed;
        } else {
            self.context.verified = renewed.verified;
        }
        welcome
    }

    /// Ends a subscription as the protocol does: with the result of the request that began it.
    async fn listened(self, why: &str, out: &mpsc::Sender<Item>) {
        if !self.is_listening() {
            return self.left(why).await;
        }
        let id = self.id.to_json();
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"{META_SUBSCRIPTION}":{id}}}}}}}"#
        );
        // The end must not wait for a client that does not read.
        if out
            .try_send(Item::Event(Event::message(Bytes::from(body))))
            .is_err()
        {
            tracing::debug!("a subscriber did not hear that its stream ends");
        }
        self.left(why).await;
    }
}

/// The kinds of list whose changes a subscriber of the newest revision is told of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Subscribed {
    tools: bool,
    prompts: bool,
    resources: bool,
}

impl Subscribed {
    /// What counts is what the server acknowledged, not what was asked for.
    fn hear(&mut self, message: &Message<'_>) {
        if message.method() != Some("notifications/subscriptions/acknowledged") {
            return;
        }
        let filter = message
            .params()
            .and_then(|params| params.get("notifications"));
        let says = |key| {
            filter
                .and_then(|filter| filter.get(key))
                .is_some_and(|value| value.raw() == b"true")
        };
        self.tools = says("toolsListChanged");
        self.prompts = says("promptsListChanged");
        self.resources = says("resourcesListChanged");
    }
}

/// Tells a subscriber that its lists may look different now (law 28).
async fn announce_to(flight: &Flight, out: &mpsc::Sender<Item>) {
    let Subscribed {
        tools,
        prompts,
        resources,
    } = flight.subscribed;
    let id = flight.id.to_json();
    let surfaces = [
        (tools, "tools"),
        (prompts, "prompts"),
        (resources, "resources"),
    ];
    for (_, surface) in surfaces.iter().filter(|(subscribed, _)| *subscribed) {
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/{surface}/list_changed","params":{{"_meta":{{"{META_SUBSCRIPTION}":{id}}}}}}}"#
        );
        emit(out, Item::Event(Event::message(Bytes::from(body)))).await;
    }
}

/// Follows the stream of a session until it, its token or the client's patience ends.
pub async fn run_session(mut context: Context, mut events: Events, out: mpsc::Sender<Item>) {
    let _open = OpenStream::new(context.gateway.metrics.streams.clone());
    let mut changes = context.gateway.changes.subscribe();
    loop {
        let next = tokio::select! {
            biased;
            () = out.closed() => return,
            () = ended(&context) => return,
            () = context.gateway.stop.cancelled() => return,
            () = context.expired() => {
                context = context.renewed();
                if !context.is_welcome() {
                    return;
                }
                continue;
            }
            changed = changes.changed() => {
                context = context.renewed();
                if changed.is_err() || !context.is_welcome() {
                    return;
                }
                announce(&context, &out).await;
                continue;
            }
            next = timeout(KEEP_ALIVE, events.next()) => next,
        };
        match next {
            Err(_) | Ok(Some(Ok(Item::Comment(_)))) => emit(&out, alive()).await,
            Ok(Some(Ok(Item::Event(event)))) => session_event(&context, event, &out).await,
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "a session's stream ended");
                return;
            }
            Ok(None) => return,
        }
    }
}

async fn ended(context: &Context) {
    match &context.session {
        Some(session) => session.ended.cancelled().await,
        None => std::future::pending().await,
    }
}

/// Tells a legacy client that its lists may look different now, where the server said it would (law 28).
async fn announce(context: &Context, out: &mpsc::Sender<Item>) {
    let Some(session) = &context.session else {
        return;
    };
    let told = [
        (session.capabilities.tools_list_changed, "tools"),
        (session.capabilities.prompts_list_changed, "prompts"),
        (session.capabilities.resources_list_changed, "resources"),
    ];
    for (_, surface) in told.iter().filter(|(advertised, _)| *advertised) {
        let body =
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/{surface}/list_changed"}}"#);
        emit(out, Item::Event(Event::message(Bytes::from(body)))).await;
    }
}

async fn session_event(context: &Context, event: Event, out: &mpsc::Sender<Item>) {
    let Some(data) = event.data.clone().filter(|data| !data.is_empty()) else {
        return emit(out, Item::Event(event)).await;
    };
    let document = match Document::parse(data, Limits::RESPONSE) {
        Ok(document) if event.name() == "message" => document,
        Ok(_) | Err(_) => {
            tracing::info!(target: "sallyport::audit", code = "unknown_event", "an event of the server was dropped");
            return;
        }
    };
    let passed = match Message::parse(&document) {
        Ok(Message::Response(response)) => {
            // Only a call of this session whose stream ended early is answered here; the client resumes it.
            let parked = match (&context.session, &response.id) {
                (Some(session), Some(id)) => session.resume(id),
                (None, _) | (_, None) => None,
            };
            match parked {
                Some(flight) => Some(flight.land(&document, &response, 200, None).await.body),
                None => None,
            }
        }
        Ok(message) => Relay::Session(context).pass(&document, &message).await,
        Err(error) => {
            tracing::info!(target: "sallyport::audit", code = "malformed_event", %error, "an event of the server was dropped");
            None
        }
    };
    if let Some(bytes) = passed {
        emit(
            out,
            Item::Event(Event {
                data: Some(bytes),
                ..event
            }),
        )
        .await;
    }
}

/// Counts a stream while it is open.
struct OpenStream(prometheus_client::metrics::gauge::Gauge);

impl OpenStream {
    fn new(gauge: prometheus_client::metrics::gauge::Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}
