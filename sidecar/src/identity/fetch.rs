//! The outbound HTTPS client for what issuers publish: bounded in size and time, never redirected.
//!
//! Its address always comes from a gateway's settings or from a document of an issuer named there, never from a
//! token. A redirect is an error: a document that moved must be configured, or the issuer could be borrowed.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::tls::Trust;

/// Fetches small JSON documents. Cheap to clone: the clones share connections.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    limits: FetchLimits,
    plain: PlainHttp,
}

/// How much a document may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// Largest body in bytes.
    pub bytes: usize,
    /// From the first packet to the last byte.
    pub time: Duration,
}

/// Whether addresses without TLS may be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    Refused,
    /// For development: `http://` to 127.0.0.0/8, `[::1]` and `localhost`.
    LoopbackOnly,
}

/// Why a document was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("`{0}` is not an https address")]
    Insecure(Uri),
    #[error("`{uri}` could not be reached: {source}")]
    Unreachable {
        uri: Uri,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("`{uri}` did not answer within {} s", limit.as_secs())]
    Timeout { uri: Uri, limit: Duration },
    #[error("`{0}` redirects elsewhere; configure the final address")]
    Redirect(Uri),
    #[error("`{uri}` answered with status {status}")]
    Status { uri: Uri, status: StatusCode },
    #[error("`{uri}` is larger than {limit} bytes")]
    TooLarge { uri: Uri, limit: usize },
}

impl FetchLimits {
    /// Key sets of the largest public issuers have a few dozen kilobytes and arrive within a second.
    pub const DEFAULT: Self = Self {
        bytes: 512 * 1024,
        time: Duration::from_secs(5),
    };
}

impl Fetcher {
    #[must_use]
    pub fn new(trust: &Trust, limits: FetchLimits, plain: PlainHttp) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(limits.time));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config((*trust.client_config()).clone())
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .pool_max_idle_per_host(1)
            .build(connector);
        Self {
            client,
            limits,
            plain,
        }
    }

    /// The body of a 200 answer.
    pub async fn get(&self, uri: &Uri) -> Result<Bytes, FetchError> {
        if !self.plain.allows(uri) {
            return Err(FetchError::Insecure(uri.clone()));
        }
        let timeout = || FetchError::Timeout {
            uri: uri.clone(),
            limit: self.limits.time,
        };
        tokio::time::timeout(self.limits.time, self.exchange(uri))
            .await
            .map_err(|_| timeout())?
    }

    /// Whether an address may be fetched at all; asked when settings are read, and again for each fetch.
    #[must_use]
    pub fn allows(&self, uri: &Uri) -> bool {
        self.plain.allows(uri)
    }

    async fn exchange(&self, uri: &Uri) -> Result<Bytes, FetchError> {
        let unreachable = |source| FetchError::Unreachable {
            uri: uri.clone(),
            source,
        };
        let request = Request::builder()
            .method(Method::GET)
            .uri(uri.clone())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, "sallyport")
            .body(Empty::new())
            .map_err(|error| unreachable(error.into()))?;
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| unreachable(innermost(&error)))?;
        judge(uri, answer.status())?;
        let body = Limited::new(answer.into_body(), self.limits.bytes);
        let whole = body.collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                FetchError::TooLarge {
                    uri: uri.clone(),
                    limit: self.limits.bytes,
                }
            } else {
                unreachable(error)
            }
        })?;
        Ok(whole.to_bytes())
    }
}

impl PlainHttp {
    fn allows(self, uri: &Uri) -> bool {
        match (uri.scheme_str(), self) {
            (Some("https"), _) => true,
            (Some("http"), Self::LoopbackOnly) => uri.host().is_some_and(is_loopback),
            (Some(_) | None, Self::Refused | Self::LoopbackOnly) => false,
        }
    }
}

fn judge(uri: &Uri, status: StatusCode) -> Result<(), FetchError> {
    if status == StatusCode::OK {
        return Ok(());
    }
    if status.is_redirection() {
        return Err(FetchError::Redirect(uri.clone()));
    }
    Err(FetchError::Status {
        uri: uri.clone(),
        status,
    })
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The outermost error of the client says "client error" only; people need the innermost.
fn innermost(error: &dyn std::error::Error) -> Box<dyn std::error::Error + Send + Sync> {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string().into()
}

#[cfg(test)]
mod tests;
