//! JSON-RPC messages, read once from a strict [`Document`].
//!
//! What two parsers could take for different messages is refused here: confused shapes, ids that are no integers,
//! and keys that a lenient parser would take for a protocol key (law 4, traps 2, 3, 9 and 11).

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::method::{Kind as MethodKind, Method};
use super::twins;
use crate::json::{Document, Kind, Node, quote};

/// What one HTTP body or one SSE event carries.
#[derive(Clone, Debug)]
pub enum Body<'d> {
    One(Message<'d>),
    /// An array, of 2025-03-26 alone; whether it is legal here, [`super::era::classify`] says.
    Batch(Vec<Message<'d>>),
}

/// One message.
#[derive(Clone, Debug)]
pub enum Message<'d> {
    Request(Request<'d>),
    Notification(Notification<'d>),
    Response(Response<'d>),
}

#[derive(Clone, Debug)]
pub struct Request<'d> {
    pub node: Node<'d>,
    pub id: Id,
    pub method: Cow<'d, str>,
    /// Always an object when present.
    pub params: Option<Node<'d>>,
}

#[derive(Clone, Debug)]
pub struct Notification<'d> {
    pub node: Node<'d>,
    pub method: Cow<'d, str>,
    /// Always an object when present.
    pub params: Option<Node<'d>>,
}

#[derive(Clone, Debug)]
pub struct Response<'d> {
    pub node: Node<'d>,
    /// None only for an error whose request could not be read (absent or null id).
    pub id: Option<Id>,
    pub outcome: Outcome<'d>,
}

#[derive(Clone, Debug)]
pub enum Outcome<'d> {
    /// Always an object.
    Result(Node<'d>),
    Error(RpcError<'d>),
}

#[derive(Clone, Debug)]
pub struct RpcError<'d> {
    pub node: Node<'d>,
    pub code: i64,
    pub message: Cow<'d, str>,
    pub data: Option<Node<'d>>,
}

/// A request id or progress token: a string or an integer, and never equal across the two (`1` is not `"1"`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// The lexeme, digits with an optional minus sign; `-0` is kept as `0`.
    Integer(Box<str>),
    /// The unescaped text.
    Text(Box<str>),
}

/// Why a body is no message; always the sender's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct MessageError {
    pub fault: Fault,
    /// The request's id where it could be read, so that an answer can carry it.
    pub id: Option<Id>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("a message must be an object")]
    NotAnObject,
    #[error("`jsonrpc` must be \"2.0\"")]
    Version,
    #[error("`method` must be a string")]
    Method,
    #[error("`id` must be a string or an integer")]
    Id,
    #[error("`params` must be an object")]
    Params,
    #[error("`_meta` must be an object")]
    Meta,
    #[error("a message is either a request, a notification or a response, never two of them")]
    Confused,
    #[error("a message has `method`, `result` or `error`")]
    Empty,
    #[error("`result` must be an object")]
    Result,
    #[error("`error` must have an integer `code` and a string `message`")]
    Error,
    #[error("`{0}` is a request and needs an `id`")]
    RequestWithoutId(String),
    #[error("`{0}` is a notification and takes no `id`")]
    NotificationWithId(String),
    #[error("the key `{0}` could be read as another protocol key; spell it exactly")]
    Twin(String),
    #[error("a batch must not be empty")]
    EmptyBatch,
    #[error("a batch must not hold another one")]
    NestedBatch,
    #[error("`initialize` must not be in a batch")]
    InitializeInBatch,
    #[error("two requests of one batch have the same `id`")]
    RepeatedId,
    #[error("a batch here is not allowed; send one message")]
    Batch,
}

impl<'d> Body<'d> {
    pub fn parse(document: &'d Document) -> Result<Self, MessageError> {
        let root = document.root();
        if root.kind() == Kind::Array {
            return batch(root).map(Self::Batch);
        }
        Message::of(root).map(Self::One)
    }

    /// All messages, in order.
    #[must_use]
    pub fn messages(&self) -> &[Message<'d>] {
        match self {
            Self::One(message) => std::slice::from_ref(message),
            Self::Batch(messages) => messages,
        }
    }
}

impl<'d> Message<'d> {
    /// One message; an array is refused.
    pub fn parse(document: &'d Document) -> Result<Self, MessageError> {
        let root = document.root();
        if root.kind() == Kind::Array {
            return Err(Fault::Batch.without_id());
        }
        Self::of(root)
    }

    pub fn of(node: Node<'d>) -> Result<Self, MessageError> {
        if node.kind() != Kind::Object {
            return Err(Fault::NotAnObject.without_id());
        }
        let id_node = node.get("id");
        let id = id_node.and_then(Id::of);
        read(node, id_node, id.clone()).map_err(|fault| MessageError { fault, id })
    }

    /// The whole message's object.
    #[must_use]
    pub fn node(&self) -> Node<'d> {
        match self {
            Self::Request(request) => request.node,
            Self::Notification(notification) => notification.node,
            Self::Response(response) => response.node,
        }
    }

    #[must_use]
    pub fn id(&self) -> Option<&Id> {
        match self {
            Self::Request(request) => Some(&request.id),
            Self::Notification(_) => None,
            Self::Response(response) => response.id.as_ref(),
        }
    }

    #[must_use]
    pub fn method(&self) -> Option<&str> {
        match self {
            Self::Request(request) => Some(&request.method),
            Self::Notification(notification) => Some(&notification.method),
            Self::Response(_) => None,
        }
    }

    #[must_use]
    pub fn params(&self) -> Option<Node<'d>> {
        match self {
            Self::Request(request) => request.params,
            Self::Notification(notification) => notification.params,
            Self::Response(_) => None,
        }
    }

    /// `params._meta`.
    #[must_use]
    pub fn meta(&self) -> Option<Node<'d>> {
        self.params()?.get("_meta")
    }
}

