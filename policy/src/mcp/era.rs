//! Which revision's rules a message from a client is held to (mcp-protocol.md 1.3).
//!
//! Header and body must tell the same story: a legacy header over a modern body, or the reverse, would select
//! weaker checks (trap 20).

use super::message::{Body, Message};
use super::revision::Revision;

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
    todo!()
}
