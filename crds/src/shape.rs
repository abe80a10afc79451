//! What a value must look like, read from the schema of its type.
//!
//! The schema stays the only definition of a field. This is the part of it that files are checked against, with the
//! regular expressions compiled and the enums as lists, so that every mistake of a file can be told at once.

use std::collections::BTreeMap;

use regex::Regex;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// What a value must look like.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// An object with known fields and no others.
    Section(BTreeMap<String, Field>),
    /// An object with any keys.
    Map {
        values: Box<Self>,
        size: Size,
    },
    List {
        items: Box<Self>,
        size: Size,
        /// Fields that together name an item; no two items may have the same.
        keys: Vec<String>,
    },
    Text(Text),
    /// One of these words.
    Choice(Vec<String>),
    Integer {
        least: i64,
        most: i64,
    },
    Boolean,
    /// A string, number or boolean.
    Literal,
    /// An object of free JSON.
    FreeObject,
    /// Free JSON.
    Anything,
}

/// One field of a section.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) shape: Shape,
    pub(crate) required: bool,
}

/// How many characters or items; both ends included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

impl Size {
    pub(crate) fn holds(self, count: usize) -> bool {
        u64::try_from(count).is_ok_and(|count| (self.least..=self.most).contains(&count))
    }
}

/// What a text must look like.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) size: Size,
    pub(crate) pattern: Option<Regex>,
    /// A phrase for people.
    pub(crate) expected: Option<String>,
}

/// A schema that this module cannot read: a mistake in this crate, never in a user's file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema of our own type cannot be read at `{at}`: {why}")]
pub(crate) struct Unreadable {
    at: String,
    why: String,
}

impl Shape {
    /// The shape of a type.
    pub(crate) fn of<T: JsonSchema>() -> Result<Self, Unreadable> {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        });
        let schema = settings.into_generator().into_root_schema_for::<T>();
        read(schema.as_value(), "")
    }

    /// A text without bounds.
    pub(crate) fn text() -> Self {
        let size = Size {
            least: 0,
            most: u64::MAX,
        };
        Self::Text(Text {
            size,
            pattern: None,
            expected: None,
        })
    }
}

fn read(schema: &Value, at: &str) -> Result<Shape, Unreadable> {
    let Some(schema) = schema.as_object() else {
        return Ok(Shape::Anything);
    };
    if schema.contains_key("x-sallyport-types") {
        return Ok(Shape::Literal);
    }
    if let Some(inner) = without_null(schema) {
        return read(inner, at);
    }
    if let Some(words) = words(schema) {
        return Ok(Shape::Choice(words));
    }
    match kind(schema) {
        Some("object") => read_object(schema, at),
        Some("array") => read_list(schema, at),
        Some("string") => read_text(schema, at).map(Shape::Text),
        Some("integer") => Ok(Shape::Integer {
            least: bound(schema, "minimum").unwrap_or(i64::MIN),
            most: bound(schema, "maximum").unwrap_or(i64::MAX),
        }),
        Some("boolean") => Ok(Shape::Boolean),
        None if schema.keys().all(|key| is_annotation(key)) => Ok(Shape::Anything),
        other => Err(Unreadable {
            at: at.to_owned(),
            why: format!("no rule for type {other:?}"),
        }),
    }
}

fn is_annotation(key: &str) -> bool {
    matches!(key, "title" | "description" | "default") || key.starts_with("x-")
}

/// The type, leaving null aside: a field that may be absent is an `Option`.
fn kind(schema: &Map<String, Value>) -> Option<&str> {
    match schema.get("type")? {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// The one schema of an `anyOf` that is not null.
fn without_null(schema: &Map<String, Value>) -> Option<&Value> {
    let is_null = |option: &&Value| option.get("type").and_then(Value::as_str) == Some("null");
    let options = schema.get("anyOf")?.as_array()?;
    let mut others = options.iter().filter(|option| !is_null(option));
    let first = others.next()?;
    others.next().is_none().then_some(first)
}

/// The words of an enum, however schemars wrote it down.
fn words(schema: &Map<String, Value>) -> Option<Vec<String>> {
    if let Some(one_of) = schema.get("oneOf").and_then(Value::as_array) {
        let each = one_of.iter().map(|option| words(option.as_object()?));
        return Some(each.collect::<Option<Vec<_>>>()?.concat());
    }
    if let Some(word) = schema.get("const") {
        return Some(vec![word.as_str()?.to_owned()]);
    }
    let values = schema.get("enum")?.as_array()?;
    Some(
        values
            .iter()
            .filter_map(|word| Some(word.as_str()?.to_owned()))
            .collect(),
    )
}

fn read_object(schema: &Map<String, Value>, at: &str) -> Result<Shape, Unreadable> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Ok(match schema.get("additionalProperties") {
            Some(values) if values.is_object() => Shape::Map {
                values: Box::new(read(values, &format!("{at}.*"))?),
                size: size(schema, "minProperties", "maxProperties"),
            },
            Some(Value::Bool(false)) => Shape::Section(BTreeMap::new()),
            Some(_) | None => Shape::FreeObject,
        });
    };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let mut fields = BTreeMap::new();
    for (name, property) in properties {
        let field = Field {
            shape: read(property, &format!("{at}.{name}"))?,
            required: required.contains(&name.as_str()),
        };
        fields.insert(name.clone(), field);
    }
    Ok(Shape::Section(fields))
}

