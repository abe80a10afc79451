//! Answers of our own, in the shape that a client of each revision understands (mcp-protocol.md 6.2, appendix C).
//!
//! One exhaustive match from what happened to HTTP status and JSON-RPC body. Texts must not tell the policy: a rule's
//! `message` is for callers, everything else is a stable code.

use bytes::Bytes;

use serde_json::{Map, Value, json};

use super::call::Call;
use super::message::Id;
use super::method::{Judged, Method, Surface};
use super::revision::Revision;

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
    pub id: &'a Id,
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
    /// Too much of something (law 8): calls in a budget's time, calls at once, or requests that await approval.
    Limited {
        of: Surplus,
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
    /// The answer exists and is not given out (laws 13, 27, 31). `reason` is the stable code (law 18), `why` the
    /// sentence for people and models. `ran`: the client hears that the call was executed.
    Withheld {
        reason: &'a str,
        why: &'a str,
        ran: bool,
    },
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
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surplus {
    Calls,
    /// Requests of this caller that await approval.
    Requests,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    Unreachable,
    TimedOut,
    /// It answered, and not in a way that can be passed on.
    Malformed,
    TooLarge,
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
    #[must_use]
    pub fn by(call: &'a Call<'_>) -> Option<Self> {
        Some(Self {
            id: call.id.as_ref()?,
            revision: call.revision,
            method: call.method,
            name: call.name(),
        })
    }

    fn is_tool(&self) -> bool {
        self.method.judged == Judged::Tool
    }

    fn is_modern(&self) -> bool {
        self.revision.is_modern()
    }

    /// A result, complete in the newest revision's sense.
    fn result(&self, mut members: Map<String, Value>) -> Reply {
        if self.is_modern() {
            members
                .entry("resultType")
                .or_insert_with(|| "complete".into());
        }
        let result = Value::Object(members);
        let id = self.id.to_json();
        Reply::ok(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#
        ))
    }

    /// A tool's own kind of failure: the one answer that every client shows to its model.
    fn tool_error(&self, text: &str, marks: &Value) -> Reply {
        self.result(members(json!({
            "content": [{ "type": "text", "text": text }],
            "isError": true,
            "_meta": marks,
        })))
    }

    fn error(&self, code: i64, message: &str, data: Option<Value>) -> Reply {
        Reply::ok(error_body(Some(self.id), code, message, data))
    }

    /// For what has no answer of its own shape: a tool's failure for tools, an error for all else.
    fn failure(&self, code: i64, text: &str, marks: Value) -> Reply {
        if self.is_tool() {
            self.tool_error(text, &marks)
        } else {
            self.error(code, text, Some(marks))
        }
    }
}

impl Reply {
    pub(super) fn ok(body: String) -> Self {
        Self::with_status(200, body)
    }

    pub(super) fn with_status(http_status: u16, body: String) -> Self {
        Self {
            http_status,
            body: Bytes::from(body),
            retry_after: None,
        }
    }
}

/// The answer to a request.
#[must_use]
pub fn reply(asked: &Asked<'_>, answer: &Answer<'_>) -> Reply {
    match answer {
        Answer::Denied {
            reason,
            message,
            visible: true,
        } => denied(asked, reason, *message),
        Answer::Denied { visible: false, .. } => absent(asked, None),
        Answer::Limited {
            of,
            reason,
            retry_after_secs,
        } => limited(asked, *of, reason, *retry_after_secs),
        Answer::Pending {
            request,
            expires_at,
            state,
        } => pending(asked, request, expires_at, *state),
        Answer::Unapproved {
            request,
            why,
            reason,
        } => unapproved(asked, request, *why, *reason),
        Answer::Withheld { reason, why, ran } => withheld(asked, reason, why, *ran),
        Answer::Upstream { why } => upstream(asked, *why),
        Answer::Unavailable { reason } => {
            let text = format!("The guard cannot decide now ({reason}); nothing was done");
            asked.failure(code::INTERNAL, &text, denied_mark(reason, None))
        }
        Answer::AskedTooMuch { method } => {
            let text = format!("The server asked for `{method}`, which is not allowed here");
            asked.failure(code::DENIED, &text, denied_mark("server_request", None))
        }
    }
}

