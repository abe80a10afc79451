//! What a document says, as one text: equal for two readers exactly where they read the same message.
//!
//! `M` and the fields of [`FIELDS`] with `|` between, or `B` and such messages with `;` between. Texts are hex, numbers
//! the bits of a double, objects sorted by key; null and absent are one. The programs in `readers/` write the same.

use std::fmt::Write;

use bytes::Bytes;
use sallyport_policy::json::{Document, Kind, Limits, Node};
use sallyport_policy::mcp::Body;
use sallyport_policy::name::Digest;
use serde_json::Value;

/// The fields that a server acts on, by path.
pub(super) const FIELDS: &[&[&str]] = &[
    &["jsonrpc"],
    &["id"],
    &["method"],
    &["params", "name"],
    &["params", "arguments"],
    &["params", "uri"],
    &["params", "cursor"],
    &["params", "protocolVersion"],
    &["params", "requestId"],
    &["params", "progressToken"],
    &["params", "taskId"],
    &["params", "level"],
    &["params", "requestState"],
    &["params", "ref", "type"],
    &["params", "ref", "name"],
    &["params", "ref", "uri"],
    &["params", "argument", "name"],
    &["params", "argument", "value"],
    &["params", "_meta", "progressToken"],
    &["params", "_meta", "io.modelcontextprotocol/protocolVersion"],
    &[
        "params",
        "_meta",
        "io.modelcontextprotocol/clientCapabilities",
    ],
    &["result", "content"],
    &["result", "structuredContent"],
    &["result", "isError"],
    &["result", "nextCursor"],
    &["result", "tools"],
    &["error", "code"],
    &["error", "message"],
    &["error", "data"],
];

/// A document as somebody read it.
#[derive(Debug)]
pub(super) struct Reading(String);

impl Reading {
    /// What the guard judged; none where it refuses the document or the message.
    pub(super) fn judged(document: &[u8]) -> Option<Self> {
        let document = Document::parse(Bytes::copy_from_slice(document), Limits::REQUEST).ok()?;
        let body = Body::parse(&document).ok()?;
        let nodes: Vec<Node<'_>> = body
            .messages()
            .iter()
            .map(|message| message.node())
            .collect();
        let message = |node: &Node<'_>| fields(|path| judged_field(*node, path));
        Some(Self(match body {
            Body::One(_) => format!("M{}", joined(&nodes, message)),
            Body::Batch(_) => format!("B{}", joined(&nodes, message)),
        }))
    }

