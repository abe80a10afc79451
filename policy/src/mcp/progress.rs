//! Progress of our own while a call waits, and the server's progress after it.
//!
//! A token's progress must strictly increase, so what the server says afterwards is shifted past what we said.

use bytes::Bytes;

use super::message::Id;
use crate::json::Document;
use crate::json::Node;

/// The progress of one token that we have spoken on.
#[derive(Clone, Debug)]
pub struct Waiting {
    token: Id,
    said: u32,
}

impl Waiting {
    #[must_use]
    pub fn new(token: Id) -> Self {
        Self { token, said: 0 }
    }

    /// The next `notifications/progress`; each is a thousandth further than the one before.
    pub fn say(&mut self, message: &str) -> Bytes {
        todo!()
    }

    /// The server's `notifications/progress` for the same token, past ours. None: another token, or we said nothing.
    pub fn shift(&self, document: &Document, message: Node<'_>) -> Option<Bytes> {
        todo!()
    }
}
