//! HTTP to the guarded server: one exchange a message, answers as JSON or as events, connections tried again.
//!
//! Only what never left this machine is sent again; a message that may have arrived is not.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sallyport_policy::mcp::headers;
use sallyport_policy::sse::Item;
use sallyport_sidecar::body::{BodyError, read_whole};
use sallyport_sidecar::memory::Memory;
use sallyport_sidecar::tls::Trust;
use sallyport_sidecar::upstream::UpstreamError;
use sallyport_sidecar::upstream::sse::events_of;
use zeroize::Zeroizing;

use crate::output::Failure;

use super::error::Trouble;

/// Largest body or event that is taken.
const LARGEST: usize = 64 << 20;
/// Longest piece of an answer that is no JSON and is told to the client.
const TOLD: usize = 4096;
const CONNECT: Duration = Duration::from_secs(5);
/// A held or long call is the client's to give up; this only ends what is dead.
const FIRST_BYTE: Duration = Duration::from_secs(3600);
/// Longest silence inside a JSON body.
const BODY_PAUSE: Duration = Duration::from_secs(60);
/// Pauses between attempts to connect, so that a guard that restarts is waited for.
const ATTEMPTS: [u64; 6] = [100, 200, 400, 800, 1600, 3200];

/// Where the access token comes from.
#[derive(Debug)]
pub(super) enum Token {
    File(PathBuf),
    Value(HeaderValue),
}

impl Token {
    pub(super) fn new(
        file: Option<PathBuf>,
        variable: Option<&str>,
    ) -> Result<Option<Self>, Failure> {
        if let Some(path) = file {
            let token = Self::File(path);
            token
                .header()
                .map_err(|error| Failure::input(error.to_string()))?;
            return Ok(Some(token));
        }
        let Some(variable) = variable else {
            return Ok(None);
        };
        let text = std::env::var(variable).map(Zeroizing::new);
        let text =
            text.map_err(|_| Failure::usage(format!("the variable `{variable}` is not set")))?;
        let value =
            bearer(&text).ok_or_else(|| Failure::usage(format!("`{variable}` holds no token")))?;
        Ok(Some(Self::Value(value)))
    }

    fn header(&self) -> Result<HeaderValue, Trouble> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::File(path) => {
                let wrong = |what: String| Trouble::Token(format!("`{}`: {what}", path.display()));
                let text =
                    std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
                let text = Zeroizing::new(text);
                bearer(&text).ok_or_else(|| wrong("the file holds no token".to_owned()))
            }
        }
    }
}

fn bearer(text: &str) -> Option<HeaderValue> {
    let token = text.trim();
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let value = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(&value).ok().filter(|_| is_token)?;
    value.set_sensitive(true);
    Some(value)
}

/// The connection pool.
pub(super) struct Wire {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    token: Option<Token>,
}

/// What the server said.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) session: Option<HeaderValue>,
    pub(super) content: Content,
    challenge: Option<String>,
    retry_after: Option<u64>,
}

