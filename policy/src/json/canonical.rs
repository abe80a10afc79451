//! One spelling for all documents that mean the same: what digests are made of (law 19).

use std::borrow::Cow;

use super::{JsonError, Kind, Node, text};

/// Beyond this power of ten a number's plain digits could be made to fill memory by whoever prints them.
const LARGEST_EXPONENT: u64 = 400;

/// RFC 8785 key order and string form, numbers as normalised exact decimals (law 19): `1`, `1.0`, `1e0` give the same bytes.
/// Refuses exponents beyond +-400.
pub fn canonical(node: Node<'_>) -> Result<Vec<u8>, JsonError> {
    let mut text = String::with_capacity(node.raw().len());
    push_value(&mut text, node)?;
    Ok(text.into_bytes())
}

fn push_value(to: &mut String, node: Node<'_>) -> Result<(), JsonError> {
    match node.kind() {
        Kind::Null => to.push_str("null"),
        Kind::Bool if node.as_bool() == Some(true) => to.push_str("true"),
        Kind::Bool => to.push_str("false"),
        Kind::Number => push_number(to, node)?,
        Kind::String => text::push_quoted(to, &key_text(node)),
        Kind::Array => push_array(to, node)?,
        Kind::Object => push_object(to, node)?,
    }
    Ok(())
}

fn push_number(to: &mut String, node: Node<'_>) -> Result<(), JsonError> {
    match node.decimal() {
        Some(value) if value.exponent().unsigned_abs() <= LARGEST_EXPONENT => {
            value.push_to(to);
            Ok(())
        }
        Some(_) | None => Err(JsonError::NumberRange {
            at: node.span().start,
        }),
    }
}

fn push_array(to: &mut String, array: Node<'_>) -> Result<(), JsonError> {
    to.push('[');
    for (place, element) in array.elements().enumerate() {
        if place > 0 {
            to.push(',');
        }
        push_value(to, element)?;
    }
    to.push(']');
    Ok(())
}

fn push_object(to: &mut String, object: Node<'_>) -> Result<(), JsonError> {
    let mut members: Vec<_> = object
        .members()
        .map(|(key, value)| (key_text(key), value))
        .collect();
    // RFC 8785 section 3.2.3: by UTF-16 code units, which is not the order of UTF-8 bytes beyond U+FFFF.
    members.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    to.push('{');
    for (place, (key, value)) in members.into_iter().enumerate() {
        if place > 0 {
            to.push(',');
        }
        text::push_quoted(to, &key);
        to.push(':');
        push_value(to, value)?;
    }
    to.push('}');
    Ok(())
}

/// The text of a node that is known to be a string.
fn key_text(string: Node<'_>) -> Cow<'_, str> {
    string.as_str().unwrap_or_default()
}
