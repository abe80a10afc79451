//! The difference of two JSON values as a JSON Patch (RFC 6902).
//!
//! Lists are compared from both ends, so that what was put before others is added and not everything replaced: another
//! webhook's element is never written anew by us.

use serde_json::{Map, Value, json};

/// The operations that make `after` of `before`; none where they are equal.
#[must_use]
pub fn between(before: &Value, after: &Value) -> Vec<Value> {
    let mut operations = Vec::new();
    differ("", before, after, &mut operations);
    operations
}

fn differ(path: &str, before: &Value, after: &Value, to: &mut Vec<Value>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Value::Object(before), Value::Object(after)) => objects(path, before, after, to),
        (Value::Array(before), Value::Array(after)) => lists(path, before, after, to),
        (_, after) => to.push(json!({ "op": "replace", "path": path, "value": after })),
    }
}

fn objects(
    path: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    to: &mut Vec<Value>,
) {
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        to.push(json!({ "op": "remove", "path": below(path, key) }));
    }
    for (key, value) in after {
        let path = below(path, key);
        match before.get(key) {
            Some(old) => differ(&path, old, value, to),
            None => to.push(json!({ "op": "add", "path": path, "value": value })),
        }
    }
}

fn lists(path: &str, before: &[Value], after: &[Value], to: &mut Vec<Value>) {
    let alike = |(a, b): &(&Value, &Value)| same_item(a, b);
    let shorter = before.len().min(after.len());
    let head = before.iter().zip(after).take_while(alike).count();
    let tail = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take_while(alike)
        .count();
    let tail = tail.min(shorter - head);
    let (old, new) = (before.len() - head - tail, after.len() - head - tail);
    let at = |index: usize| below(path, &index.to_string());
    // Operations follow one another, so indices are those of the list as it then is.
    for (index, (a, b)) in before.iter().zip(after).enumerate().take(head) {
        differ(&at(index), a, b, to);
    }
    for _ in 0..old {
        to.push(json!({ "op": "remove", "path": at(head) }));
    }
    for (index, value) in after.iter().enumerate().skip(head).take(new) {
        to.push(json!({ "op": "add", "path": at(index), "value": value }));
    }
    let ends = before
        .iter()
        .skip(head + old)
        .zip(after.iter().skip(head + new));
    for (index, (a, b)) in ends.enumerate() {
        differ(&at(head + new + index), a, b, to);
    }
}

/// Whether two items are one item that changed: Kubernetes' lists of objects go by name.
fn same_item(before: &Value, after: &Value) -> bool {
    match (before.get("name"), after.get("name")) {
        (Some(before), Some(after)) => before == after,
        (None, None) => before == after,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// RFC 6901: `~` and `/` in a key are escaped.
fn below(path: &str, key: &str) -> String {
    format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
}
