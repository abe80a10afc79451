//! The only way to the server. Sending takes a [`Permit`] by value, and only the evaluator makes one.
//!
//! The caller's token never gets here: headers are an allow-list built by the inbound room, and the server's own
//! credential is added in this room, where nobody else can see it. Nothing here retries a request (law 21).

pub mod http;
pub mod line;
pub mod link;
pub mod sse;
pub mod stdio;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use sallyport_policy::bundle::LimitSettings;
use sallyport_policy::decide::Permit;
use sallyport_policy::mcp::message::Id;
use sallyport_policy::principal::CallerKey;
use sallyport_policy::sse::Item;

/// How long the server may take to accept a connection.
pub const CONNECT: Duration = Duration::from_secs(5);
/// How long the server may take until the first byte of an answer.
pub const FIRST_BYTE: Duration = Duration::from_secs(600);
/// Longest silence inside a JSON body.
pub const BODY_PAUSE: Duration = Duration::from_secs(60);

/// A bound of the policy in force; everybody who keeps a clone follows when it changes.
#[derive(Clone, Debug)]
pub struct Limit(Arc<AtomicUsize>);

impl Limit {
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(limit)))
    }

    /// What it is at this moment.
    #[must_use]
    pub fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, limit: usize) {
        self.0.store(limit, Ordering::Relaxed);
    }
}

/// What a policy bounds at the server's side.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// `limits.responseBytes`: of a JSON body, an event or a line.
    pub response: Limit,
    /// `limits.children`: pipes at once.
    pub children: Limit,
}

impl Bounds {
    #[must_use]
    pub fn of(limits: &LimitSettings) -> Self {
        let bounds = Self {
            response: Limit::new(0),
            children: Limit::new(0),
        };
        bounds.follow(limits);
        bounds
    }

    /// Takes over the limits of another policy: for answers and servers that begin from now on.
    pub fn follow(&self, limits: &LimitSettings) {
        let response = usize::try_from(limits.response_bytes);
        self.response.set(response.unwrap_or(usize::MAX));
        let children = usize::try_from(limits.children);
        self.children.set(children.unwrap_or(usize::MAX));
    }
}

/// Where the server is.
#[derive(Debug)]
pub enum Upstream {
    /// Streamable HTTP: each message is its own exchange.
    Http(Box<http::HttpServer>),
    /// stdio or HTTP+SSE: one duplex pipe, on which answers are told apart by id.
    Linked(link::LinkedServer),
}

/// One judged message on its way to the server.
#[derive(Debug)]
pub struct Outbound {
    pub body: Bytes,
    /// Already an allow-list (law 12).
    pub headers: HeaderMap,
    /// Whose pipe a linked upstream uses.
    pub lane: Lane,
    pub expects: Expects,
}

/// Which pipe to a linked server a message belongs to (law 17).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// A legacy session, by the id that we minted.
    Session(String),
    /// The newest revision has no sessions; callers share a pipe with nobody but themselves.
    Caller(Arc<CallerKey>),
}

/// What a message calls for.
#[derive(Clone, Debug)]
pub enum Expects {
    Answer { id: Id },
    Nothing,
}

/// What the server said to one message.
pub enum Reply {
    /// Taken, no body.
    Accepted,
    Json {
        status: StatusCode,
        body: Bytes,
        session: Option<String>,
    },
    Events {
        session: Option<String>,
        events: Events,
    },
    /// An HTTP answer that is no MCP message.
    Refused { status: StatusCode, text: String },
}

/// Events of one stream; it ends when the server ends it.
pub type Events = BoxStream<'static, Result<Item, UpstreamError>>;

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Bodies may hold secrets.
        match self {
            Self::Accepted => f.write_str("Accepted"),
            Self::Json { status, body, .. } => write!(f, "Json({status}, {} bytes)", body.len()),
            Self::Events { .. } => f.write_str("Events"),
            Self::Refused { status, .. } => write!(f, "Refused({status})"),
        }
    }
}

/// Why the server gave no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    #[error("the server did not answer in time")]
    TimedOut,
    #[error("the server's answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the server's answer broke off: {0}")]
    BrokeOff(String),
    #[error(
        "the server's answer has content type `{0}`, which is neither JSON nor server-sent events"
    )]
    ContentType(String),
    #[error("the server's answer is encoded as `{0}`, although identity was asked for")]
    Encoded(String),
    #[error("the grant for the call was revoked")]
    Revoked,
    #[error("the session is gone")]
    SessionGone,
    #[error("{0} server processes are running already, the most that `limits.children` allows")]
    TooManyChildren(usize),
}

impl UpstreamError {
    /// Whether the server may have begun to work on the message.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::SessionGone | Self::TooManyChildren(_) => false,
            Self::TimedOut
            | Self::TooLarge { .. }
            | Self::BrokeOff(_)
            | Self::ContentType(_)
            | Self::Encoded(_)
            | Self::Revoked => true,
        }
    }
}

impl Upstream {
    /// Sends one message, once.
    pub async fn send(&self, permit: Permit, outbound: Outbound) -> Result<Reply, UpstreamError> {
        match self {
            Self::Http(server) => server.post(permit, outbound).await,
            Self::Linked(server) => server.send(permit, outbound).await,
        }
    }

    /// Opens the stream of messages that answer no request: GET, or what a pipe says unasked.
    pub async fn listen(
        &self,
        permit: Permit,
        headers: HeaderMap,
        lane: &Lane,
    ) -> Result<Reply, UpstreamError> {
        match self {
            Self::Http(server) => server.listen(permit, headers).await,
            Self::Linked(server) => server.listen(permit, lane).await,
        }
    }

    /// Ends a session.
    pub async fn end(
        &self,
        permit: Permit,
        headers: HeaderMap,
        lane: &Lane,
    ) -> Result<Reply, UpstreamError> {
        match self {
            Self::Http(server) => server.end(permit, headers).await,
            Self::Linked(server) => server.end(permit, lane).await,
        }
    }

    /// Whether sessions are ours to mint, because the server behind has none of its own.
    #[must_use]
    pub fn mints_sessions(&self) -> bool {
        match self {
            Self::Http(_) => false,
            Self::Linked(_) => true,
        }
    }
}
