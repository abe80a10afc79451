//! Prints the custom resource definitions, byte for byte the same every time.

use std::collections::BTreeMap;

use sallyport_policy::source::consistency as says;
use serde_json::{Map, Value, json};

use crate::kinds;

/// What stands at the top of each printed file.
const HEADER: &str = "# Printed by `crdgen` from the types in policy/src/source; edit those.\n";

/// Our own words in schemas, which the API server does not know.
const OWN_PREFIX: &str = "x-sallyport-";

/// Where a schema keeps its CEL rules.
pub(crate) const RULES: &str = "x-kubernetes-validations";

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
    for (name, mut definition) in definitions()? {
        in_words_of_the_schema(&mut definition);
        let yaml = serde_yaml::to_string(&definition).map_err(|error| Unprintable {
            kind: name.clone(),
            reason: error.to_string(),
        })?;
        files.insert(format!("{name}.yaml"), format!("{HEADER}{yaml}"));
    }
    Ok(files)
}

/// The definitions with every rule that they state, by plural name.
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

/// Takes out the rules that CEL cannot judge and says the same in the schema's own words: CEL sees no field whose values
/// may be of several types, and the API server refuses a definition with a rule about one.
fn in_words_of_the_schema(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let mut more = Map::new();
            if let Some(Value::Array(rules)) = fields.get_mut(RULES) {
                rules.retain(|rule| {
                    match rule.get("message").and_then(Value::as_str).and_then(words) {
                        Some(words) => {
                            more.extend(words);
                            false
                        }
                        None => true,
                    }
                });
            }
            fields.retain(|key, value| {
                key != RULES || value.as_array().is_none_or(|rules| !rules.is_empty())
            });
            fields.extend(more);
            fields.values_mut().for_each(in_words_of_the_schema);
        }
        Value::Array(items) => items.iter_mut().for_each(in_words_of_the_schema),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What the schema says for a sentence that CEL cannot judge.
fn words(sentence: &str) -> Option<Map<String, Value>> {
    let words = match sentence {
        says::SOME_SUBJECT => json!({ "minProperties": 1 }),
        says::OPERATOR_VALUES => {
            let alone = json!({ "enum": ["Exists", "DoesNotExist"] });
            json!({ "anyOf": [
                { "properties": { "operator": alone, "values": { "maxItems": 0 } } },
                { "properties": { "operator": { "not": alone }, "values": { "minItems": 1 } }, "required": ["values"] },
            ] })
        }
        _ => return None,
    };
    words.as_object().cloned()
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
