//! What can go wrong on the way, and how the client hears of it: as an error of its own request.

use bytes::Bytes;
use http::StatusCode;
use sallyport_policy::mcp::Id;
use sallyport_policy::mcp::answer::code;
use serde_json::{Value, json};

/// Why a request has no answer of the server.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the guarded server cannot be reached: {0}; is it running, and is the URL right?")]
    Unreachable(String),
    #[error("the guarded server broke off: {0}; the call may have run")]
    BrokeOff(String),
    #[error("the guarded server ended the stream before the answer; the call may have run")]
    NoAnswer,
    #[error("the guarded server did not answer in time; the call may have run")]
    TimedOut,
    #[error("{}", refusal(*.status, .challenge.as_deref(), .text))]
    Refused {
        status: StatusCode,
        challenge: Option<String>,
        retry_after: Option<u64>,
        text: String,
    },
    #[error("the session is over, and no new one could be opened; restart the client")]
    SessionGone,
    #[error("the token cannot be used: {0}")]
    Token(String),
    #[error("the message cannot be sent over HTTP: {0}")]
    Unsendable(String),
}

fn refusal(status: StatusCode, challenge: Option<&str>, text: &str) -> String {
    let why = if text.is_empty() {
        String::new()
    } else {
        format!(": {text}")
    };
    match status {
        StatusCode::UNAUTHORIZED => {
            let told = challenge
                .map(|challenge| format!(" ({challenge})"))
                .unwrap_or_default();
            format!(
                "the guard does not accept the token{told}; renew it, or name one with --token-file"
            )
        }
        StatusCode::FORBIDDEN => {
            let told = challenge
                .map(|challenge| format!(" ({challenge})"))
                .unwrap_or_default();
            format!("the guard refuses this{told}{why}")
        }
        StatusCode::NOT_FOUND => format!("nothing is served at this URL{why}"),
        other => format!("the guard answered {other}{why}"),
    }
}

impl Trouble {
    /// The error that answers a request.
    pub(super) fn answer(&self, id: &Id) -> Bytes {
        let mut data = json!({});
        if let Self::Refused {
            status,
            retry_after,
            ..
        } = self
        {
            data = json!({ "httpStatus": status.as_u16() });
            if let (Some(seconds), Some(data)) = (retry_after, data.as_object_mut()) {
                data.insert("retryAfter".to_owned(), Value::from(*seconds));
            }
        }
        error_line(Some(id), code::INTERNAL, &self.to_string(), &data)
    }
}

/// A JSON-RPC error of ours.
pub(super) fn error_line(id: Option<&Id>, code: i64, message: &str, data: &Value) -> Bytes {
    let mut error = json!({ "code": code, "message": message });
    if let Some(error) = error.as_object_mut()
        && data.as_object().is_some_and(|data| !data.is_empty())
    {
        error.insert("data".to_owned(), data.clone());
    }
    let id = id.map_or_else(|| "null".to_owned(), Id::to_json);
    Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_the_requests_id_as_it_was() {
        let line = Trouble::NoAnswer.answer(&Id::text("a\"b"));
        let value: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["id"], "a\"b");
        assert_eq!(value["error"]["code"], code::INTERNAL);
        assert!(value["error"].get("data").is_none());
    }

    #[test]
    fn a_refusal_tells_the_status_and_what_to_do() {
        let trouble = Trouble::Refused {
            status: StatusCode::UNAUTHORIZED,
            challenge: Some("the token has expired".to_owned()),
            retry_after: Some(3),
            text: String::new(),
        };
        let value: Value = serde_json::from_slice(&trouble.answer(&Id::integer(7))).unwrap();
        assert_eq!(value["id"], 7);
        assert_eq!(
            value["error"]["data"],
            json!({"httpStatus": 401, "retryAfter": 3})
        );
        let message = value["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("the token has expired") && message.contains("--token-file"),
            "{message}"
        );
    }
}
