//! GET and DELETE on the MCP endpoint: a legacy session's stream, its resumption, and its end.

use std::sync::Arc;

use http::{Response, StatusCode};
use sallyport_policy::mcp::headers;
use sallyport_policy::mcp::refusal::Refusal as Malformed;
use sallyport_policy::mcp::revision::Revision;
use tokio::sync::mpsc;

use super::context::Context;
use super::post::{Unread, malformed, refuse};
use super::{Admitted, head, reply};
use crate::answer::pump;
use crate::body::ReplyBody;
use crate::guard;
use crate::metrics::Transport;
use crate::upstream::{Reply, UpstreamError};

/// Opens the stream of what answers no request, or resumes one by `Last-Event-ID`.
pub(super) async fn open(admitted: Admitted) -> Response<ReplyBody> {
    if !head::accepts_events(&admitted.parts.headers) {
        let unread = malformed(&Malformed::NotAcceptable, "not_acceptable");
        return refuse(&admitted, unread);
    }
    let context = match place(admitted) {
        Ok(context) => context,
        Err(response) => return *response,
    };
    match guard::open_stream(&context).await {
        Ok(Reply::Events { events, .. }) => {
            let (sender, items) = mpsc::channel(pump::QUEUE);
            tokio::spawn(pump::run_session(context, events, sender));
            reply::events(items, None)
        }
        Ok(Reply::Json { status, .. } | Reply::Refused { status, .. }) => gone_or(&context, status),
        Ok(Reply::Accepted) => reply::status(StatusCode::METHOD_NOT_ALLOWED),
        Err(UpstreamError::SessionGone) => gone_or(&context, StatusCode::NOT_FOUND),
        Err(error) => {
            tracing::warn!(%error, "a stream cannot be opened");
            reply::status(StatusCode::BAD_GATEWAY)
        }
    }
}

/// Ends a session on both sides.
pub(super) async fn end(admitted: Admitted) -> Response<ReplyBody> {
    let context = match place(admitted) {
        Ok(context) => context,
        Err(response) => return *response,
    };
    let Some(session) = context.session.clone() else {
        return reply::status(StatusCode::METHOD_NOT_ALLOWED);
    };
    let ended = guard::end_session(&context).await;
    let refused = match ended {
        Ok(Reply::Json { status, .. } | Reply::Refused { status, .. }) => {
            status == StatusCode::METHOD_NOT_ALLOWED
        }
        Ok(Reply::Accepted | Reply::Events { .. }) => false,
        Err(error) => {
            tracing::warn!(%error, "the server could not be told that a session ended");
            false
        }
    };
    if refused {
        // The server keeps the session, so it goes on here as well.
        return reply::status(StatusCode::METHOD_NOT_ALLOWED);
    }
    context.gateway.sessions.close(&session.id);
    reply::status(StatusCode::OK)
}

/// The session that the request names, by the rules of its revision.
fn place(admitted: Admitted) -> Result<Context, Box<Response<ReplyBody>>> {
    let header = |name: &str| {
        admitted
            .parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let gateway = &admitted.gateway;
    let named = header(headers::SESSION);
    let session = named.and_then(|id| gateway.sessions.find(id, &admitted.verified, gateway.now()));
    let stated = match header(headers::VERSION).map(Revision::parse) {
        Some(None) => {
            return Err(Box::new(refuse(
                &admitted,
                malformed(&Malformed::NoSession, "revision"),
            )));
        }
        Some(Some(revision)) => Some(revision),
        None => None,
    };
    let revision = session
        .as_ref()
        .map(|session| session.revision)
        .or(stated)
        .unwrap_or(Revision::UNSTATED);
    if revision.is_modern() {
        // The newest revision has neither streams without a request nor sessions.
        return Err(Box::new(reply::status(StatusCode::METHOD_NOT_ALLOWED)));
    }
    let unread: Option<Unread> = match (&session, named, header(headers::LAST_EVENT)) {
        (Some(_), _, _) => None,
        (None, Some(_), _) => Some(malformed(&Malformed::Session, "unknown_session")),
        // A stream of nobody's session is nobody's to resume.
        (None, None, Some(_)) => Some(malformed(&Malformed::NoSession, "no_session")),
        (None, None, None) if gateway.upstream.mints_sessions() => {
            Some(malformed(&Malformed::NoSession, "no_session"))
        }
        (None, None, None) => None,
    };
    if let Some(unread) = unread {
        return Err(Box::new(refuse(&admitted, unread)));
    }
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
        accepts_events: true,
        accepts_json: false,
        may_wait: true,
        minted: None,
        outlet: None,
    })
}

fn gone_or(context: &Context, status: StatusCode) -> Response<ReplyBody> {
    if status == StatusCode::NOT_FOUND
        && let Some(session) = &context.session
    {
        context.gateway.sessions.close(&session.id);
    }
    // What else the server says of itself means something else to a client that hears it from us (trap 31).
    match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => reply::status(status),
        _ => reply::status(StatusCode::BAD_GATEWAY),
    }
}
