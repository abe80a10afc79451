//! Tests of the protocol rooms: tables, the corpus, and the traps of the protocol by name.

mod agreement;
mod answer;
mod call;
mod era;
mod headers;
mod list;
mod message;
mod method;
mod result;

use bytes::Bytes;

use super::{Body, Call, Direction, Message, Revision};
use crate::json::{Document, Limits};

pub(super) fn document(text: impl Into<Bytes>) -> Document {
    Document::parse(text.into(), Limits::RESPONSE).unwrap()
}

/// A request to the server, with params as JSON text.
pub(super) fn request(method: &str, params: &str) -> Document {
    document(format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{params}}}"#
    ))
}

/// A response with a result as JSON text.
pub(super) fn response(result: &str) -> Document {
    document(format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#))
}

/// Params of the newest revision: those given, and the metadata that it demands.
pub(super) fn modern(members: &str, capabilities: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(
        r#"{{{members}{comma}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{capabilities}}}}}"#
    )
}

pub(super) fn call(document: &Document, revision: Revision) -> Call<'_> {
    let message = Message::parse(document).unwrap();
    Call::of(&message, Direction::ToServer, revision).unwrap()
}

pub(super) fn body(document: &Document) -> Body<'_> {
    Body::parse(document).unwrap()
}
