//! Server-sent events as bytes: a push parser that is bounded and does not care how the stream was cut, and a writer.
//!
//! Events keep their `id`, `retry` and emptiness, since clients resume by them; an event that the stream's end
//! cuts off is never completed (traps 32 and 33).

mod parse;
#[cfg(test)]
mod tests;
mod write;

use bytes::Bytes;

pub use parse::Parser;
pub use write::comment;

/// What a stream carries, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Event(Event),
    /// A line that starts with a colon, without the colon; keep-alives.
    Comment(Bytes),
}

/// One block of fields, ended by a blank line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// None is `message`.
    pub event: Option<String>,
    /// Some and empty resets the client's last event id.
    pub id: Option<String>,
    /// Milliseconds.
    pub retry: Option<u64>,
    /// None: no `data` line, so no event for the client; empty: a priming event.
    pub data: Option<Bytes>,
}

/// The server's fault; the stream cannot be read further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    #[error("an event is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("`{0}` of an event is not UTF-8")]
    Utf8(&'static str),
}

impl Event {
    /// An event with data alone.
    #[must_use]
    pub fn message(data: Bytes) -> Self {
        Self {
            data: Some(data),
            ..Self::default()
        }
    }

    /// `message` where the stream did not say.
    #[must_use]
    pub fn name(&self) -> &str {
        self.event.as_deref().unwrap_or("message")
    }

    /// Whether clients read JSON-RPC from it (trap 34). What carries data under another name must not be passed on
    /// unread.
    #[must_use]
    pub fn is_message(&self) -> bool {
        self.name() == "message" && self.data.as_ref().is_some_and(|data| !data.is_empty())
    }
}
