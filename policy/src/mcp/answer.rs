//! Answers of our own, in the shape that a client of each revision understands (mcp-protocol.md 6.2, appendix C).
//!
//! One exhaustive match from what happened to HTTP status and JSON-RPC body. Texts must not tell the policy: a rule's
//! `message` is for callers, everything else is a stable code.

use bytes::Bytes;

use super::call::{Call, CallError};
use super::era::EraError;
use super::headers::HeaderError;
use super::message::{Id, MessageError};
use super::method::Method;
use super::revision::Revision;
use crate::json::JsonError;

/// An answer ready to send. On SSE only the body counts; on 2024-11-05 the POST says 202 and the body goes out as an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub http_status: u16,
    pub body: Bytes,
    /// Seconds, for `Retry-After`.
    pub retry_after: Option<u64>,
}

/// Whom and what an answer answers.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    pub id: Option<&'a Id>,
    pub revision: Revision,
    pub method: &'static Method,
    /// The tool, prompt or URI that was asked for.
    pub name: &'a str,
}

/// What the client is told.
#[derive(Clone, Debug)]
pub enum Answer<'a> {
    /// Policy says no. `visible`: the caller may know that it exists; else the answer is the server's own for what
    /// does not exist, without a mark.
    Denied {
        reason: &'a str,
        message: Option<&'a str>,
        visible: bool,
    },
    /// Budget or concurrency (law 8).
    Limited {
        reason: &'a str,
        retry_after_secs: u64,
    },
    /// Held; says how to repeat (law 20).
    Pending {
        request: &'a str,
        expires_at: &'a str,
        state: Option<&'a str>,
    },
    /// The access request came to an end that is not a run of this call.
    Unapproved {
        request: &'a str,
        why: Unapproved,
        reason: Option<&'a str>,
    },
    /// The answer exists and is not given out (laws 13, 27, 31). `ran`: the client hears that the call was executed.
    Withheld { reason: &'a str, ran: bool },
    /// No answer from the server.
    Upstream { why: Upstream },
    /// We cannot judge or record now: fail closed.
    Unavailable { reason: &'a str },
    /// A server asked for what the client may not be asked (newest revision, law 1).
    AskedTooMuch { method: &'a str },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unapproved {
    Denied,
    Expired,
    Withdrawn,
    Revoked,
    Used,
    /// Used, and nobody knows whether it took effect (law 21).
    UsedOutcomeUnknown,
    TooManyPending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    Unreachable,
    TimedOut,
    /// It answered, and not in a way that can be passed on.
    Malformed,
    TooLarge,
}

/// What is wrong before there is a call; told without asking policy.
#[derive(Clone, Debug)]
pub enum Malformed<'a> {
    Json(&'a JsonError),
    Message(&'a MessageError),
    Era {
        error: &'a EraError,
        id: Option<&'a Id>,
    },
    Header {
        error: &'a HeaderError,
        id: Option<&'a Id>,
    },
    Call {
        error: &'a CallError,
        id: Option<&'a Id>,
        revision: Revision,
    },
    TooLarge {
        limit: usize,
    },
    MediaType,
    NotAcceptable,
    Origin,
    Host,
    /// Unknown or another's session.
    Session,
    /// A session id is needed and missing.
    NoSession,
}

/// JSON-RPC codes of our own lie outside -32768..-32000 (1.2).
pub mod code {
    pub const PARSE: i64 = -32700;
    pub const INVALID_REQUEST: i64 = -32600;
    pub const METHOD_NOT_FOUND: i64 = -32601;
    pub const INVALID_PARAMS: i64 = -32602;
    pub const INTERNAL: i64 = -32603;
    pub const RESOURCE_NOT_FOUND_LEGACY: i64 = -32002;
    pub const HEADER_MISMATCH: i64 = -32020;
    pub const MISSING_CAPABILITY: i64 = -32021;
    pub const UNSUPPORTED_VERSION: i64 = -32022;
    pub const DENIED: i64 = 4030;
    pub const PENDING: i64 = 4020;
    pub const UNAPPROVED: i64 = 4031;
    pub const WITHHELD: i64 = 4510;
    pub const LIMITED: i64 = 4290;
}

/// Our marks in `_meta` or `error.data` (law 18).
pub mod mark {
    pub const DENIED: &str = "dev.sallyport/denied";
    pub const APPROVAL: &str = "dev.sallyport/approval";
    pub const REDACTED: &str = "dev.sallyport/redacted";
    pub const RETRY_AFTER: &str = "dev.sallyport/retryAfter";
}

impl<'a> Asked<'a> {
    /// None for a notification, which has no answer.
    pub fn by(call: &'a Call<'_>) -> Option<Self> {
        todo!()
    }
}

/// The answer to a request.
#[must_use]
pub fn reply(asked: &Asked<'_>, answer: &Answer<'_>) -> Reply {
    todo!()
}

/// The answer to what is no call.
#[must_use]
pub fn malformed(what: &Malformed<'_>) -> Reply {
    todo!()
}

/// A notification that is not accepted: an HTTP error with an id-less body.
#[must_use]
pub fn blocked_notification(reason: &str) -> Reply {
    todo!()
}

/// The error that a server hears when it asks the client for what is not allowed (legacy).
#[must_use]
pub fn to_server(id: &Id, method: &str) -> Bytes {
    todo!()
}
