//! HTTP responses, made in one place so that status codes keep the meaning that clients give them (trap 31).

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE,
    RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use sallyport_policy::decide::DenyReason;
use sallyport_policy::mcp::answer::{Reply, code, mark};
use sallyport_policy::sse::Item;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::context::Context;
use super::head::HeadError;
use crate::body::ReplyBody;
use crate::guard::Answer;
use crate::identity::{Challenge, ProtectedResource};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// What a browser client sends beyond the simple headers.
const ALLOWED: &str = "authorization, content-type, accept, mcp-protocol-version, mcp-session-id, last-event-id, mcp-method, mcp-name";

/// The HTTP form of the guard's answer.
pub(super) fn answer(answer: Answer, context: &Context) -> Response<ReplyBody> {
    match answer {
        Answer::Accepted => status(StatusCode::ACCEPTED),
        Answer::Reply(reply) => own(&reply),
        Answer::Challenge(found) => challenge(&found),
        Answer::Json {
            status,
            body,
            session,
        } => {
            let mut response = json(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body);
            name_session(
                &mut response,
                session.filter(|_| !context.revision.is_modern()),
            );
            response
        }
        Answer::Stream { session, items } => {
            events(items, session.filter(|_| !context.revision.is_modern()))
        }
    }
}

/// One of our own answers.
pub(super) fn own(reply: &Reply) -> Response<ReplyBody> {
    let status =
        StatusCode::from_u16(reply.http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, reply.body.clone());
    if let Some(seconds) = reply.retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

pub(super) fn json(status: StatusCode, body: Bytes) -> Response<ReplyBody> {
    let empty = body.is_empty();
    let mut response = Response::new(if empty {
        ReplyBody::Empty
    } else {
        ReplyBody::full(body)
    });
    *response.status_mut() = status;
    if !empty {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// A stream of server-sent events that nobody may buffer or change.
pub(super) fn events(items: mpsc::Receiver<Item>, session: Option<String>) -> Response<ReplyBody> {
    stream(ReceiverStream::new(items).boxed(), session)
}

/// The same, cut off where `over` says so, whoever could still send on it.
pub(super) fn events_until(
    items: mpsc::Receiver<Item>,
    over: impl Future<Output = ()> + Send + 'static,
) -> Response<ReplyBody> {
    stream(ReceiverStream::new(items).take_until(over).boxed(), None)
}

fn stream(items: BoxStream<'static, Item>, session: Option<String>) -> Response<ReplyBody> {
    let stream = items.map(|item| item.encode()).boxed();
    let mut response = Response::new(ReplyBody::Stream(stream));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    name_session(&mut response, session);
    response
}

pub(super) fn status(status: StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Empty);
    *response.status_mut() = status;
    response
}

/// A refusal by the head alone; no message was read, so no id is given back.
pub(super) fn head_error(error: &HeadError) -> Response<ReplyBody> {
    let message = serde_json::Value::from(error.to_string());
    let body = format!(r#"{{"jsonrpc":"2.0","error":{{"code":-32600,"message":{message}}}}}"#);
    json(error.status(), Bytes::from(body))
}

pub(super) fn challenge(challenge: &Challenge) -> Response<ReplyBody> {
    let mut response = status(challenge.status);
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, challenge.www_authenticate.clone());
    response
}

/// Nothing can be judged, whoever asks; no message was read, so no id is given back.
pub(super) fn unavailable(reason: DenyReason) -> Response<ReplyBody> {
    let body = serde_json::json!({
        "jsonrpc": "2.0",
        "error": {
            "code": code::DENIED,
            "message": reason.text(),
            "data": { mark::DENIED: { "reason": reason.code() } },
        },
    });
    let mut response = json(
        StatusCode::SERVICE_UNAVAILABLE,
        Bytes::from(body.to_string()),
    );
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// More bodies are held than `limits.memory` allows.
pub(super) fn busy() -> Response<ReplyBody> {
    let mut response = status(StatusCode::SERVICE_UNAVAILABLE);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// RFC 9728 metadata: open to anybody, cacheable, from any origin.
pub(super) fn metadata(resource: Option<&ProtectedResource>) -> Response<ReplyBody> {
    let Some(resource) = resource else {
        return status(StatusCode::NOT_FOUND);
    };
    let mut response = json(StatusCode::OK, resource.metadata());
    let headers = response.headers_mut();
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=300"),
    );
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// What a browser asks before it sends; the Origin was checked already.
pub(super) fn preflight() -> Response<ReplyBody> {
    let mut response = status(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, DELETE"),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(ALLOWED),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// An allowed origin may read the answer and the headers that the protocol needs.
pub(super) fn with_cors(
    mut response: Response<ReplyBody>,
    origin: Option<HeaderValue>,
) -> Response<ReplyBody> {
    let open = response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN);
    if let Some(origin) = origin.filter(|_| !open) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("mcp-session-id, www-authenticate"),
        );
    }
    response
}

fn name_session(response: &mut Response<ReplyBody>, session: Option<String>) {
    if let Some(value) = session.and_then(|session| HeaderValue::try_from(session).ok()) {
        response.headers_mut().insert(SESSION, value);
    }
}
