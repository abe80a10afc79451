//! The laws of strict JSON, by table and by property.

mod canonical;
mod fold;
mod oracle;
mod parse;
mod splice;

use bytes::Bytes;

use super::{Document, JsonError, Limits};

fn request(text: &str) -> Result<Document, JsonError> {
    Document::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::REQUEST)
}

fn response(text: &str) -> Result<Document, JsonError> {
    Document::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::RESPONSE)
}

fn parsed(text: &str) -> Document {
    response(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}
