//! `/livez`, `/readyz` and `/metrics`, on a port of their own.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::certs::serving::Shown;
use crate::metrics::Metrics;
use crate::watch::Shared;

/// What readiness is made of.
#[derive(Clone, Debug)]
pub struct Health {
    pub shared: Shared,
    pub shown: Arc<Shown>,
    /// The API server believes the certificate.
    pub believed: Arc<AtomicBool>,
    pub metrics: Metrics,
    /// Asked to stop: no new requests should come here.
    pub stopping: Arc<AtomicBool>,
}

impl Health {
    /// What is missing; empty when ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let parts = [
            (self.shared.is_synced(), "caches"),
            (self.shown.is_there(), "certificate"),
            (
                self.believed.load(Ordering::Relaxed),
                "caBundle of the webhooks",
            ),
            (!self.stopping.load(Ordering::Relaxed), "it is stopping"),
        ];
        parts
            .into_iter()
            .filter(|(good, _)| !good)
            .map(|(_, name)| name)
            .collect()
    }

    #[must_use]
    pub fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n");
        }
        match request.uri().path() {
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" => {
                let missing = self.missing();
                if missing.is_empty() {
                    return text(StatusCode::OK, "ready\n");
                }
                text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("waiting for: {}\n", missing.join(", ")),
                )
            }
            "/metrics" => {
                let mut response = text(StatusCode::OK, self.metrics.exposition());
                let kind = HeaderValue::from_static(
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                );
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            _ => text(
                StatusCode::NOT_FOUND,
                "served here: /livez /readyz /metrics\n",
            ),
        }
    }
}

pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
