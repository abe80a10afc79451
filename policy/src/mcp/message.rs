//! JSON-RPC messages, read once from a strict [`Document`].
//!
//! What two parsers could take for different messages is refused here: confused shapes, ids that are no integers,
//! and keys that a lenient parser would take for a protocol key (law 4, traps 2, 3, 9 and 11).

use std::borrow::Cow;

use crate::json::{Document, Node};

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
        todo!()
    }

    /// All messages, in order.
    pub fn messages(&self) -> &[Message<'d>] {
        todo!()
    }
}

impl<'d> Message<'d> {
    /// One message; an array is refused.
    pub fn parse(document: &'d Document) -> Result<Self, MessageError> {
        todo!()
    }

    pub fn of(node: Node<'d>) -> Result<Self, MessageError> {
        todo!()
    }

    /// The whole message's object.
    #[must_use]
    pub fn node(&self) -> Node<'d> {
        todo!()
    }

    #[must_use]
    pub fn id(&self) -> Option<&Id> {
        todo!()
    }

    #[must_use]
    pub fn method(&self) -> Option<&str> {
        todo!()
    }

    #[must_use]
    pub fn params(&self) -> Option<Node<'d>> {
        todo!()
    }

    /// `params._meta`.
    #[must_use]
    pub fn meta(&self) -> Option<Node<'d>> {
        todo!()
    }
}

impl Id {
    /// None for anything but a string or an integer without fraction and exponent.
    #[must_use]
    pub fn of(node: Node<'_>) -> Option<Self> {
        todo!()
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
        todo!()
    }
}