fn denied(asked: &Asked<'_>, reason: &str, message: Option<&str>) -> Reply {
    let mark = denied_mark(reason, message);
    match asked.method.judged {
        Judged::Tool => {
            let text = match message {
                Some(message) => format!("Denied by policy: {message}"),
                None => format!("Denied by policy ({reason})"),
            };
            asked.tool_error(&text, &mark)
        }
        // Refusing the first message of a session with a status makes clients look for an older transport.
        Judged::Open => asked.error(code::DENIED, "Denied by policy", Some(mark)),
        Judged::List(_)
        | Judged::Prompt
        | Judged::Resource
        | Judged::Completion
        | Judged::Listen
        | Judged::Task
        | Judged::Rule
        | Judged::As(_)
        | Judged::Relayed => absent(asked, Some(mark)),
    }
}

/// What the server itself would say of what it does not have; without a mark it is not to be told from that.
fn absent(asked: &Asked<'_>, mark: Option<Value>) -> Reply {
    let name = asked.name;
    let not_found = |message: &str, mark| asked.error(code::INVALID_PARAMS, message, mark);
    match asked.method.judged {
        Judged::Tool => not_found(&format!("Unknown tool: {name}"), mark),
        Judged::Prompt => not_found(&format!("Unknown prompt: {name}"), mark),
        Judged::Task => not_found("Task not found", mark),
        Judged::Resource => resource_not_found(asked, mark),
        Judged::List(surface) => empty_list(asked, surface, mark),
        Judged::Completion => {
            let mut result = members(json!({ "completion": { "values": [] } }));
            result.extend(mark.map(|mark| ("_meta".to_owned(), mark)));
            asked.result(result)
        }
        Judged::Open | Judged::Listen | Judged::Rule | Judged::As(_) | Judged::Relayed => {
            method_not_found(asked.id, asked.revision, mark)
        }
    }
}

/// A status of 404 ends the session of a legacy client, so only the newest revision gets it.
pub(super) fn method_not_found(id: &Id, revision: Revision, mark: Option<Value>) -> Reply {
    let status = if revision.is_modern() { 404 } else { 200 };
    let body = error_body(Some(id), code::METHOD_NOT_FOUND, "Method not found", mark);
    Reply::with_status(status, body)
}

fn resource_not_found(asked: &Asked<'_>, mark: Option<Value>) -> Reply {
    let code = if asked.is_modern() {
        code::INVALID_PARAMS
    } else {
        code::RESOURCE_NOT_FOUND_LEGACY
    };
    let mut data = members(json!({ "uri": asked.name }));
    data.extend(mark.map(members).unwrap_or_default());
    asked.error(code, "Resource not found", Some(Value::Object(data)))
}

fn empty_list(asked: &Asked<'_>, surface: Surface, mark: Option<Value>) -> Reply {
    let mut result = Map::new();
    result.insert(surface.member().to_owned(), json!([]));
    result.extend(mark.map(|mark| ("_meta".to_owned(), mark)));
    if asked.is_modern() {
        result.extend(members(json!({ "ttlMs": 0, "cacheScope": "private" })));
    }
    asked.result(result)
}

fn limited(asked: &Asked<'_>, of: Surplus, reason: &str, seconds: u64) -> Reply {
    let text = match of {
        Surplus::Calls => format!("Too many calls ({reason}); try again in {seconds} s"),
        Surplus::Requests => format!(
            "Too many requests await approval ({reason}); nothing was done. Wait until one is decided, or try \
             again in {seconds} s"
        ),
    };
    let marks = json!({ mark::DENIED: { "reason": reason }, mark::RETRY_AFTER: seconds });
    if asked.is_tool() {
        return asked.tool_error(&text, &marks);
    }
    Reply {
        http_status: 429,
        retry_after: Some(seconds),
        ..asked.error(code::LIMITED, &text, Some(marks))
    }
}

