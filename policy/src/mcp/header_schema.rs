//! Which arguments of a tool are mirrored in headers: `x-mcp-header` in its input schema (2026-07-28).
//!
//! A schema that breaks the rules makes the tool unusable over HTTP, so it is told, never half-honoured.

use crate::json::{Kind, Node};

/// One argument that a tool's input schema mirrors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamHeader {
    /// As the schema spells it, after `Mcp-Param-`.
    pub header: String,
    /// Property names from the arguments down.
    pub path: Vec<String>,
    pub kind: ParamKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    String,
    Integer,
    Boolean,
}

/// What is wrong with a schema's `x-mcp-header`; the tool's author's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`x-mcp-header` of `{property}` {what}")]
pub struct SchemaError {
    pub property: String,
    pub what: &'static str,
}

/// The mirrored properties of a tool's input schema.
pub fn declared(input_schema: Node<'_>) -> Result<Vec<ParamHeader>, SchemaError> {
    let mut walk = Walk::default();
    walk.schema(input_schema, Place::Root)?;
    Ok(walk.found)
}

const KEYWORD: &str = "x-mcp-header";

/// Keywords whose members are named by the author and hold schemas.
const MAPS: &[&str] = &[
    "$defs",
    "definitions",
    "dependentSchemas",
    "patternProperties",
    "properties",
];

/// Keywords that hold values, in which the keyword means nothing.
const VALUES: &[&str] = &["const", "default", "enum", "examples", "required"];

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    /// Reached through `properties` alone.
    Property,
    /// Reached through `items`, `oneOf`, `$defs`, ...: which argument it is about is not certain.
    Elsewhere,
}

#[derive(Default)]
struct Walk {
    path: Vec<String>,
    found: Vec<ParamHeader>,
}

impl Walk {
    /// Recursion is as deep as the document, which the parser bounds.
    fn schema(&mut self, schema: Node<'_>, place: Place) -> Result<(), SchemaError> {
        for (key, value) in schema.members() {
            let key = key.as_str().unwrap_or_default();
            match key.as_ref() {
                KEYWORD => self.declare(schema, value, place)?,
                "properties" if place != Place::Elsewhere => self.properties(value)?,
                map if MAPS.contains(&map) => {
                    for (_, inner) in value.members() {
                        self.schema(inner, Place::Elsewhere)?;
                    }
                }
                values if VALUES.contains(&values) => {}
                _ => self.elsewhere(value)?,
            }
        }
        Ok(())
    }

    fn properties(&mut self, properties: Node<'_>) -> Result<(), SchemaError> {
        for (name, schema) in properties.members() {
            let name = name.as_str().unwrap_or_default().into_owned();
            self.path.push(name);
            self.schema(schema, Place::Property)?;
            self.path.pop();
        }
        Ok(())
    }

    /// A schema, or an array of them.
    fn elsewhere(&mut self, value: Node<'_>) -> Result<(), SchemaError> {
        self.schema(value, Place::Elsewhere)?;
        for element in value.elements() {
            self.elsewhere(element)?;
        }
        Ok(())
    }

    fn declare(
        &mut self,
        schema: Node<'_>,
        value: Node<'_>,
        place: Place,
    ) -> Result<(), SchemaError> {
        let property = self.path.join(".");
        let wrong = |what| SchemaError {
            property: property.clone(),
            what,
        };
        if place != Place::Property {
            return Err(wrong(
                "is not at a property reached through `properties` alone",
            ));
        }
        let header = value.as_str().filter(|name| is_token(name));
        let header = header.ok_or_else(|| wrong("must be a header name"))?;
        let twice = |known: &ParamHeader| known.header.eq_ignore_ascii_case(&header);
        if self.found.iter().any(twice) {
            return Err(wrong("is used twice in the schema"));
        }
        let kind = kind(schema).ok_or_else(|| wrong("needs type string, integer or boolean"))?;
        self.found.push(ParamHeader {
            header: header.into_owned(),
            path: self.path.clone(),
            kind,
        });
        Ok(())
    }
}

fn kind(schema: Node<'_>) -> Option<ParamKind> {
    let name = schema
        .get("type")
        .filter(|found| found.kind() == Kind::String)?
        .as_str()?;
    match name.as_ref() {
        "string" => Some(ParamKind::String),
        "integer" => Some(ParamKind::Integer),
        "boolean" => Some(ParamKind::Boolean),
        _ => None,
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}
