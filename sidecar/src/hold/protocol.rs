//! What is said over the approval socket: one JSON object a line, one answer a line.
//!
//! Small on purpose: a shell can speak it. Only `watch` answers with more than one line, and goes on until
//! either side hangs up.

use sallyport_policy::approval::Verdict;
use sallyport_policy::approval::object::{RequestObject, ReviewObject};
use sallyport_policy::name::{Digest, RequestId};
use sallyport_policy::source::GoDuration;
use serde::{Deserialize, Serialize};

/// The socket's name in the state folder.
pub const SOCKET: &str = "approvals.sock";
/// Longest line of a question, in bytes.
pub const LINE_LIMIT: u64 = 64 * 1024;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", deny_unknown_fields)]
pub enum Question {
    /// All requests, oldest first.
    List,
    /// One request with its reviews.
    Get {
        name: RequestId,
    },
    Review(Word),
    Request(AskedWindow),
    Withdraw {
        name: RequestId,
        #[serde(rename = "as")]
        by: String,
    },
    /// All pending requests now, then each request as it changes.
    Watch,
}

/// What a reviewer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Word {
    pub name: RequestId,
    pub verdict: Verdict,
    /// Who says so; standalone this is asserted, and written down as such.
    #[serde(rename = "as")]
    pub by: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Digest of the preview that the reviewer was shown; needed to approve where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_digest: Option<Digest>,
}

/// A window asked for ahead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AskedWindow {
    /// Who will use it.
    #[serde(rename = "as")]
    pub by: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Whose name that is; needed only where the gateway trusts more issuers than the standalone one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The gateway that is meant, to be sure; a guard has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The one agent that may use it; any agent where none, and approvers are told so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    pub tool: String,
    #[serde(rename = "for")]
    pub duration: GoDuration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_uses: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    Requests(Vec<RequestObject>),
    /// The request as it stands after what was asked, with its reviews.
    Request(Box<Seen>),
    /// One line of `watch`.
    Changed(Box<RequestObject>),
    Error(Fault),
}

/// A request and what was said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    pub request: RequestObject,
    pub reviews: Vec<ReviewObject>,
    /// Whether approvals come from another account of the operating system than the guard's (law 24).
    pub two_person: bool,
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub code: FaultCode,
    pub message: String,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// The line is not a question.
    NotAQuestion,
    /// There is no such request.
    UnknownRequest,
    /// The word does not count, or the window cannot be asked for.
    Refused,
    /// We could not store it.
    Unavailable,
}
