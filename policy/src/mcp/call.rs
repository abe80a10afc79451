//! A [`Call`]: one request or notification, with everything that a decision, a hold or a record asks of it.
//!
//! Made once from a judged message; it borrows the document, so what is decided is what is sent.

use std::borrow::Cow;

use super::message::{Id, Message};
use super::method::{Direction, Method, Surface};
use super::revision::Revision;
use crate::json::Node;

/// A request or notification whose method is known, legal in its direction and revision, and well-formed.
#[derive(Clone, Debug)]
pub struct Call<'d> {
    pub revision: Revision,
    pub direction: Direction,
    pub method: &'static Method,
    /// None for a notification.
    pub id: Option<Id>,
    /// The whole message.
    pub message: Node<'d>,
    pub params: Option<Node<'d>>,
    pub meta: Option<Node<'d>>,
    pub target: Target<'d>,
    pub progress_token: Option<Id>,
    /// 2026-07-28: echoed by the client, from us or from the server.
    pub request_state: Option<Cow<'d, str>>,
    /// 2026-07-28: answers to `inputRequests`, an object.
    pub input_responses: Option<Node<'d>>,
    /// 2026-07-28: of this request; legacy: of `initialize` alone.
    pub client_capabilities: Option<Node<'d>>,
    /// 2026-07-28: whether the client wants `notifications/message`.
    pub wants_logs: bool,
    /// 2025-11-25: the client asked for a task (`params.task`).
    pub task: Option<Node<'d>>,
}

/// What the decision is about.
#[derive(Clone, Debug)]
pub enum Target<'d> {
    /// Open to every authenticated principal.
    Open,
    /// Open; the result is filtered.
    List(Surface),
    /// `arguments` is an object, or none where absent or null.
    Tool {
        name: Cow<'d, str>,
        arguments: Option<Node<'d>>,
    },
    Prompt {
        name: Cow<'d, str>,
        arguments: Option<Node<'d>>,
    },
    /// Read, subscribe, unsubscribe, updated, or the completion of a template.
    Resource {
        uri: Cow<'d, str>,
    },
    Listen(Listen<'d>),
    Task {
        id: Cow<'d, str>,
    },
    /// A rule must name this method (its own, or the one it goes with).
    Method {
        method: &'static str,
    },
    /// Follows from what was allowed: passed, masked.
    Relayed,
}

/// The filter of `subscriptions/listen`; each entry is judged alone and taken out before forwarding.
#[derive(Clone, Debug)]
pub struct Listen<'d> {
    pub uris: Vec<Cow<'d, str>>,
    pub task_ids: Vec<Cow<'d, str>>,
}

/// Why a message is no call; the sender's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Not in the table, or not in this direction and revision.
    #[error("Method not found")]
    MethodNotFound { method: String },
    #[error("Invalid params: `{field}` must be {expected}")]
    InvalidParams {
        field: &'static str,
        expected: &'static str,
    },
    /// A response is no call; see [`super::result`].
    #[error("Invalid Request: a response is no call")]
    Response,
}

impl<'d> Call<'d> {
    pub fn of(
        message: &Message<'d>,
        direction: Direction,
        revision: Revision,
    ) -> Result<Self, CallError> {
        todo!()
    }

    /// The tool's name, of a tool call.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        todo!()
    }

    /// The client declared this capability, by path (`["elicitation", "url"]`).
    #[must_use]
    pub fn declares(&self, path: &[&str]) -> bool {
        todo!()
    }

    /// `params.requestId` of `notifications/cancelled`.
    #[must_use]
    pub fn cancelled(&self) -> Option<Id> {
        todo!()
    }
}