impl Id {
    /// None for anything but a string or an integer without fraction and exponent.
    #[must_use]
    pub fn of(node: Node<'_>) -> Option<Self> {
        if let Some(text) = node.as_str() {
            return Some(Self::Text(text.into()));
        }
        let lexeme = node.number()?;
        let digits = lexeme.strip_prefix('-').unwrap_or(lexeme);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // JavaScript echoes -0 as 0.
        let lexeme = if digits == "0" { digits } else { lexeme };
        Some(Self::Integer(lexeme.into()))
    }

    #[must_use]
    pub fn integer(value: i64) -> Self {
        Self::Integer(value.to_string().into())
    }

    #[must_use]
    pub fn text(value: &str) -> Self {
        Self::Text(value.into())
    }

    /// As JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Integer(lexeme) => lexeme.to_string(),
            Self::Text(text) => quote(text),
        }
    }
}

impl Fault {
    const fn without_id(self) -> MessageError {
        MessageError {
            fault: self,
            id: None,
        }
    }
}

fn batch(array: Node<'_>) -> Result<Vec<Message<'_>>, MessageError> {
    let mut messages = Vec::new();
    let mut ids = BTreeSet::new();
    for element in array.elements() {
        if element.kind() == Kind::Array {
            return Err(Fault::NestedBatch.without_id());
        }
        let message = Message::of(element)?;
        if message.method() == Some("initialize") {
            return Err(Fault::InitializeInBatch.without_id());
        }
        // Requests and responses number their ids apart.
        let is_response = message.method().is_none();
        if let Some(id) = message.id()
            && !ids.insert((is_response, id.clone()))
        {
            return Err(Fault::RepeatedId.without_id());
        }
        messages.push(message);
    }
    if messages.is_empty() {
        return Err(Fault::EmptyBatch.without_id());
    }
    Ok(messages)
}

fn read<'d>(
    node: Node<'d>,
    id_node: Option<Node<'d>>,
    id: Option<Id>,
) -> Result<Message<'d>, Fault> {
    twins::in_message(node)?;
    let version = node.get("jsonrpc").and_then(Node::as_str);
    if version.as_deref() != Some("2.0") {
        return Err(Fault::Version);
    }
    match (node.get("method"), node.get("result"), node.get("error")) {
        (Some(method), None, None) => called(node, method, id_node, id),
        (None, Some(result), None) => answered(node, id, result),
        (None, None, Some(error)) => failed(node, id_node, id, error),
        (None, None, None) => Err(Fault::Empty),
        (Some(_), Some(_), _) | (Some(_), None, Some(_)) | (None, Some(_), Some(_)) => {
            Err(Fault::Confused)
        }
    }
}

fn called<'d>(
    node: Node<'d>,
    method: Node<'d>,
    id_node: Option<Node<'d>>,
    id: Option<Id>,
) -> Result<Message<'d>, Fault> {
    let method = method.as_str().ok_or(Fault::Method)?;
    let params = node.get("params");
    if let Some(params) = params {
        check_params(params)?;
    }
    let known = Method::named(&method).map(|line| line.kind);
    let is_notice = known == Some(MethodKind::Notification) || method.starts_with("notifications/");
    match (id_node, id) {
        (Some(_), _) if is_notice => Err(Fault::NotificationWithId(method.into_owned())),
        (Some(_), None) => Err(Fault::Id),
        (_, Some(id)) => Ok(Message::Request(Request {
            node,
            id,
            method,
            params,
        })),
        (None, None) if known == Some(MethodKind::Request) => {
            Err(Fault::RequestWithoutId(method.into_owned()))
        }
        (None, None) => Ok(Message::Notification(Notification {
            node,
            method,
            params,
        })),
    }
}

fn check_params(params: Node<'_>) -> Result<(), Fault> {
    if params.kind() != Kind::Object {
        return Err(Fault::Params);
    }
    match params.get("_meta") {
        Some(meta) if meta.kind() != Kind::Object => Err(Fault::Meta),
        Some(_) | None => Ok(()),
    }
}

fn answered<'d>(node: Node<'d>, id: Option<Id>, result: Node<'d>) -> Result<Message<'d>, Fault> {
    if result.kind() != Kind::Object {
        return Err(Fault::Result);
    }
    let id = id.ok_or(Fault::Id)?;
    Ok(Message::Response(Response {
        node,
        id: Some(id),
        outcome: Outcome::Result(result),
    }))
}

fn failed<'d>(
    node: Node<'d>,
    id_node: Option<Node<'d>>,
    id: Option<Id>,
    error: Node<'d>,
) -> Result<Message<'d>, Fault> {
    // Servers say null or nothing where they could not read the request.
    let unreadable = id_node.is_none_or(Node::is_null);
    if id.is_none() && !unreadable {
        return Err(Fault::Id);
    }
    let code = error.get("code").and_then(Node::as_i64);
    let message = error.get("message").and_then(Node::as_str);
    let (Some(code), Some(message)) = (code, message) else {
        return Err(Fault::Error);
    };
    let data = error.get("data");
    Ok(Message::Response(Response {
        node,
        id,
        outcome: Outcome::Error(RpcError {
            node: error,
            code,
            message,
            data,
        }),
    }))
}
