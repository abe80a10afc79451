//! One value of an operand, wherever it came from: a body, a claim, a header, an address.

use std::borrow::Cow;

use serde_json::Value;

use crate::json::{Kind, Node};

/// A value to test. Never coerced from one kind to another (law 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// Counts as absent.
    Null,
    Bool(bool),
    /// The lexeme as it came.
    Number(Cow<'a, str>),
    Text(Cow<'a, str>),
    /// An object or array: there, but nothing that an operator on values can judge.
    Compound,
}

impl<'a> Scalar<'a> {
    #[must_use]
    pub fn of_node(node: Node<'a>) -> Self {
        match node.kind() {
            Kind::Null => Self::Null,
            Kind::Bool => node.as_bool().map_or(Self::Compound, Self::Bool),
            Kind::Number => node
                .number()
                .map_or(Self::Compound, |lexeme| Self::Number(Cow::Borrowed(lexeme))),
            Kind::String => node.as_str().map_or(Self::Compound, Self::Text),
            Kind::Array | Kind::Object => Self::Compound,
        }
    }

    #[must_use]
    pub fn of_value(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::Number(Cow::Owned(number.to_string())),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(_) | Value::Object(_) => Self::Compound,
        }
    }
}
