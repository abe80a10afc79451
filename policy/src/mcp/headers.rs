//! The headers that mirror a body in 2026-07-28, and that they mirror it truly.
//!
//! The body decides; the headers are only compared with it, so that nobody in front of or behind us who trusts
//! them sees another call than we judged (traps 17 to 19). On legacy traffic they mean nothing and are stripped.

use std::borrow::Cow;

use super::call::Call;
use crate::json::Node;

/// Lower-case names.
pub const VERSION: &str = "mcp-protocol-version";
pub const METHOD: &str = "mcp-method";
pub const NAME: &str = "mcp-name";
pub const PARAM_PREFIX: &str = "mcp-param-";
pub const SESSION: &str = "mcp-session-id";
pub const LAST_EVENT: &str = "last-event-id";

/// The mirror headers of one request, each at most once.
#[derive(Clone, Debug, Default)]
pub struct Mirror<'h> {
    pub version: Option<&'h str>,
    pub method: Option<&'h str>,
    pub name: Option<&'h str>,
    pub session: Option<&'h str>,
    pub last_event: Option<&'h str>,
    /// Lower-case name without the prefix, trimmed value.
    pub params: Vec<(String, &'h str)>,
}

/// One argument that a tool's input schema mirrors (`x-mcp-header`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamHeader {
    /// As the schema spells it.
    pub header: String,
    /// Property names from the arguments down.
    pub path: Vec<String>,
    pub kind: ParamKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    String,
    Integer,
    Boolean,
}

/// The client's fault, always HTTP 400 and -32020.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("Header mismatch: {0} header appears more than once")]
    Repeated(String),
    #[error("Header mismatch: {0} header is not visible ASCII")]
    NotText(String),
    #[error("Header mismatch: {0} header is missing")]
    Missing(String),
    #[error("Header mismatch: {0} header is not valid base64 of UTF-8")]
    Encoding(String),
    #[error("Header mismatch: {header} header value '{value}' does not match body value '{body}'")]
    Mismatch {
        header: String,
        value: String,
        body: String,
    },
    #[error("Header mismatch: {0} header has no value in the body")]
    NoValue(String),
}

/// What is wrong with a schema's `x-mcp-header`; the tool's author's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`x-mcp-header` of `{property}` {what}")]
pub struct SchemaError {
    pub property: String,
    pub what: &'static str,
}

impl<'h> Mirror<'h> {
    /// Picks the mirror headers out of all headers; names in any case.
    pub fn read<'n>(
        headers: impl Iterator<Item = (&'n str, &'h [u8])>,
    ) -> Result<Self, HeaderError> {
        todo!()
    }

    /// Modern requests: `Mcp-Method` and, where the method has one, `Mcp-Name` are there and equal the body.
    /// Notifications need none, but what is there must match.
    pub fn check(&self, call: &Call<'_>) -> Result<(), HeaderError> {
        todo!()
    }

    /// Modern tool calls: every declared argument that is present and not null is mirrored truly. Unknown
    /// `Mcp-Param-*` are ignored here and forwarded.
    pub fn check_params(
        &self,
        declared: &[ParamHeader],
        arguments: Option<Node<'_>>,
    ) -> Result<(), HeaderError> {
        todo!()
    }
}

/// What `Mcp-Name` must say for this call; none where the method has no name.
pub fn name_of<'c>(call: &'c Call<'_>) -> Option<&'c str> {
    todo!()
}

/// The mirrored properties of a tool's input schema.
pub fn declared(input_schema: Node<'_>) -> Result<Vec<ParamHeader>, SchemaError> {
    todo!()
}

/// Headers to send for these arguments: for bridges, which have no client's headers.
pub fn params_for(declared: &[ParamHeader], arguments: Option<Node<'_>>) -> Vec<(String, String)> {
    todo!()
}

/// As a header value: plain, or in the base64 sentinel where plain would not survive.
pub fn encode(value: &str) -> Cow<'_, str> {
    todo!()
}

/// The value a header stands for; none for a sentinel that is not base64 of UTF-8.
pub fn decode(value: &str) -> Option<Cow<'_, str>> {
    todo!()
}
