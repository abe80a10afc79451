//! The admin listener: `/livez`, `/readyz`, `/metrics`. A listener of its own, so that no caller of MCP reaches it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::body::ReplyBody;
use crate::metrics::Metrics;

/// What still keeps the process from being ready, by name.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Vec<&'static str>>>);

/// While this lives, the process is not ready.
#[must_use = "readiness is blocked until this is dropped"]
#[derive(Debug)]
pub struct BlockReady {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Holds readiness back until the returned guard is dropped.
    pub fn block(&self, name: &'static str) -> BlockReady {
        self.lock().push(name);
        BlockReady {
            name,
            readiness: self.clone(),
        }
    }

    /// What is missing; empty when ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<&'static str>> {
        // A list of names stays usable whatever panicked beside it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BlockReady {
    fn drop(&mut self) {
        let mut names = self.readiness.lock();
        if let Some(at) = names.iter().position(|name| *name == self.name) {
            names.remove(at);
        }
    }
}

/// Answers one request to the admin listener.
pub fn answer(
    metrics: &Metrics,
    readiness: &Readiness,
    _peer: SocketAddr,
    request: &Request<Incoming>,
) -> Response<ReplyBody> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET is served here\n".into(),
        );
    }
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "ok\n".into()),
        "/readyz" => ready(readiness),
        "/metrics" => {
            let mut response = text(StatusCode::OK, metrics.exposition());
            let kind = HeaderValue::from_static(
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            );
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "served here: /livez /readyz /metrics\n".into(),
        ),
    }
}

fn ready(readiness: &Readiness) -> Response<ReplyBody> {
    let missing = readiness.missing();
    if missing.is_empty() {
        return text(StatusCode::OK, "ready\n".into());
    }
    text(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("waiting for: {}\n", missing.join(", ")),
    )
}

fn text(status: StatusCode, body: String) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_names_what_is_missing_until_its_guard_is_dropped() {
        let readiness = Readiness::default();
        let policy = readiness.block("policy");
        let recorder = readiness.block("recorder");
        assert_eq!(readiness.missing(), ["policy", "recorder"]);
        drop(policy);
        assert_eq!(readiness.missing(), ["recorder"]);
        drop(recorder);
        assert!(readiness.missing().is_empty());
    }
}
