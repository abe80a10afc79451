//! The HTTP+SSE transport of 2024-11-05: one event stream per client that carries everything, and posts beside it.
//!
//! A posted request is answered 202 at once; what comes of it, denials included, goes out on the stream. The stream belongs to
//! the principal that opened it, and to anybody else its id does not exist.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use sallyport_policy::json::Document;
use sallyport_policy::mcp::era::{self, HttpVersion, Outside};
use sallyport_policy::mcp::headers;
use sallyport_policy::mcp::message::{Body, Message};
use sallyport_policy::mcp::refusal::{Refusal as Malformed, refusal};
use sallyport_policy::principal::CallerKey;
use sallyport_policy::sse::{Event, Item};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::context::Context;
use super::post::{begun_too_late, malformed, read, refuse};
use super::{Admitted, random_id, reply};
use crate::answer::pump;
use crate::body::ReplyBody;
use crate::gateway::Gateway;
use crate::guard;
use crate::identity::Verified;
use crate::metrics::Transport;
use crate::upstream::Reply;

/// Most open streams of this transport.
const MOST: usize = 16_384;
/// Messages that may wait for a slow client.
const QUEUE: usize = 64;

/// How long a notification may keep its client from sending more.
const IN_ORDER: Duration = Duration::from_secs(5);

/// The open streams by session id.
#[derive(Debug, Default)]
pub struct Pipes(Mutex<HashMap<String, Pipe>>);

#[derive(Clone, Debug)]
struct Pipe {
    caller: CallerKey,
    outlet: mpsc::Sender<Item>,
    /// Messages whose answers will go out on the stream.
    under_way: TaskTracker,
}

impl Pipes {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pipe>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, session: &str, caller: &CallerKey) -> Option<Pipe> {
        self.lock()
            .get(session)
            .filter(|pipe| pipe.caller == *caller)
            .cloned()
    }
}

/// Opens the stream; its first event names the address for posts.
pub(super) fn open(admitted: &Admitted) -> Response<ReplyBody> {
    let Some(id) = random_id() else {
        return reply::status(StatusCode::SERVICE_UNAVAILABLE);
    };
    let (outlet, items) = mpsc::channel(QUEUE);
    let under_way = TaskTracker::new();
    let gateway = Arc::clone(&admitted.gateway);
    {
        let mut pipes = gateway.pipes.lock();
        if pipes.len() >= MOST {
            return reply::busy();
        }
        let caller = admitted.verified.principal().key();
        pipes.insert(
            id.clone(),
            Pipe {
                caller,
                outlet: outlet.clone(),
                under_way: under_way.clone(),
            },
        );
    }
    let address = format!("{}?sessionId={id}", gateway.paths.messages);
    let endpoint = Event {
        event: Some("endpoint".into()),
        data: Some(Bytes::from(address)),
        ..Event::default()
    };
    if outlet.try_send(Item::Event(endpoint)).is_err() {
        return reply::status(StatusCode::SERVICE_UNAVAILABLE);
    }
    let verified = Arc::clone(&admitted.verified);
    let over = CancellationToken::new();
    let ended = over.clone().cancelled_owned();
    tokio::spawn(async move {
        let all_told = tokio::select! {
            () = keep(&gateway, &id, verified, &outlet) => false,
            () = told_all(&gateway, &under_way) => true,
        };
        if !all_told {
            // Calls that are still followed hold the other end too, and would keep the stream open.
            over.cancel();
        }
        gateway.pipes.lock().remove(&id);
        gateway.end_session(&id).await;
    });
    reply::events_until(items, ended)
}

/// Shows now and then that the stream lives; returns when the client is gone, or is no longer let in (law 11).
async fn keep(
    gateway: &Gateway,
    id: &str,
    mut verified: Arc<Verified>,
    outlet: &mpsc::Sender<Item>,
) {
    let mut changes = gateway.changes.subscribe();
    let mut beat = tokio::time::interval(pump::KEEP_ALIVE);
    beat.reset();
    loop {
        tokio::select! {
            () = outlet.closed() => return,
            _ = beat.tick() => {
                // A client with so much to read needs no sign of life.
                if let Err(TrySendError::Closed(_)) = outlet.try_send(Item::Comment(Bytes::new())) {
                    return;
                }
            }
            () = expired(gateway, &verified) => {}
            changed = changes.changed() => if changed.is_err() {
                return;
            },
        }
        if let Some(session) = gateway.sessions.get(id) {
            verified = session.freshest();
        }
        if gateway.policy().verifier.still_valid(&verified).is_err() {
            return;
        }
    }
}

