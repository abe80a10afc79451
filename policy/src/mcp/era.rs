//! Which revision's rules a message from a client is held to (mcp-protocol.md 1.3).
//!
//! Header and body must tell the same story: a legacy header over a modern body, or the reverse, would select
//! weaker checks (trap 20).

use super::message::{Body, Message};
use super::revision::Revision;
use crate::json::{Kind, Node};

/// What is known besides the body.
#[derive(Clone, Copy, Debug)]
pub struct Outside<'a> {
    /// None where the transport has no headers (stdio).
    pub http: Option<HttpVersion<'a>>,
    /// The revision that this session's `initialize` agreed on.
    pub session: Option<Revision>,
}

/// The `MCP-Protocol-Version` header, which must not be repeated.
#[derive(Clone, Copy, Debug)]
pub struct HttpVersion<'a>(pub Option<&'a str>);

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified {
    /// For `initialize`: the one asked for, or our newest legacy one; the answer decides.
    pub revision: Revision,
    /// The body is a legacy `initialize`.
    pub opens_session: bool,
}

/// Why no revision's rules fit; always the client's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EraError {
    #[error(
        "Header mismatch: MCP-Protocol-Version header value '{header}' does not match body value '{body}'"
    )]
    Mismatch { header: String, body: String },
    #[error("Header mismatch: MCP-Protocol-Version header is missing")]
    HeaderMissing,
    #[error("Unsupported protocol version")]
    Unsupported { requested: String },
    #[error("Invalid params: `_meta` must hold `{0}`")]
    MetaMissing(&'static str),
    #[error("Invalid Request: a batch needs revision 2025-03-26")]
    Batch,
    #[error("Invalid Request: a client sends no responses in this revision")]
    Response,
}

pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
pub const META_CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
pub const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
pub const META_SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Classifies a body that a client sent.
pub fn classify(body: &Body<'_>, outside: Outside<'_>) -> Result<Classified, EraError> {
    match body {
        Body::One(message) => one(message, outside),
        Body::Batch(messages) => batch(messages, outside),
    }
}

fn one(message: &Message<'_>, outside: Outside<'_>) -> Result<Classified, EraError> {
    if let Some(version) = message.meta().and_then(|meta| meta.get(META_VERSION)) {
        return modern(message, version, outside);
    }
    if message.method() == Some("initialize") {
        return initialize(message, outside);
    }
    let revision = stated(outside)?;
    if !revision.is_modern() {
        return Ok(Classified::within(revision));
    }
    match message {
        Message::Request(_) => Err(EraError::MetaMissing(META_VERSION)),
        // The newest revision defines no metadata for what a client notifies.
        Message::Notification(_) => Ok(Classified::within(revision)),
        Message::Response(_) => Err(EraError::Response),
    }
}

/// A body that says that it is modern is held to it.
fn modern(
    message: &Message<'_>,
    version: Node<'_>,
    outside: Outside<'_>,
) -> Result<Classified, EraError> {
    let body = version
        .as_str()
        .ok_or(EraError::MetaMissing(META_VERSION))?;
    if let Some(HttpVersion(header)) = outside.http {
        let header = header.ok_or(EraError::HeaderMissing)?;
        if header != body {
            return Err(EraError::Mismatch {
                header: header.to_owned(),
                body: body.into_owned(),
            });
        }
    }
    let revision = Revision::parse(&body)
        .filter(|known| known.is_modern())
        .ok_or_else(|| EraError::Unsupported {
            requested: body.into_owned(),
        })?;
    let capabilities = message.meta().and_then(|meta| meta.get(META_CAPABILITIES));
    let declared = capabilities.is_some_and(|found| found.kind() == Kind::Object);
    if matches!(message, Message::Request(_)) && !declared {
        return Err(EraError::MetaMissing(META_CAPABILITIES));
    }
    Ok(Classified::within(revision))
}

fn initialize(message: &Message<'_>, outside: Outside<'_>) -> Result<Classified, EraError> {
    let asked = message
        .params()
        .and_then(|params| params.get("protocolVersion"))
        .and_then(Node::as_str)
        .unwrap_or_default();
    if let Some(HttpVersion(Some(header))) = outside.http
        && known(header)?.is_modern()
    {
        return Err(EraError::Mismatch {
            header: header.to_owned(),
            body: asked.into_owned(),
        });
    }
    // The server may agree on another; its answer decides.
    let revision = Revision::parse(&asked)
        .filter(|known| !known.is_modern())
        .unwrap_or(Revision::NEWEST_LEGACY);
    Ok(Classified {
        revision,
        opens_session: true,
    })
}

fn batch(messages: &[Message<'_>], outside: Outside<'_>) -> Result<Classified, EraError> {
    let claims_modern = |message: &Message<'_>| {
        message
            .meta()
            .is_some_and(|meta| meta.get(META_VERSION).is_some())
    };
    let revision = stated(outside)?;
    if !revision.batches() || messages.iter().any(claims_modern) {
        return Err(EraError::Batch);
    }
    Ok(Classified::within(revision))
}

/// What header and session say about a body that says nothing. A modern header over a legacy session does not
/// select the session's rules: it is held to its own.
fn stated(outside: Outside<'_>) -> Result<Revision, EraError> {
    let header = match outside.http {
        Some(HttpVersion(Some(header))) => Some(known(header)?),
        Some(HttpVersion(None)) | None => None,
    };
    Ok(match (header, outside.session) {
        (Some(header), _) if header.is_modern() => header,
        (_, Some(session)) => session,
        (Some(header), None) => header,
        (None, None) => Revision::UNSTATED,
    })
}

fn known(header: &str) -> Result<Revision, EraError> {
    Revision::parse(header).ok_or_else(|| EraError::Unsupported {
        requested: header.to_owned(),
    })
}

impl Classified {
    const fn within(revision: Revision) -> Self {
        Self {
            revision,
            opens_session: false,
        }
    }
}
