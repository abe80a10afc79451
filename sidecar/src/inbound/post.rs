//! POST on the MCP endpoint: body, strict JSON, message, era, session, and then the guard.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use sallyport_policy::json::{Document, Limits};
use sallyport_policy::mcp::answer::Reply;
use sallyport_policy::mcp::era::{self, Classified, HttpVersion, Outside};
use sallyport_policy::mcp::headers;
use sallyport_policy::mcp::message::{Body, Message};
use sallyport_policy::mcp::refusal::{Refusal as Malformed, refusal};

use super::context::Context;
use super::{Admitted, random_id, reply};
use crate::body::{BodyError, Pace, ReplyBody, read_counted};
use crate::guard::{self, Answer};
use crate::memory::Share;
use crate::metrics::Transport;

/// Most messages of one batch: each is a request to the server, and all of them hold the client's one.
const MOST_OF_A_BATCH: usize = 256;
/// The slowest client: no modem is as slow.
const PACE: Pace = Pace {
    pause: Duration::from_secs(20),
    least: Some(1024),
};

/// What keeps a message from being judged; the client's fault, or our limits.
pub(super) enum Unread {
    Reply(Reply, &'static str),
    Busy,
    Slow,
    /// No more work is begun here.
    Stopping,
}

/// A POST of Streamable HTTP.
pub(super) async fn streamable(admitted: Admitted, body: Incoming) -> Response<ReplyBody> {
    let (document, _share) = match read(&admitted, body).await {
        Ok(read) => read,
        Err(unread) => return refuse(&admitted, unread),
    };
    let body = match Body::parse(&document) {
        Ok(body) => body,
        Err(error) => {
            return refuse(
                &admitted,
                malformed(&Malformed::Message(&error), "malformed_message"),
            );
        }
    };
    if let Some(unread) = begun_too_late(&admitted, &body) {
        return refuse(&admitted, unread);
    }
    let context = match place(admitted, &body) {
        Ok(context) => context,
        Err(refused) => {
            let (admitted, unread) = *refused;
            return refuse(&admitted, unread);
        }
    };
    match &body {
        Body::One(message) => {
            let answer = guard::pass(&context, &document, message).await;
            reply::answer(answer, &context)
        }
        Body::Batch(messages) => batch(&context, messages).await,
    }
}

/// A guard that is about to end takes only what calls that run wait for: answers and notifications of their clients.
pub(super) fn begun_too_late(admitted: &Admitted, body: &Body<'_>) -> Option<Unread> {
    let asks = body
        .messages()
        .iter()
        .any(|message| matches!(message, Message::Request(_)));
    (asks && admitted.gateway.stop.is_cancelled()).then_some(Unread::Stopping)
}

/// Reads and parses a body within the gateway's limits.
pub(super) async fn read(admitted: &Admitted, body: Incoming) -> Result<(Document, Share), Unread> {
    let limits = &admitted.policy.bundle.settings().limits;
    let limit = usize::try_from(limits.request_bytes).unwrap_or(usize::MAX);
    // A call may hold its body, the index over it and what is spliced from it (law 15).
    let declared = usize::try_from(body.size_hint().lower())
        .unwrap_or(usize::MAX)
        .min(limit);
    let most = usize::try_from(limits.memory).unwrap_or(usize::MAX);
    let mut share = admitted
        .gateway
        .memory
        .take(declared.max(4096).saturating_mul(3), most)
        .ok_or(Unread::Busy)?;
    // A body in chunks says nothing of its length, so its share grows with it.
    let room = |so_far: usize| share.grow(so_far.saturating_mul(3), most);
    let bytes = match read_counted(body, limit, PACE, room).await {
        Ok(bytes) => bytes,
        Err(BodyError::NoRoom) => return Err(Unread::Busy),
        Err(BodyError::TooLarge { limit }) => {
            return Err(malformed(
                &Malformed::TooLarge { limit },
                "request_too_large",
            ));
        }
        Err(BodyError::TooSlow | BodyError::Broken(_)) => return Err(Unread::Slow),
    };
    // An index of twice the body, and never less than small bodies may need, keeps a call within law 15.
    let profile = Limits::REQUEST.with_index_of(bytes.len().saturating_mul(2).max(1 << 20));
    let document = Document::parse(bytes, profile)
        .map_err(|error| malformed(&Malformed::Json(&error), "malformed_json"))?;
    Ok((document, share))
}

/// Finds out by which revision's rules, and in which session, the body is to be judged.
fn place(admitted: Admitted, body: &Body<'_>) -> Result<Context, Box<(Admitted, Unread)>> {
    let header = |name: &str| {
        admitted
            .parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let named = header(headers::SESSION);
    let gateway = &admitted.gateway;
    let verified = &admitted.verified;
    let session = named.and_then(|id| gateway.sessions.find(id, verified, gateway.now()));
    let outside = Outside {
        http: Some(HttpVersion(header(headers::VERSION))),
        session: session.as_ref().map(|session| session.revision),
    };
    let classified = match era::classify(body, outside) {
        Ok(classified) => classified,
        Err(error) => {
            let id = body.messages().first().and_then(Message::id);
            let unread = malformed(&Malformed::Era { error: &error, id }, "revision");
            return Err(Box::new((admitted, unread)));
        }
    };
    let Classified {
        revision,
        opens_session,
    } = classified;
    let stateful = !revision.is_modern() && !opens_session;
    if stateful && named.is_some() && session.is_none() {
        let unread = malformed(&Malformed::Session, "unknown_session");
        return Err(Box::new((admitted, unread)));
    }
    if stateful && session.is_none() && gateway.upstream.mints_sessions() {
        let unread = malformed(&Malformed::NoSession, "no_session");
        return Err(Box::new((admitted, unread)));
    }
    let minted = if opens_session && gateway.upstream.mints_sessions() {
        random_id()
    } else {
        None
    };
    let session = if stateful { session } else { None };
    let (accepts_events, accepts_json) = accepted(&admitted.parts.headers);
    Ok(Context {
        gateway: admitted.gateway,
        policy: admitted.policy,
        verified: admitted.verified,
        source: admitted.source,
        resource: admitted.resource,
        headers: Arc::new(admitted.parts.headers),
        revision,
        session,
        transport: Transport::Streamable,
        accepts_events,
        accepts_json,
        may_wait: true,
        minted,
        outlet: None,
    })
}

fn accepted(headers: &HeaderMap) -> (bool, bool) {
    let events = super::head::accepts_events(headers);
    (events, super::head::accepts_json(headers) || !events)
}

/// Each element is judged alone, and none is kept waiting (law 16).
async fn batch(context: &Context, messages: &[Message<'_>]) -> Response<ReplyBody> {
    if messages.len() > MOST_OF_A_BATCH {
        let reply = refusal(&Malformed::Batch {
            limit: MOST_OF_A_BATCH,
        });
        let code = "batch_too_long";
        context.gateway.metrics.refused(code);
        let caller = &context.principal().subject;
        tracing::info!(target: "sallyport::audit", code, %caller, source = %context.source, "request refused");
        return reply::own(&reply);
    }
    let mut context = context.clone();
    context.may_wait = false;
    context.accepts_events = false;
    let mut answers: Vec<Bytes> = Vec::new();
    for message in messages {
        // The element's own bytes are judged and forwarded, as if it had come alone.
        let bytes = Bytes::copy_from_slice(message.node().raw());
        let Ok(document) = Document::parse(bytes, Limits::REQUEST) else {
            continue;
        };
        let Ok(alone) = Message::parse(&document) else {
            continue;
        };
        match guard::pass(&context, &document, &alone).await {
            Answer::Json { body, .. } => answers.push(body),
            Answer::Reply(reply) if alone.id().is_some() => answers.push(reply.body),
            Answer::Challenge(challenge) => return reply::challenge(&challenge),
            Answer::Accepted | Answer::Reply(_) | Answer::Stream { .. } => {}
        }
    }
    if answers.is_empty() {
        return reply::status(StatusCode::ACCEPTED);
    }
    let mut whole = vec![b'['];
    whole.extend(answers.join(&b','));
    whole.push(b']');
    reply::json(StatusCode::OK, Bytes::from(whole))
}

pub(super) fn malformed(what: &Malformed<'_>, code: &'static str) -> Unread {
    Unread::Reply(refusal(what), code)
}

/// Answers a request that never became a message; counted and told by its code.
pub(super) fn refuse(admitted: &Admitted, unread: Unread) -> Response<ReplyBody> {
    let (response, code) = match unread {
        Unread::Reply(reply, code) => (reply::own(&reply), code),
        Unread::Busy => (reply::busy(), "memory"),
        Unread::Slow => (reply::status(StatusCode::REQUEST_TIMEOUT), "slow_body"),
        Unread::Stopping => (reply::busy(), "stopping"),
    };
    admitted.gateway.metrics.refused(code);
    let caller = &admitted.verified.principal().subject;
    tracing::info!(target: "sallyport::audit", code, %caller, source = %admitted.source, "request refused");
    response
}