/// Returns when the guard is about to end and every call of the stream has its answer.
async fn told_all(gateway: &Gateway, under_way: &TaskTracker) {
    gateway.stop.cancelled().await;
    under_way.close();
    under_way.wait().await;
}

async fn expired(gateway: &Gateway, verified: &Verified) {
    match verified.principal().expires_at {
        Some(at) => tokio::time::sleep(gateway.now().until(at)).await,
        None => std::future::pending().await,
    }
}

/// Takes a message; its answer goes out on the stream.
pub(super) async fn post(admitted: Admitted, body: Incoming, session: &str) -> Response<ReplyBody> {
    let caller = admitted.verified.principal().key();
    let Some(Pipe {
        outlet, under_way, ..
    }) = admitted.gateway.pipes.of(session, &caller)
    else {
        return refuse(&admitted, malformed(&Malformed::Session, "unknown_session"));
    };
    let (document, share) = match read(&admitted, body).await {
        Ok(read) => read,
        Err(unread) => return refuse(&admitted, unread),
    };
    let context = match place(&admitted, &document, session, outlet.clone()) {
        Ok(context) => context,
        Err(unread) => return refuse(&admitted, *unread),
    };
    let answered = document.root().get("id").is_some();
    let (passed, done) = oneshot::channel::<()>();
    under_way.spawn(async move {
        let _share = share;
        let Ok(message) = Message::parse(&document) else {
            return;
        };
        let initialized = message.method() == Some("notifications/initialized");
        let answer = guard::pass(&context, &document, &message).await;
        guard::pour(answer, &outlet).await;
        drop(passed);
        if initialized {
            listen(context, outlet).await;
        }
    });
    if !answered {
        // What the client sends next must not overtake it: `initialized` changes what a list says.
        let passed = tokio::time::timeout(IN_ORDER, done).await;
        tracing::trace!(in_time = passed.is_ok(), "a notification was passed on");
    }
    reply::status(StatusCode::ACCEPTED)
}

/// What the server says unasked goes to the same stream.
async fn listen(context: Context, outlet: mpsc::Sender<Item>) {
    match guard::open_stream(&context).await {
        Ok(Reply::Events { events, .. }) => pump::run_session(context, events, outlet).await,
        Ok(_) => tracing::debug!("the server offers no stream"),
        Err(error) => tracing::debug!(%error, "the server's stream cannot be opened"),
    }
}

fn place(
    admitted: &Admitted,
    document: &Document,
    session: &str,
    outlet: mpsc::Sender<Item>,
) -> Result<Context, Box<super::post::Unread>> {
    let body = Body::parse(document).map_err(|error| unread(&Malformed::Message(&error)))?;
    if let Some(unread) = begun_too_late(admitted, &body) {
        return Err(Box::new(unread));
    }
    let gateway = &admitted.gateway;
    let open = gateway
        .sessions
        .find(session, &admitted.verified, gateway.now());
    let version = admitted
        .parts
        .headers
        .get(headers::VERSION)
        .and_then(|value| value.to_str().ok());
    let outside = Outside {
        http: Some(HttpVersion(version)),
        session: open.as_ref().map(|open| open.revision),
    };
    let id = body.messages().first().and_then(Message::id);
    let classified = era::classify(&body, outside)
        .map_err(|error| unread(&Malformed::Era { error: &error, id }))?;
    let is_one = matches!(body, Body::One(_));
    if classified.revision.is_modern() || !is_one {
        return Err(unread(&Malformed::NotAcceptable));
    }
    if !classified.opens_session && open.is_none() {
        return Err(unread(&Malformed::NoSession));
    }
    Ok(Context {
        gateway: Arc::clone(gateway),
        policy: Arc::clone(&admitted.policy),
        verified: Arc::clone(&admitted.verified),
        source: admitted.source,
        resource: admitted.resource.clone(),
        headers: Arc::new(admitted.parts.headers.clone()),
        revision: classified.revision,
        session: open.filter(|_| !classified.opens_session),
        transport: Transport::Sse,
        accepts_events: true,
        accepts_json: true,
        may_wait: true,
        minted: Some(session.to_owned()),
        outlet: Some(outlet),
    })
}

fn unread(what: &Malformed<'_>) -> Box<super::post::Unread> {
    Box::new(super::post::Unread::Reply(
        refusal(what),
        "malformed_message",
    ))
}
