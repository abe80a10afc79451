//! Prints the custom resource definitions, byte for byte the same every time.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::kinds;

/// What stands at the top of each printed file.
const HEADER: &str = "# Printed by `crdgen` from the types in policy/src/source; edit those.\n";

/// Our own words in schemas, which the API server does not know.
const OWN_PREFIX: &str = "x-sallyport-";

/// A definition that cannot be printed: a mistake in this crate, never in a user's file.
#[derive(Debug, thiserror::Error)]
#[error("the definition of `{kind}` cannot be printed: {reason}")]
pub struct Unprintable {
    kind: String,
    reason: String,
}

/// The definitions as YAML, by file name.
///
/// # Errors
/// Only if a type of ours has no schema that Kubernetes can read; the goldens prove that none does.
pub fn files() -> Result<BTreeMap<String, String>, Unprintable> {
    let mut files = BTreeMap::new();
    for (name, definition) in definitions()? {
        let yaml = serde_yaml::to_string(&definition).map_err(|error| Unprintable {
            kind: name.clone(),
            reason: error.to_string(),
        })?;
        files.insert(format!("{name}.yaml"), format!("{HEADER}{yaml}"));
    }
    Ok(files)
}

/// The definitions as the API server takes them, by plural name.
pub(crate) fn definitions() -> Result<BTreeMap<String, Value>, Unprintable> {
    let mut definitions = BTreeMap::new();
    for definition in kinds::definitions() {
        let name = definition.spec.names.plural.clone();
        let mut value = serde_json::to_value(definition).map_err(|error| Unprintable {
            kind: name.clone(),
            reason: error.to_string(),
        })?;
        tidy(&mut value);
        definitions.insert(name, value);
    }
    Ok(definitions)
}

/// Takes out our own words, and `nullable`: two ways to say nothing would be one too many, and CEL's `has` tells them apart.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, value| {
                let says_nullable = key == "nullable" && value.is_boolean();
                // The API server warns of formats that it does not know; the bounds say the same.
                let format = value.as_str().filter(|_| key == "format");
                let unsigned = format.is_some_and(|format| format.starts_with("uint"));
                !key.starts_with(OWN_PREFIX) && !says_nullable && !unsigned
            });
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
