//! `kind: Secret` documents. Values go straight into their wiping type and into no message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sallyport_policy::source::{SecretValue, Secrets};

use super::mistake::Mistake;
use super::place::{ObjectName, field_path};
use super::tree::{Content, Entry, Node};

/// Reads the values of a Secret; `stringData` wins over `data`, as in the API server.
pub(super) fn read(root: &Node, object: &ObjectName, secrets: &mut Secrets) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for entry in entries(root, "data") {
        let text = entry.value.text().unwrap_or_default();
        // Block scalars end in a line break, which is no part of the base64 text.
        match STANDARD.decode(text.trim_end()) {
            Ok(bytes) => put(secrets, object, &entry.key, bytes),
            Err(_) => {
                let path = field_path("data", &entry.key);
                let mistake = Mistake::at(&entry.value.place, "base64", "another text (not shown)");
                let hint = "plain texts go under `stringData`";
                mistakes.push(mistake.with_path(&path).with_hint(hint));
            }
        }
    }
    for entry in entries(root, "stringData") {
        let text = entry.value.text().unwrap_or_default();
        put(secrets, object, &entry.key, text.as_bytes().to_vec());
    }
    mistakes
}

fn entries<'a>(root: &'a Node, field: &str) -> &'a [Entry] {
    match root.field(field).map(|node| &node.content) {
        Some(Content::Map(entries)) => entries,
        Some(Content::Scalar(_) | Content::List(_)) | None => &[],
    }
}

fn put(secrets: &mut Secrets, object: &ObjectName, key: &str, bytes: Vec<u8>) {
    secrets.insert(
        &object.namespace,
        &object.name,
        key,
        SecretValue::new(bytes),
    );
}
