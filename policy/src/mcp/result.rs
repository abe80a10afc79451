//! What kind of result a server gave, by the revision and method of the request it answers.
//!
//! An unknown `resultType` is no result: what we cannot read we cannot mask.

use std::borrow::Cow;

use super::message::Id;
use super::method::Method;
use super::revision::Revision;
use crate::json::Node;

/// A result, told apart.
#[derive(Clone, Debug)]
pub enum Shape<'d> {
    /// The answer itself.
    Complete,
    /// 2026-07-28: the server asks back before it answers.
    InputRequired(InputRequired<'d>),
    /// A task was made instead of an answer (2025-11-25 `task.taskId`, extension `taskId`).
    Task { id: Cow<'d, str> },
}

#[derive(Clone, Debug)]
pub struct InputRequired<'d> {
    pub requests: Vec<InputRequest<'d>>,
    /// The server's own opaque state, never altered (law 25).
    pub state: Option<Cow<'d, str>>,
}

/// A request of the server inside a result.
#[derive(Clone, Debug)]
pub struct InputRequest<'d> {
    pub key: Cow<'d, str>,
    /// Always one that may be embedded.
    pub method: &'static Method,
    pub params: Option<Node<'d>>,
}

/// The server's fault: the result is not one that the method may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    #[error("unknown `resultType` `{0}`")]
    UnknownType(String),
    #[error("`resultType` is missing")]
    NoType,
    #[error("`{0}` may not answer `input_required`")]
    MayNotAsk(&'static str),
    #[error("`input_required` without `inputRequests` and `requestState`")]
    NothingAsked,
    #[error("`inputRequests` holds `{0}`, which may not be embedded")]
    NotEmbeddable(String),
    #[error("`{0}` is malformed")]
    Malformed(&'static str),
}

impl<'d> Shape<'d> {
    pub fn of(result: Node<'d>, method: &Method, revision: Revision) -> Result<Self, ShapeError> {
        todo!()
    }
}

/// What an elicitation asks for, so that policy can look at the address.
#[derive(Clone, Debug)]
pub enum Elicitation<'d> {
    Form { schema: Option<Node<'d>> },
    Url { url: Cow<'d, str> },
}

impl<'d> Elicitation<'d> {
    /// Of `elicitation/create` params; none if the mode is unknown.
    pub fn of(params: Node<'d>) -> Option<Self> {
        todo!()
    }
}

/// A resource inside an answer: an embedded one, a link, or one of the `contents` of `resources/read`.
#[derive(Clone, Debug)]
pub struct ContentResource<'d> {
    pub uri: Cow<'d, str>,
    pub mime_type: Option<Cow<'d, str>>,
    /// The block or entry that holds it.
    pub node: Node<'d>,
    /// Whether it brings its text or blob along (a link does not).
    pub embedded: bool,
}

/// Resources that a result brings along or points at (trap 48).
pub fn resources<'d>(result: Node<'d>) -> Vec<ContentResource<'d>> {
    todo!()
}

/// `isError` of a tool's result.
#[must_use]
pub fn is_tool_error(result: Node<'_>) -> bool {
    todo!()
}

/// `_meta["io.modelcontextprotocol/subscriptionId"]` of a notification's params or a listen result.
#[must_use]
pub fn subscription(holder: Node<'_>) -> Option<Id> {
    todo!()
}