    /// What serde_json reads, which the product reads its own files with.
    pub(super) fn by_serde(document: &[u8]) -> Option<Self> {
        let read: Value = serde_json::from_slice(document).ok()?;
        Some(Self(match &read {
            Value::Array(elements) => format!("B{}", joined(elements, serde_message)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => format!("M{}", serde_message(&read)),
        }))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// The first half of its SHA-256's first half, as the readers answer.
    pub(super) fn digest(&self) -> String {
        let digest = Digest::of(self.0.as_bytes());
        let short = digest.as_bytes().iter().take(8);
        short.fold(String::new(), |mut text, byte| {
            push(&mut text, format_args!("{byte:02x}"));
            text
        })
    }
}

fn joined<T>(elements: &[T], message: impl Fn(&T) -> String) -> String {
    elements.iter().map(message).collect::<Vec<_>>().join(";")
}

fn fields(mut field: impl FnMut(&[&str]) -> String) -> String {
    FIELDS
        .iter()
        .map(|path| field(path))
        .collect::<Vec<_>>()
        .join("|")
}

fn judged_field(message: Node<'_>, path: &[&str]) -> String {
    let found = path.iter().try_fold(message, |node, step| node.get(step));
    let mut text = String::new();
    match found {
        Some(node) => push_node(&mut text, node),
        None => text.push('n'),
    }
    text
}

fn push_node(to: &mut String, node: Node<'_>) {
    match node.kind() {
        Kind::Null => to.push('n'),
        Kind::Bool => to.push(if node.as_bool() == Some(true) {
            't'
        } else {
            'f'
        }),
        Kind::Number => push_number(to, node.number().and_then(|lexeme| lexeme.parse().ok())),
        Kind::String => push_text(to, &node.as_str().unwrap_or_default()),
        Kind::Array => {
            let mut between = "[";
            for element in node.elements() {
                to.push_str(between);
                push_node(to, element);
                between = ",";
            }
            to.push_str(if between == "[" { "[]" } else { "]" });
        }
        Kind::Object => {
            let member = |(key, value): (Node<'_>, Node<'_>)| {
                let mut text = String::new();
                push_node(&mut text, value);
                (hex(&key.as_str().unwrap_or_default()), text)
            };
            push_members(to, node.members().map(member).collect());
        }
    }
}

fn serde_message(message: &Value) -> String {
    let mut text = String::new();
    if !message.is_object() {
        push_value(&mut text, message);
        return text;
    }
    fields(|path| {
        let found = path.iter().try_fold(message, |value, step| value.get(step));
        let mut text = String::new();
        push_value(&mut text, found.unwrap_or(&Value::Null));
        text
    })
}

fn push_value(to: &mut String, value: &Value) {
    match value {
        Value::Null => to.push('n'),
        Value::Bool(value) => to.push(if *value { 't' } else { 'f' }),
        Value::Number(number) => push_number(to, number.as_f64()),
        Value::String(text) => push_text(to, text),
        Value::Array(elements) => {
            let element = |element: &Value| {
                let mut text = String::new();
                push_value(&mut text, element);
                text
            };
            let elements: Vec<String> = elements.iter().map(element).collect();
            push(to, format_args!("[{}]", elements.join(",")));
        }
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                let mut text = String::new();
                push_value(&mut text, value);
                (hex(key), text)
            };
            push_members(to, members.iter().map(member).collect());
        }
    }
}

fn push_members(to: &mut String, mut members: Vec<(String, String)>) {
    members.sort();
    let members: Vec<String> = members
        .into_iter()
        .map(|(key, value)| format!("{key}:{value}"))
        .collect();
    push(to, format_args!("{{{}}}", members.join(",")));
}

/// Minus zero is zero: no server tells them apart in what counts, and JavaScript writes it so.
fn push_number(to: &mut String, number: Option<f64>) {
    match number {
        Some(number) => {
            let number = if number == 0.0 { 0.0 } else { number };
            push(to, format_args!("d{:016x}", number.to_bits()));
        }
        None => to.push('?'),
    }
}

fn push_text(to: &mut String, text: &str) {
    push(to, format_args!("s{}", hex(text)));
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        push(&mut hex, format_args!("{byte:02x}"));
        hex
    })
}

fn push(to: &mut String, text: std::fmt::Arguments<'_>) {
    // A text grows without fail.
    let written = to.write_fmt(text);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use super::Reading;

    #[test]
    fn the_guard_and_serde_read_one_message_alike_in_any_spelling() {
        let rows = [
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            r#"{ "params":{"arguments":{"b":[1e0,-0,null],"a":{}},"n\u0061me":"t"},"method":"tools\/call","jsonrpc":"2.0","id":"x" }"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"x","params":{"_meta":{"progressToken":1}}}]"#,
        ];
        for row in rows {
            let judged = Reading::judged(row.as_bytes()).unwrap();
            let read = Reading::by_serde(row.as_bytes()).unwrap();
            assert_eq!(judged.text(), read.text(), "{row}");
            assert_eq!(judged.digest().len(), 16);
        }
    }

    #[test]
    fn other_messages_have_other_readings() {
        let reading = |text: &str| Reading::judged(text.as_bytes()).unwrap().digest();
        let one = reading(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        assert_ne!(
            one,
            reading(r#"{"jsonrpc":"2.0","id":"1","method":"ping"}"#)
        );
        assert_ne!(
            one,
            reading(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#)
        );
        assert!(
            Reading::judged(br#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"x"}"#).is_none()
        );
    }
}
