//! What kind of result a server gave, by the revision and method of the request it answers.
//!
//! An unknown `resultType` is no result: what we cannot read we cannot mask.

use std::borrow::Cow;

use super::era::META_SUBSCRIPTION;
use super::message::Id;
use super::method::{Judged, Method};
use super::revision::Revision;
use super::twins;
use crate::json::{Kind, Node};

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
        if revision.is_modern() {
            return modern(result, method);
        }
        let task = result.get("task").filter(|_| {
            revision == Revision::V2025_11_25
                && matches!(method.judged, Judged::Tool | Judged::Rule)
        });
        match task {
            Some(task) => task_id(task),
            None => Ok(Self::Complete),
        }
    }
}

fn modern<'d>(result: Node<'d>, method: &Method) -> Result<Shape<'d>, ShapeError> {
    let Some(kind) = result.get("resultType") else {
        // What clients read an absent one as.
        return Ok(Shape::Complete);
    };
    let kind = kind.as_str().ok_or(ShapeError::Malformed("resultType"))?;
    match kind.as_ref() {
        "complete" => Ok(Shape::Complete),
        "input_required" if method.may_ask_back() => asked_back(result).map(Shape::InputRequired),
        "input_required" => Err(ShapeError::MayNotAsk(method.name)),
        "task" if method.judged == Judged::Tool => task_id(result),
        _ => Err(ShapeError::UnknownType(kind.into_owned())),
    }
}

fn task_id(task: Node<'_>) -> Result<Shape<'_>, ShapeError> {
    let id = task.get("taskId").and_then(Node::as_str);
    let id = id.ok_or(ShapeError::Malformed("taskId"))?;
    Ok(Shape::Task { id })
}

fn asked_back(result: Node<'_>) -> Result<InputRequired<'_>, ShapeError> {
    let state = match result.get("requestState") {
        Some(state) => Some(
            state
                .as_str()
                .ok_or(ShapeError::Malformed("requestState"))?,
        ),
        None => None,
    };
    let requests = input_requests(result)?;
    if requests.is_empty() && state.is_none() {
        return Err(ShapeError::NothingAsked);
    }
    Ok(InputRequired { requests, state })
}

/// `inputRequests` of an `input_required` result, or of a task of the extension that waits for input.
pub fn input_requests(holder: Node<'_>) -> Result<Vec<InputRequest<'_>>, ShapeError> {
    let Some(requests) = holder.get("inputRequests") else {
        return Ok(Vec::new());
    };
    if requests.kind() != Kind::Object {
        return Err(ShapeError::Malformed("inputRequests"));
    }
    requests.members().map(input_request).collect()
}

fn input_request<'d>((key, request): (Node<'d>, Node<'d>)) -> Result<InputRequest<'d>, ShapeError> {
    let wrong = ShapeError::Malformed("inputRequests");
    if twins::in_message(request).is_err() {
        return Err(wrong);
    }
    let key = key.as_str().ok_or_else(|| wrong.clone())?;
    let name = request.get("method").and_then(Node::as_str).ok_or(wrong)?;
    let method = Method::named(&name)
        .filter(|line| line.embeddable())
        .ok_or_else(|| ShapeError::NotEmbeddable(name.into_owned()))?;
    let params = request.get("params");
    if params.is_some_and(|params| params.kind() != Kind::Object) {
        return Err(ShapeError::Malformed("params"));
    }
    Ok(InputRequest {
        key,
        method,
        params,
    })
}

/// What an elicitation asks for, so that policy can look at the address.
#[derive(Clone, Debug)]
pub enum Elicitation<'d> {
    Form { schema: Option<Node<'d>> },
    Url { url: Cow<'d, str> },
}

impl<'d> Elicitation<'d> {
    /// Of `elicitation/create` params; none if the mode is unknown.
    #[must_use]
    pub fn of(params: Node<'d>) -> Option<Self> {
        let form = || Self::Form {
            schema: params.get("requestedSchema"),
        };
        let Some(mode) = params.get("mode") else {
            return Some(form());
        };
        match mode.as_str()?.as_ref() {
            "form" => Some(form()),
            "url" => Some(Self::Url {
                url: params.get("url")?.as_str()?,
            }),
            _ => None,
        }
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
#[must_use]
pub fn resources(result: Node<'_>) -> Vec<ContentResource<'_>> {
    let blocks = result.get("content").into_iter().flat_map(Node::elements);
    // A message of a prompt has one block, or an array of them.
    let messages = result.get("messages").into_iter().flat_map(Node::elements);
    let in_messages = messages
        .filter_map(|message| message.get("content"))
        .flat_map(|content| std::iter::once(content).chain(content.elements()));
    let contents = result.get("contents").into_iter().flat_map(Node::elements);
    blocks
        .chain(in_messages)
        .filter_map(in_block)
        .chain(contents.filter_map(|entry| resource(entry, true)))
        .collect()
}

fn in_block(block: Node<'_>) -> Option<ContentResource<'_>> {
    match block.get("type")?.as_str()?.as_ref() {
        "resource" => resource(block.get("resource")?, true),
        "resource_link" => resource(block, false),
        _ => None,
    }
}

fn resource(node: Node<'_>, embedded: bool) -> Option<ContentResource<'_>> {
    Some(ContentResource {
        uri: node.get("uri")?.as_str()?,
        mime_type: node.get("mimeType").and_then(Node::as_str),
        node,
        embedded,
    })
}

/// `isError` of a tool's result.
#[must_use]
pub fn is_tool_error(result: Node<'_>) -> bool {
    result.get("isError").and_then(Node::as_bool) == Some(true)
}

/// `_meta["io.modelcontextprotocol/subscriptionId"]` of a notification's params or a listen result.
#[must_use]
pub fn subscription(holder: Node<'_>) -> Option<Id> {
    Id::of(holder.get("_meta")?.get(META_SUBSCRIPTION)?)
}
