//! The reference page of our kinds, from the same definitions as everything else.

use serde_json::{Map, Value};

use crate::generate::{RULES, Unprintable, definitions};

const HEAD: &str = "# Reference of the kinds

Printed by `crdgen` from the types in `policy/src/source`; edit those. Everything is `sallyport.dev/v1alpha1`. A field in
bold must be given. What a field exactly does, where two people would guess differently, is tested law by law.
";

/// The page as Markdown.
///
/// # Errors
/// Only if a type of ours has no schema that can be printed; the golden proves that none does.
pub fn page() -> Result<String, Unprintable> {
    let mut page = HEAD.to_owned();
    for (_, definition) in definitions()? {
        kind(&definition, &mut page);
    }
    Ok(page)
}

fn kind(definition: &Value, page: &mut String) {
    let text = |pointer: &str| {
        definition
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let name = text("/spec/names/kind");
    let short = text("/spec/names/shortNames/0");
    let scope = text("/spec/scope").to_lowercase();
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    let description = text(&format!("{schema}/description"));
    page.push_str(&format!(
        "\n## {name}\n\n{description} Short name `{short}`, {scope}.\n"
    ));
    for section in ["spec", "status"] {
        let Some(schema) = definition.pointer(&format!("{schema}/properties/{section}")) else {
            continue;
        };
        page.push_str("\n| field | type | meaning |\n| --- | --- | --- |\n");
        fields(schema, section, page);
    }
}

fn fields(schema: &Value, path: &str, page: &mut String) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    for (name, property) in properties {
        let path = format!("{path}.{name}");
        let Some(fields) = property.as_object() else {
            continue;
        };
        row(&path, fields, required.contains(&name.as_str()), page);
        inside(property, &path, page);
    }
}

/// The fields of what stands inside lists and maps.
fn inside(schema: &Value, path: &str, page: &mut String) {
    if let Some(items) = schema.get("items") {
        inside(items, &format!("{path}[]"), page);
    } else if let Some(values) = schema
        .get("additionalProperties")
        .filter(|values| values.is_object())
    {
        inside(values, &format!("{path}.*"), page);
    } else {
        fields(schema, path, page);
    }
}

fn row(path: &str, schema: &Map<String, Value>, required: bool, page: &mut String) {
    let name = if required {
        format!("**`{path}`**")
    } else {
        format!("`{path}`")
    };
    let description = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let items = schema.get("items").and_then(|items| items.get(RULES));
    let rules = [schema.get(RULES), items];
    let mut meaning = description.replace('\n', " ");
    for rule in rules
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten()
    {
        let message = rule
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let demand = message.replacen("expected", "Expects", 1);
        meaning = format!("{meaning} {demand}.");
    }
    let meaning = meaning.replace('|', "\\|");
    page.push_str(&format!("| {name} | {} | {meaning} |\n", kind_of(schema)));
}

/// A type with its bounds, for people.
fn kind_of(schema: &Map<String, Value>) -> String {
    let bound = |name: &str| schema.get(name).map(ToString::to_string);
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = words
            .iter()
            .filter_map(|word| Some(format!("`{}`", word.as_str()?)))
            .collect();
        return words.join(" ");
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => {
            let items = schema.get("items").and_then(Value::as_object).map(kind_of);
            let most = bound("maxItems").map(|most| format!(", at most {most}"));
            format!(
                "list of {}{}",
                items.unwrap_or_default(),
                most.unwrap_or_default()
            )
        }
        Some("object") => "map".to_owned(),
        Some("string") if schema.get("format").is_some() => "time".to_owned(),
        Some("string") => "text".to_owned(),
        Some("integer") => match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) => format!("{} to {}", whole(&least), whole(&most)),
            (Some(_), None) | (None, Some(_)) | (None, None) => "integer".to_owned(),
        },
        Some(other) => other.to_owned(),
        None => "text, number or boolean".to_owned(),
    }
}

/// A bound without the fraction that the generator gives it.
fn whole(number: &str) -> &str {
    number.trim_end_matches(".0")
}
