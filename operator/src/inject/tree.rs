//! Steps into a pod's JSON that never panic: what has another form than a pod's is refused.

use serde_json::{Map, Value};

use super::denial::Denial;

type Object = Map<String, Value>;

/// The object at a key, made where it is missing.
pub(super) fn object<'a>(value: &'a mut Value, key: &str) -> Result<&'a mut Object, Denial> {
    let whole = value.as_object_mut().ok_or_else(|| Denial::form(key))?;
    object_of(whole, key)
}

/// As [`object`], in an object. `null` is what a client may send for "not set".
pub(super) fn object_of<'a>(object: &'a mut Object, key: &str) -> Result<&'a mut Object, Denial> {
    let entry = object.entry(key).or_insert(Value::Null);
    if entry.is_null() {
        *entry = Value::Object(Object::new());
    }
    entry.as_object_mut().ok_or_else(|| Denial::form(key))
}

/// The list at a key, made where it is missing.
pub(super) fn list<'a>(object: &'a mut Object, key: &str) -> Result<&'a mut Vec<Value>, Denial> {
    let entry = object.entry(key).or_insert(Value::Null);
    if entry.is_null() {
        *entry = Value::Array(Vec::new());
    }
    entry.as_array_mut().ok_or_else(|| Denial::form(key))
}

/// The pod's spec.
pub(super) fn spec(pod: &mut Value) -> Result<&mut Object, Denial> {
    object(pod, "spec")
}

/// The items of a list that may be missing.
pub(super) fn items<'a>(value: &'a Value, pointer: &str) -> Result<&'a [Value], Denial> {
    match value.pointer(pointer) {
        None | Some(Value::Null) => Ok(&[]),
        Some(found) => found
            .as_array()
            .map(Vec::as_slice)
            .ok_or_else(|| Denial::form(pointer)),
    }
}

/// A text, where there is one.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

/// The name of a container, volume or port.
pub(super) fn name(value: &Value) -> &str {
    text(value, "/name").unwrap_or_default()
}

/// Whether a switch is set; what is no boolean is refused.
pub(super) fn is_set(value: &Value, pointer: &str) -> Result<bool, Denial> {
    match value.pointer(pointer) {
        None | Some(Value::Null) => Ok(false),
        Some(found) => found.as_bool().ok_or_else(|| Denial::form(pointer)),
    }
}

/// Whether something is there and says something.
pub(super) fn says(value: &Value, pointer: &str) -> bool {
    match value.pointer(pointer) {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => true,
    }
}

/// All containers of a pod that are not ours, init containers first, with where they stand.
pub(super) fn containers(pod: &Value) -> Result<Vec<&Value>, Denial> {
    let inits = items(pod, "/spec/initContainers")?;
    let mains = items(pod, "/spec/containers")?;
    Ok(inits.iter().chain(mains).collect())
}