fn read_list(schema: &Map<String, Value>, at: &str) -> Result<Shape, Unreadable> {
    let items = match schema.get("items") {
        Some(items) => read(items, &format!("{at}[]"))?,
        None => Shape::Anything,
    };
    let keys = schema
        .get("x-kubernetes-list-map-keys")
        .and_then(Value::as_array)
        .map(|keys| {
            keys.iter()
                .filter_map(|key| Some(key.as_str()?.to_owned()))
                .collect()
        })
        .unwrap_or_default();
    Ok(Shape::List {
        items: Box::new(items),
        size: size(schema, "minItems", "maxItems"),
        keys,
    })
}

fn read_text(schema: &Map<String, Value>, at: &str) -> Result<Text, Unreadable> {
    let unreadable = |why: regex::Error| Unreadable {
        at: at.to_owned(),
        why: why.to_string(),
    };
    let pattern = schema.get("pattern").and_then(Value::as_str);
    let expected = schema.get("x-sallyport-expected").and_then(Value::as_str);
    Ok(Text {
        size: size(schema, "minLength", "maxLength"),
        pattern: pattern.map(Regex::new).transpose().map_err(unreadable)?,
        expected: expected.map(str::to_owned),
    })
}

fn size(schema: &Map<String, Value>, least: &str, most: &str) -> Size {
    let bound = |name| schema.get(name).and_then(Value::as_u64);
    Size {
        least: bound(least).unwrap_or(0),
        most: bound(most).unwrap_or(u64::MAX),
    }
}

/// A bound of an integer; schemars writes some of them as floats.
fn bound(schema: &Map<String, Value>, name: &str) -> Option<i64> {
    let value = schema.get(name)?;
    value
        .as_i64()
        .or_else(|| value.to_string().trim_end_matches(".0").parse().ok())
}

#[cfg(test)]
mod tests {
    use sallyport_policy::source::{
        AccessPolicySpec, AccessRequestSpec, AccessReviewSpec, GatewaySpec, GuardrailSpec,
    };

    use super::*;

    #[test]
    fn every_spec_has_a_readable_shape() {
        for (name, shape) in [
            ("gateway", Shape::of::<GatewaySpec>()),
            ("policy", Shape::of::<AccessPolicySpec>()),
            ("guardrail", Shape::of::<GuardrailSpec>()),
            ("request", Shape::of::<AccessRequestSpec>()),
            ("review", Shape::of::<AccessReviewSpec>()),
        ] {
            let shape = shape.unwrap();
            assert!(matches!(shape, Shape::Section(_)), "{name}");
            assert_bounded(&shape, name);
        }
    }

    /// Nothing that people write may be without an end: maxItems and maxLength everywhere.
    fn assert_bounded(shape: &Shape, at: &str) {
        match shape {
            Shape::Section(fields) => {
                for (name, field) in fields {
                    assert_bounded(&field.shape, &format!("{at}.{name}"));
                }
            }
            Shape::Map { values, size } => {
                assert!(size.most < 4096, "{at} may have any number of keys");
                if !matches!(**values, Shape::Text(_)) {
                    assert_bounded(values, &format!("{at}.*"));
                }
            }
            Shape::List { items, size, .. } => {
                assert!(size.most <= 4096, "{at} may have any number of items");
                assert_bounded(items, &format!("{at}[]"));
            }
            Shape::Text(text) => {
                assert!(text.size.most <= 65536, "{at} may have any length");
            }
            Shape::Choice(words) => assert!(!words.is_empty(), "{at} offers no word"),
            Shape::Integer { .. }
            | Shape::Boolean
            | Shape::Literal
            | Shape::FreeObject
            | Shape::Anything => {}
        }
    }

    #[test]
    fn no_word_of_ours_reads_as_a_boolean_in_yaml_1_1() {
        fn walk(shape: &Shape) {
            match shape {
                Shape::Section(fields) => fields.values().for_each(|field| walk(&field.shape)),
                Shape::Map { values, .. } => walk(values),
                Shape::List { items, .. } => walk(items),
                Shape::Choice(words) => {
                    for word in words {
                        let folded = word.to_lowercase();
                        let boolean = ["y", "n", "yes", "no", "on", "off", "true", "false"];
                        assert!(!boolean.contains(&folded.as_str()), "{word}");
                    }
                }
                Shape::Text(_)
                | Shape::Integer { .. }
                | Shape::Boolean
                | Shape::Literal
                | Shape::FreeObject
                | Shape::Anything => {}
            }
        }
        walk(&Shape::of::<GatewaySpec>().unwrap());
        walk(&Shape::of::<AccessPolicySpec>().unwrap());
        walk(&Shape::of::<GuardrailSpec>().unwrap());
    }
}
