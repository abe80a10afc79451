//! A server behind Streamable HTTP: one POST a message, answers as JSON or as server-sent events.
//!
//! Redirects are not followed and nothing is retried. The answer must be unencoded, because what we cannot read
//! we cannot mask (trap 22).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sallyport_policy::decide::Permit;

use super::sse::events_of;
use super::{BODY_PAUSE, CONNECT, FIRST_BYTE, Limit, Outbound, Reply, UpstreamError};
use crate::body::{BodyError, Pace, read_counted};
use crate::credential::HeaderCredential;
use crate::memory::Memory;
use crate::tls::Trust;

/// The session header of the legacy revisions; names are case-insensitive.
pub const SESSION_HEADER: &str = "mcp-session-id";
/// Longest piece of a non-MCP answer that is kept for the log.
const REFUSAL_BYTES: usize = 4 * 1024;

/// The connection pool to one server.
#[derive(Clone)]
pub struct HttpServer {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    credentials: Arc<[HeaderCredential]>,
    response_limit: Limit,
    memory: Memory,
}

impl std::fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpServer")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

impl HttpServer {
    /// A pool for `uri`. `response_limit` counts a JSON body or one event, in bytes; what is held of answers counts in
    /// `memory`.
    #[must_use]
    pub fn new(
        uri: Uri,
        trust: &Trust,
        credentials: Arc<[HeaderCredential]>,
        response_limit: Limit,
        memory: Memory,
    ) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.enforce_http(false);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config((*trust.client_config()).clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            // A reused connection may be half closed; without this a POST would be sent twice.
            .retry_canceled_requests(false)
            .build(connector);
        Self {
            client,
            uri,
            credentials,
            response_limit,
            memory,
        }
    }

    /// The connection pool, for a transport of another kind to the same server.
    pub(crate) fn client(&self) -> &Client<HttpsConnector<HttpConnector>, Full<Bytes>> {
        &self.client
    }

    /// The URI that messages are posted to.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) async fn post(
        &self,
        _permit: Permit,
        outbound: Outbound,
    ) -> Result<Reply, UpstreamError> {
        let mut headers = outbound.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = self.exchange(Method::POST, headers, outbound.body).await?;
        self.reply(response).await
    }

    pub(super) async fn listen(
        &self,
        _permit: Permit,
        headers: HeaderMap,
    ) -> Result<Reply, UpstreamError> {
        let response = self.exchange(Method::GET, headers, Bytes::new()).await?;
        self.reply(response).await
    }

    pub(super) async fn end(
        &self,
        _permit: Permit,
        headers: HeaderMap,
    ) -> Result<Reply, UpstreamError> {
        let response = self.exchange(Method::DELETE, headers, Bytes::new()).await?;
        self.reply(response).await
    }

    async fn exchange(
        &self,
        method: Method,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, UpstreamError> {
        headers.remove(HOST);
        headers.remove(CONTENT_LENGTH);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for credential in self.credentials.iter() {
            headers.insert(credential.name().clone(), credential.value());
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        tokio::time::timeout(FIRST_BYTE, self.client.request(request))
            .await
            .map_err(|_| UpstreamError::TimedOut)?
            .map_err(|error| failure(&error))
    }

    async fn reply(&self, response: Response<Incoming>) -> Result<Reply, UpstreamError> {
        let status = response.status();
        let session = text_of(response.headers(), SESSION_HEADER);
        if let Some(encoding) = text_of(response.headers(), CONTENT_ENCODING.as_str())
            && !encoding.eq_ignore_ascii_case("identity")
        {
            return Err(UpstreamError::Encoded(encoding));
        }
        let content_type = text_of(response.headers(), CONTENT_TYPE.as_str()).unwrap_or_default();
        match essence(&content_type) {
            Essence::Json => {
                let body = self.whole(response, self.response_limit.now()).await?;
                if body.is_empty() && status.is_success() {
                    return Ok(Reply::Accepted);
                }
                Ok(Reply::Json {
                    status,
                    body,
                    session,
                })
            }
            Essence::Events if status.is_success() => {
                let limit = self.response_limit.now();
                let events = events_of(response.into_body(), limit, &self.memory).boxed();
                Ok(Reply::Events { session, events })
            }
            Essence::Events | Essence::Other => self.refusal(response, status, content_type).await,
        }
    }

    /// Anything that is neither JSON nor events: empty acknowledgements, plain-text errors, or a wrong type.
    async fn refusal(
        &self,
        response: Response<Incoming>,
        status: StatusCode,
        content_type: String,
    ) -> Result<Reply, UpstreamError> {
        if status.is_success() {
            let body = self.whole(response, REFUSAL_BYTES).await?;
            // Servers acknowledge with 202, 204 or an empty 200, some with a word of text (trap 27).
            return if body.is_empty() || status == StatusCode::ACCEPTED {
                Ok(Reply::Accepted)
            } else {
                Err(UpstreamError::ContentType(content_type))
            };
        }
        let text = match self.whole(response, REFUSAL_BYTES).await {
            Ok(body) => String::from_utf8_lossy(&body).into_owned(),
            Err(_) => String::new(),
        };
        Ok(Reply::Refused { status, text })
    }

    async fn whole(
        &self,
        response: Response<Incoming>,
        limit: usize,
    ) -> Result<Bytes, UpstreamError> {
        // Answers of calls that run already count and are not refused (law 15).
        let mut share = self.memory.hold(0);
        let room = |bytes| {
            share.set(bytes);
            true
        };
        // A server may work on its answer as long as it keeps talking.
        let pace = Pace {
            pause: BODY_PAUSE,
            least: None,
        };
        read_counted(response.into_body(), limit, pace, room)
            .await
            .map_err(|error| match error {
                BodyError::TooLarge { limit } => UpstreamError::TooLarge { limit },
                BodyError::TooSlow => UpstreamError::TimedOut,
                BodyError::Broken(what) => UpstreamError::BrokeOff(what),
                BodyError::NoRoom => UpstreamError::TooLarge { limit },
            })
    }
}

enum Essence {
    Json,
    Events,
    Other,
}

/// The media type without parameters, case-insensitively.
fn essence(content_type: &str) -> Essence {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") {
        Essence::Json
    } else if media.eq_ignore_ascii_case("text/event-stream") {
        Essence::Events
    } else {
        Essence::Other
    }
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

fn failure(error: &hyper_util::client::legacy::Error) -> UpstreamError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if error.is_connect() {
        UpstreamError::Unreachable(text)
    } else {
        UpstreamError::BrokeOff(text)
    }
}
