//! Answers to what is no call at all: told before policy is asked, always the sender's fault.
//!
//! Statuses have meaning in the protocol (trap 31): a legacy 404 ends a session, so it is said only of sessions.

use super::answer::{Reply, code, error_body};
use super::call::CallError;
use super::era::EraError;
use super::headers::HeaderError;
use super::message::{Id, MessageError};
use super::revision::{Era, Revision};
use crate::json::JsonError;
use serde_json::{Value, json};

/// What is wrong.
#[derive(Clone, Debug)]
pub enum Refusal<'a> {
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
    /// `id` is none for a notification.
    Call {
        error: &'a CallError,
        id: Option<&'a Id>,
        revision: Revision,
    },
    /// A notification that policy or its method does not let through.
    Notification,
    TooLarge {
        limit: usize,
    },
    /// More messages in one batch than are taken.
    Batch {
        limit: usize,
    },
    NotAcceptable,
    /// Unknown, ended, or another's: all the same to the caller (law 11).
    Session,
    /// A session id is needed and missing.
    NoSession,
}

/// The answer to it.
#[must_use]
pub fn refusal(what: &Refusal<'_>) -> Reply {
    match what {
        Refusal::Json(error) => json_refusal(error),
        Refusal::Message(error) => {
            let id = error.id.as_ref();
            invalid(400, id, &format!("Invalid Request: {error}"))
        }
        Refusal::Era { error, id } => era_refusal(error, *id),
        Refusal::Header { error, id } => {
            bad_request(*id, code::HEADER_MISMATCH, &error.to_string(), None)
        }
        Refusal::Call {
            error,
            id,
            revision,
        } => call_refusal(error, *id, *revision),
        Refusal::Notification => invalid(
            400,
            None,
            "Invalid Request: the notification is not accepted",
        ),
        Refusal::TooLarge { limit } => invalid(
            413,
            None,
            &format!("Invalid Request: larger than {limit} bytes"),
        ),
        Refusal::Batch { limit } => invalid(
            413,
            None,
            &format!("Invalid Request: a batch of more than {limit} messages"),
        ),
        Refusal::NotAcceptable => invalid(
            406,
            None,
            "Invalid Request: Accept must list application/json and text/event-stream",
        ),
        Refusal::Session => invalid(404, None, "Session not found"),
        Refusal::NoSession => invalid(
            400,
            None,
            "Invalid Request: Mcp-Session-Id header is missing",
        ),
    }
}

fn json_refusal(error: &JsonError) -> Reply {
    match error {
        JsonError::Syntax { .. }
        | JsonError::Utf8 { .. }
        | JsonError::ByteOrderMark
        | JsonError::Trailing { .. } => {
            bad_request(None, code::PARSE, &format!("Parse error: {error}"), None)
        }
        JsonError::LoneSurrogate { .. }
        | JsonError::DuplicateKey { .. }
        | JsonError::UnsafeInteger { .. }
        | JsonError::NumberRange { .. } => invalid(400, None, &format!("Invalid Request: {error}")),
        JsonError::TooDeep { .. } | JsonError::TooMany { .. } => {
            invalid(413, None, &format!("Invalid Request: {error}"))
        }
    }
}

fn era_refusal(error: &EraError, id: Option<&Id>) -> Reply {
    let text = error.to_string();
    match error {
        EraError::Mismatch { .. } | EraError::HeaderMissing => {
            bad_request(id, code::HEADER_MISMATCH, &text, None)
        }
        EraError::Unsupported { requested } => {
            let supported: Vec<_> = Revision::of_era(Era::Modern)
                .map(Revision::as_str)
                .collect();
            let data = json!({ "supported": supported, "requested": requested });
            bad_request(id, code::UNSUPPORTED_VERSION, &text, Some(data))
        }
        EraError::MetaMissing(_) => bad_request(id, code::INVALID_PARAMS, &text, None),
        EraError::Batch | EraError::Response => invalid(400, None, &text),
    }
}

fn call_refusal(error: &CallError, id: Option<&Id>, revision: Revision) -> Reply {
    let text = error.to_string();
    // What has no id is a notification, and one that is not accepted must not look accepted.
    let Some(id) = id else {
        return invalid(400, None, &text);
    };
    match error {
        CallError::MethodNotFound { .. } => super::answer::method_not_found(id, revision, None),
        CallError::MissingCapability { path } => {
            let required = path
                .iter()
                .rev()
                .fold(json!({}), |inner, step| json!({ *step: inner }));
            let data = json!({ "requiredCapabilities": required });
            bad_request(Some(id), code::MISSING_CAPABILITY, &text, Some(data))
        }
        CallError::InvalidParams { .. } => {
            Reply::ok(error_body(Some(id), code::INVALID_PARAMS, &text, None))
        }
        CallError::Response => invalid(400, Some(id), &text),
    }
}

fn invalid(status: u16, id: Option<&Id>, text: &str) -> Reply {
    Reply::with_status(status, error_body(id, code::INVALID_REQUEST, text, None))
}

fn bad_request(id: Option<&Id>, code: i64, text: &str, data: Option<Value>) -> Reply {
    Reply::with_status(400, error_body(id, code, text, data))
}
