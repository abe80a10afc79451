//! From an HTTP request to a judged message, and from an [`Answer`] back to HTTP.
//!
//! The order is fixed: head, identity, body, strict JSON, message, era, session. Each step refuses by itself, with
//! its own code; none is skipped because a later one would notice.

pub mod context;
pub mod head;
pub mod pipe;
mod post;
mod reply;
pub mod session;
mod stream;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use sallyport_policy::decide::DenyReason;

use crate::body::ReplyBody;
use crate::gateway::{Gateway, InForce};
use crate::identity::{Challenge, ProtectedResource, TokenError, Verified};
use head::Route;

/// A request whose head and caller are known.
#[derive(Debug)]
struct Admitted {
    gateway: Arc<Gateway>,
    policy: Arc<InForce>,
    verified: Arc<Verified>,
    source: IpAddr,
    /// The URL of the gateway that the caller means.
    resource: Option<Arc<ProtectedResource>>,
    parts: Parts,
}

/// Answers one request to the gateway's listener.
pub async fn handle(
    gateway: Arc<Gateway>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<ReplyBody> {
    let policy = gateway.policy();
    let (parts, body) = request.into_parts();
    let origin = parts.headers.get(http::header::ORIGIN).cloned();
    let origin = origin.filter(|_| head::origin(&parts.headers, &policy.names).is_ok());
    // Where a proxy in front went by a Content-Length beside it, what follows the last chunk is no request of anybody.
    let one = parts.version == Version::HTTP_11;
    let last =
        one && (parts.headers.contains_key(TRANSFER_ENCODING) || gateway.stop.is_cancelled());
    let mut answer = reply::with_cors(route(gateway, policy, peer, parts, body).await, origin);
    if last {
        answer
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn route(
    gateway: Arc<Gateway>,
    policy: Arc<InForce>,
    peer: SocketAddr,
    parts: Parts,
    body: Incoming,
) -> Response<ReplyBody> {
    if let Some(reason) = nobody_to_ask(&policy) {
        gateway.metrics.refused(reason.code());
        tracing::info!(target: "sallyport::audit", code = reason.code(), %peer, "request refused");
        return reply::unavailable(reason);
    }
    let checked = head::check(&parts, &policy.names, &gateway.paths, &policy.resources);
    let route = match checked {
        Ok(route) => route,
        Err(error) => {
            gateway.metrics.refused(error.code());
            tracing::info!(target: "sallyport::audit", code = error.code(), %peer, %error, "request refused");
            return reply::head_error(&error);
        }
    };
    if parts.method == Method::OPTIONS {
        return reply::preflight();
    }
    let asked = policy
        .resources
        .asked(head::authority(&parts), parts.uri.path());
    let resource = asked.cloned();
    if route == Route::Metadata {
        return reply::metadata(resource.as_deref());
    }
    let source = source_of(&parts, peer, &policy);
    let verified = match policy.verifier.authenticate(&parts.headers).await {
        Ok(verified) => verified,
        Err(error) => return unauthorized(&gateway, resource.as_deref(), peer, &error),
    };
    let admitted = Admitted {
        gateway,
        policy,
        verified,
        source,
        resource,
        parts,
    };
    match (route, admitted.parts.method.clone()) {
        (Route::Mcp, Method::POST) => post::streamable(admitted, body).await,
        (Route::Mcp, Method::DELETE) => stream::end(admitted).await,
        (Route::Mcp, _) => stream::open(admitted).await,
        (Route::SseMessages { session }, _) => pipe::post(admitted, body, &session).await,
        (Route::SseStream, _) => pipe::open(&admitted),
        (Route::Metadata, _) => reply::status(StatusCode::NOT_FOUND),
    }
}

/// Without a policy nobody knows whose word about callers counts: sending them to log in would be a lie.
fn nobody_to_ask(policy: &InForce) -> Option<DenyReason> {
    policy
        .bundle
        .refusal()
        .filter(|_| policy.verifier.trusts_nobody())
}

fn unauthorized(
    gateway: &Gateway,
    resource: Option<&ProtectedResource>,
    peer: SocketAddr,
    error: &TokenError,
) -> Response<ReplyBody> {
    gateway.metrics.refused(error.code());
    tracing::info!(target: "sallyport::audit", code = error.code(), %peer, %error, "caller not accepted");
    let challenge = match resource {
        Some(resource) => resource.unauthorized(error),
        None => Challenge::without_resource(error),
    };
    reply::challenge(&challenge)
}

/// The peer's address, or what a trusted proxy says of it (law 12): the last address that no trusted proxy added.
fn source_of(parts: &Parts, peer: SocketAddr, policy: &InForce) -> IpAddr {
    let trusted = |address: &IpAddr| {
        policy
            .trusted_proxies
            .iter()
            .any(|net| net.contains(address))
    };
    let mut source = peer.ip().to_canonical();
    if !trusted(&source) {
        return source;
    }
    let said = parts
        .headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let chain: Vec<&str> = said
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    for hop in chain.iter().rev() {
        let Ok(address) = hop.parse::<IpAddr>() else {
            return source;
        };
        source = address.to_canonical();
        if !trusted(&source) {
            return source;
        }
    }
    source
}

/// An unguessable id: 32 hexadecimal digits from the system's generator.
pub(crate) fn random_id() -> Option<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}