pub(super) enum Content {
    Nothing,
    Json(Bytes),
    Events(BoxStream<'static, Result<Item, UpstreamError>>),
    Other(String),
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(url: Uri, trust: &Trust, token: Option<Token>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.enforce_http(false);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config((*trust.client_config()).clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(15))
            .build(connector);
        Self { client, url, token }
    }

    /// Posts one message.
    pub(super) async fn post(
        &self,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Trouble> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
        self.exchange(Method::POST, headers, body).await
    }

    /// Opens a stream, or opens one again.
    pub(super) async fn get(&self, mut headers: HeaderMap) -> Result<Answer, Trouble> {
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        self.exchange(Method::GET, headers, Bytes::new()).await
    }

    /// Ends a session.
    pub(super) async fn delete(&self, headers: HeaderMap) -> Result<Answer, Trouble> {
        let answer = self.once(Method::DELETE, &headers, &Bytes::new()).await;
        read(answer.map_err(|failed| failed.trouble)?).await
    }

    async fn exchange(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Trouble> {
        let mut pauses = ATTEMPTS.iter();
        loop {
            match self.once(method.clone(), &headers, &body).await {
                Ok(response) => return read(response).await,
                Err(failed) => match pauses.next() {
                    Some(pause) if failed.never_left => {
                        tokio::time::sleep(Duration::from_millis(*pause)).await;
                    }
                    Some(_) | None => return Err(failed.trouble),
                },
            }
        }
    }

    async fn once(
        &self,
        method: Method,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Response<Incoming>, Failed> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = headers.clone();
        request
            .headers_mut()
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(token) = &self.token {
            let header = token.header().map_err(|trouble| Failed {
                trouble,
                never_left: false,
            })?;
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        match tokio::time::timeout(FIRST_BYTE, self.client.request(request)).await {
            Err(_) => Err(Failed {
                trouble: Trouble::TimedOut,
                never_left: false,
            }),
            Ok(Err(error)) => Err(Failed::of(&error)),
            Ok(Ok(response)) => Ok(response),
        }
    }
}

struct Failed {
    trouble: Trouble,
    never_left: bool,
}

impl Failed {
    fn of(error: &hyper_util::client::legacy::Error) -> Self {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        if error.is_connect() {
            Self {
                trouble: Trouble::Unreachable(text),
                never_left: true,
            }
        } else {
            Self {
                trouble: Trouble::BrokeOff(text),
                never_left: false,
            }
        }
    }
}

async fn read(response: Response<Incoming>) -> Result<Answer, Trouble> {
    let status = response.status();
    let text = |name: http::HeaderName| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let media = text(CONTENT_TYPE).unwrap_or_default();
    let media = media
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let challenge = text(WWW_AUTHENTICATE).as_deref().and_then(description);
    let retry_after = text(RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
    let session = response.headers().get(headers::SESSION).cloned();
    let body = response.into_body();
    let content = match media.as_str() {
        "text/event-stream" if status.is_success() => {
            Content::Events(events_of(body, LARGEST, &Memory::default()).boxed())
        }
        "application/json" => match whole(body, LARGEST).await? {
            empty if empty.is_empty() => Content::Nothing,
            json => Content::Json(json),
        },
        _ => match whole(body, TOLD).await {
            Ok(empty) if empty.is_empty() => Content::Nothing,
            Ok(text) => Content::Other(printable(&text)),
            Err(_) => Content::Other(String::new()),
        },
    };
    Ok(Answer {
        status,
        session,
        content,
        challenge,
        retry_after,
    })
}

async fn whole(body: Incoming, limit: usize) -> Result<Bytes, Trouble> {
    read_whole(body, limit, BODY_PAUSE)
        .await
        .map_err(|error| match error {
            BodyError::TooSlow => Trouble::TimedOut,
            BodyError::TooLarge { .. } | BodyError::Broken(_) | BodyError::NoRoom => {
                Trouble::BrokeOff(error.to_string())
            }
        })
}

/// `error_description` of a challenge, else its `error` (RFC 6750 section 3).
fn description(challenge: &str) -> Option<String> {
    let value = |name: &str| {
        let (_, after) = challenge.split_once(&format!("{name}=\""))?;
        after.split('"').next().map(str::to_owned)
    };
    value("error_description").or_else(|| value(" error"))
}

fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.trim()
        .chars()
        .take(300)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

impl Answer {
    /// The answer as the reason why there is none.
    pub(super) fn into_trouble(self) -> Trouble {
        let text = match self.content {
            Content::Nothing | Content::Events(_) => String::new(),
            Content::Json(bytes) => printable(&bytes),
            Content::Other(text) => text,
        };
        let Self {
            status,
            challenge,
            retry_after,
            ..
        } = self;
        Trouble::Refused {
            status,
            challenge,
            retry_after,
            text,
        }
    }
}