fn pending(asked: &Asked<'_>, request: &str, expires_at: &str, state: Option<&str>) -> Reply {
    let approval = json!({ "id": request, "status": "pending", "expiresAt": expires_at });
    let marks = json!({ mark::APPROVAL: approval });
    if let (Some(state), true) = (state, asked.is_modern() && asked.method.may_ask_back()) {
        return asked.result(members(json!({
            "resultType": "input_required",
            "requestState": state,
            "_meta": marks,
        })));
    }
    let text = format!(
        "Approval {request} is pending and nothing was done yet. Once it is approved, repeat the same call with \
         the same arguments, before {expires_at}"
    );
    asked.failure(code::PENDING, &text, marks)
}

fn unapproved(asked: &Asked<'_>, request: &str, why: Unapproved, reason: Option<&str>) -> Reply {
    let (status, what) = why.told();
    let text = match reason {
        Some(reason) => format!("Approval {request}: {what}. Reason given: {reason}"),
        None => format!("Approval {request}: {what}"),
    };
    let mut approval = members(json!({ "id": request, "status": status }));
    approval.extend(reason.map(|reason| ("reason".to_owned(), reason.into())));
    let marks = json!({ mark::APPROVAL: approval });
    asked.failure(code::UNAPPROVED, &text, marks)
}

impl Unapproved {
    /// The stable code, and the words for people and models.
    const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Denied => ("denied", "an approver denied it; nothing was done"),
            Self::Expired => ("expired", "nobody decided in time; nothing was done"),
            Self::Withdrawn => ("withdrawn", "it was withdrawn; nothing was done"),
            Self::Revoked => (
                "revoked",
                "it was revoked; what had begun may have taken effect",
            ),
            Self::Used => (
                "used",
                "it was used by an identical call, which ran once; it does not run again",
            ),
            Self::UsedOutcomeUnknown => (
                "used_outcome_unknown",
                "it was used, and whether the call took effect is unknown; check before asking again",
            ),
        }
    }
}

fn withheld(asked: &Asked<'_>, reason: &str, why: &str, ran: bool) -> Reply {
    let text = if ran {
        format!(
            "The call was executed, and its answer is withheld ({why}). Do not repeat it blindly"
        )
    } else {
        format!("The answer is withheld ({why}); the call was not executed")
    };
    let marks = json!({ mark::DENIED: { "reason": reason, "withheld": true, "executed": ran } });
    asked.failure(code::WITHHELD, &text, marks)
}

fn upstream(asked: &Asked<'_>, why: Upstream) -> Reply {
    let (status, text) = match why {
        Upstream::Unreachable => (502, "The server cannot be reached"),
        Upstream::TimedOut => (
            504,
            "The server did not answer in time; the call may have been executed",
        ),
        Upstream::Malformed => (
            502,
            "The server's answer cannot be read; the call may have been executed",
        ),
        Upstream::TooLarge => (
            502,
            "The server's answer is too large; the call may have been executed",
        ),
    };
    Reply {
        http_status: status,
        ..asked.error(code::INTERNAL, text, None)
    }
}

/// The error that a server hears when it asks the client for what is not allowed (legacy).
#[must_use]
pub fn to_server(id: &Id, method: &str) -> Bytes {
    let text = format!("Method not found: `{method}` is not allowed here");
    let mark = denied_mark("server_request", None);
    Bytes::from(error_body(
        Some(id),
        code::METHOD_NOT_FOUND,
        &text,
        Some(mark),
    ))
}

pub(super) fn denied_mark(reason: &str, message: Option<&str>) -> Value {
    let mut denied = members(json!({ "reason": reason }));
    denied.extend(message.map(|message| ("message".to_owned(), message.into())));
    json!({ mark::DENIED: denied })
}

/// An error without an id has no `id` member: the newest schema knows no null there, older ones tolerate it.
pub(super) fn error_body(id: Option<&Id>, code: i64, message: &str, data: Option<Value>) -> String {
    let mut error = members(json!({ "code": code, "message": message }));
    error.extend(data.map(|data| ("data".to_owned(), data)));
    let error = Value::Object(error);
    match id {
        Some(id) => format!(
            r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#,
            id.to_json()
        ),
        None => format!(r#"{{"jsonrpc":"2.0","error":{error}}}"#),
    }
}

/// The members of what `json!` made from braces.
fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}
