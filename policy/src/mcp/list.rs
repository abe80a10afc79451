//! Rewriting of what tells a caller, or a server, what there is: lists, capabilities, versions, filters.
//!
//! All by splice: what stays, stays byte for byte, in its order; `nextCursor` is never touched, an empty page is
//! legal (law 28).

use std::borrow::Cow;

use bytes::Bytes;

use super::method::Surface;
use super::revision::Revision;
use crate::json::{Document, Node};

/// One entry of a list.
#[derive(Clone, Debug)]
pub struct Listed<'d> {
    pub surface: Surface,
    /// Tool or prompt name, URI, URI template or task id.
    pub name: Cow<'d, str>,
    pub node: Node<'d>,
}

/// A document after rewriting.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The same bytes where nothing had to change.
    pub bytes: Bytes,
    /// Names of entries that were taken out because policy said so.
    pub hidden: Vec<String>,
    /// Entries taken out because they could not be read safely (no name, twin keys).
    pub malformed: usize,
    /// Names that occur more than once on this page: tampering until somebody says otherwise (law 29).
    pub duplicates: Vec<String>,
}

/// The server's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("the result has no array `{0}`")]
    NoItems(&'static str),
    #[error("the server speaks `{0}`, which is unknown here")]
    UnknownRevision(String),
    #[error("the server speaks no revision that is known here")]
    NoCommonRevision,
    #[error("`{0}` is malformed")]
    Malformed(&'static str),
}

/// What of the client's abilities the server may see. Everything else is taken out (law 1).
#[derive(Clone, Copy, Debug, Default)]
pub struct Features<'a> {
    pub roots: bool,
    pub sampling: bool,
    pub elicitation: bool,
    pub tasks: bool,
    /// Extensions that we can police.
    pub extensions: &'a [&'a str],
}

/// Items of a list result, for whoever only reads (pins, law 29); entries without a name are left out.
pub fn items<'d>(result: Node<'d>, surface: Surface) -> Result<Vec<Listed<'d>>, ListError> {
    todo!()
}

/// `nextCursor`, for whoever reads all pages.
pub fn next_cursor<'d>(result: Node<'d>) -> Option<Cow<'d, str>> {
    todo!()
}

/// Filters the list in `result` (a node of `document`) and, in the newest revision, makes it private and
/// short-lived. `max_ttl_ms`: at most 30 000, less where a validity edge is near.
pub fn filter(
    document: &Document,
    result: Node<'_>,
    surface: Surface,
    caching: Caching,
    keep: impl FnMut(&Listed<'_>) -> bool,
) -> Result<Rewritten, ListError> {
    todo!()
}

/// How long a client may keep what it got.
#[derive(Clone, Copy, Debug)]
pub struct Caching {
    pub revision: Revision,
    pub max_ttl_ms: u64,
}

/// Any other cacheable result (`resources/read`, `server/discover`): private, short-lived. None: nothing to change.
pub fn cap_caching(document: &Document, result: Node<'_>, caching: Caching) -> Option<Bytes> {
    todo!()
}

/// The message with client capabilities (legacy `initialize`, every modern request) cut down. None: nothing to change.
pub fn cut_client_capabilities(
    document: &Document,
    message: Node<'_>,
    features: Features<'_>,
) -> Option<Bytes> {
    todo!()
}

/// What the server agreed to.
#[derive(Clone, Debug)]
pub struct Agreed {
    pub revision: Revision,
    pub bytes: Bytes,
    pub capabilities: ServerCapabilities,
}

/// What a server advertises, as far as we act on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerCapabilities {
    pub tools: bool,
    pub tools_list_changed: bool,
    pub prompts: bool,
    pub prompts_list_changed: bool,
    pub resources: bool,
    pub resources_list_changed: bool,
    pub resources_subscribe: bool,
    pub completions: bool,
    pub logging: bool,
    pub tasks: bool,
}

/// The result of a legacy `initialize`: a known legacy revision, and only extensions that we can police.
pub fn initialized(
    document: &Document,
    result: Node<'_>,
    features: Features<'_>,
) -> Result<Agreed, ListError> {
    todo!()
}

/// The result of `server/discover`: versions and extensions that we know, private, short-lived. `revision` is the
/// newest common modern one.
pub fn discovered(
    document: &Document,
    result: Node<'_>,
    features: Features<'_>,
    caching: Caching,
) -> Result<Agreed, ListError> {
    todo!()
}

/// A `subscriptions/listen` request without the URIs and task ids that `keep` rejects. None: nothing to change.
pub fn narrow_listen(
    document: &Document,
    message: Node<'_>,
    keep: impl FnMut(Watched<'_>) -> bool,
) -> Option<Bytes> {
    todo!()
}

/// One entry of a listen filter.
#[derive(Clone, Copy, Debug)]
pub enum Watched<'a> {
    Uri(&'a str),
    Task(&'a str),
}
