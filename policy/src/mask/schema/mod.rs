//! As much of JSON Schema 2020-12 as it takes to tell whether a masked value still fits (law 27).
//!
//! Clients validate `structuredContent` against the schema they were shown and raise where it does not fit.
//! Unknown keywords count as fulfilled; a pattern that cannot be compiled counts as not fulfilled, since nobody
//! here could say that a mask fits it.

mod fit;
mod foresee;
mod format;

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value};

pub use foresee::unmaskable;

pub(super) use fit::{fit_bool, fit_container, fit_number, fit_text};

/// How deep references and nesting are followed; beyond it a schema says nothing.
const DEPTH: u8 = 48;

/// Where a value stands in its container.
#[derive(Clone, Copy)]
pub(super) enum Step<'k> {
    Member(&'k str),
    Element(usize),
}

/// A schema and the document that its references point into.
#[derive(Clone, Copy)]
pub(super) struct Schema<'s> {
    root: &'s Value,
    own: &'s Value,
}

impl<'s> Schema<'s> {
    pub(super) const fn new(root: &'s Value) -> Self {
        Self { root, own: root }
    }

    pub(super) fn accepts(self, value: &Value) -> bool {
        self.check(value, DEPTH)
    }

    const fn at(self, own: &'s Value) -> Self {
        Self {
            root: self.root,
            own,
        }
    }

    /// The schema itself and those that it is composed of.
    fn flat(self, depth: u8, all: &mut Vec<Self>) {
        all.push(self);
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        if let Some(target) = self.referred() {
            target.flat(depth, all);
        }
        for list in ["allOf", "anyOf", "oneOf"] {
            for part in self.list(list) {
                self.at(part).flat(depth, all);
            }
        }
        for part in ["then", "else"]
            .into_iter()
            .filter_map(|key| self.own.get(key))
        {
            self.at(part).flat(depth, all);
        }
    }

    /// The schemas that bear on a child.
    pub(super) fn below(self, step: Step<'_>) -> Vec<Self> {
        let mut all = Vec::new();
        self.flat(6, &mut all);
        let mut found = Vec::new();
        for schema in all {
            match step {
                Step::Member(key) => schema.of_member(key, &mut found),
                Step::Element(place) => found.extend(schema.of_element(place)),
            }
        }
        found
    }

    fn of_member(self, key: &str, found: &mut Vec<Self>) {
        let before = found.len();
        if let Some(own) = self.own.get("properties").and_then(|all| all.get(key)) {
            found.push(self.at(own));
        }
        for (pattern, own) in self.map("patternProperties") {
            if matches(pattern, key) {
                found.push(self.at(own));
            }
        }
        if found.len() == before
            && let Some(own) = self.own.get("additionalProperties")
        {
            found.push(self.at(own));
        }
    }

    fn of_element(self, place: usize) -> Option<Self> {
        let prefix = self.list("prefixItems").nth(place);
        prefix
            .or_else(|| self.own.get("items"))
            .map(|own| self.at(own))
    }

    fn list(self, key: &str) -> impl Iterator<Item = &'s Value> {
        self.own
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }

    fn map(self, key: &str) -> impl Iterator<Item = (&'s String, &'s Value)> {
        self.own
            .get(key)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    fn number(self, key: &str) -> Option<f64> {
        self.own.get(key)?.as_f64()
    }

    fn count(self, key: &str) -> Option<usize> {
        self.own
            .get(key)?
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
    }

    /// Only references inside the document are followed.
    fn referred(self) -> Option<Self> {
        let pointer = self.own.get("$ref")?.as_str()?.strip_prefix('#')?;
        self.root.pointer(pointer).map(|own| self.at(own))
    }

    fn check(self, value: &Value, depth: u8) -> bool {
        let Some(depth) = depth.checked_sub(1) else {
            return true;
        };
        if let Value::Bool(all) = self.own {
            return *all;
        }
        let fixed = self.own.get("const").is_none_or(|own| own == value)
            && self
                .own
                .get("enum")
                .and_then(Value::as_array)
                .is_none_or(|all| all.contains(value));
        let own = match value {
            Value::String(text) => self.check_text(text),
            Value::Number(number) => self.check_number(number),
            Value::Array(elements) => self.check_array(elements, depth),
            Value::Object(members) => self.check_object(members, depth),
            Value::Null | Value::Bool(_) => true,
        };
        fixed && self.check_type(value) && own && self.check_composed(value, depth)
    }

    fn check_type(self, value: &Value) -> bool {
        match self.own.get("type") {
            Some(Value::String(name)) => is_type(name, value),
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(Value::as_str)
                .any(|name| is_type(name, value)),
            _ => true,
        }
    }

    fn check_composed(self, value: &Value, depth: u8) -> bool {
        let accepts = |own: &'s Value| self.at(own).check(value, depth);
        let any = self.own.get("anyOf").is_none() || self.list("anyOf").any(accepts);
        let one = self.own.get("oneOf").is_none()
            || self.list("oneOf").filter(|own| accepts(own)).count() == 1;
        let branch = self
            .own
            .get("if")
            .map(|own| if accepts(own) { "then" } else { "else" });
        any && one
            && self.list("allOf").all(accepts)
            && self.own.get("not").is_none_or(|own| !accepts(own))
            && self
                .referred()
                .is_none_or(|target| target.check(value, depth))
            && branch.and_then(|key| self.own.get(key)).is_none_or(accepts)
    }

    fn check_text(self, text: &str) -> bool {
        let length = text.chars().count();
        let word = |key: &str| self.own.get(key).and_then(Value::as_str);
        self.count("minLength").is_none_or(|least| length >= least)
            && self.count("maxLength").is_none_or(|most| length <= most)
            && word("format").is_none_or(|name| format::fits(name, text))
            && word("pattern").is_none_or(|pattern| matches(pattern, text))
    }

    fn check_number(self, number: &Number) -> bool {
        let Some(value) = number.as_f64() else {
            return true;
        };
        self.number("minimum").is_none_or(|least| value >= least)
            && self.number("maximum").is_none_or(|most| value <= most)
            && self
                .number("exclusiveMinimum")
                .is_none_or(|least| value > least)
            && self
                .number("exclusiveMaximum")
                .is_none_or(|most| value < most)
            && self
                .number("multipleOf")
                .is_none_or(|of| of <= 0.0 || (value / of).fract() == 0.0)
    }

    fn check_array(self, elements: &[Value], depth: u8) -> bool {
        let fits = |(place, element): (usize, &Value)| {
            self.of_element(place)
                .is_none_or(|schema| schema.check(element, depth))
        };
        let texts: BTreeSet<String> = elements.iter().map(Value::to_string).collect();
        let unique = self.own.get("uniqueItems") != Some(&Value::Bool(true))
            || texts.len() == elements.len();
        let contains = self.own.get("contains");
        self.count("minItems")
            .is_none_or(|least| elements.len() >= least)
            && self
                .count("maxItems")
                .is_none_or(|most| elements.len() <= most)
            && contains.is_none_or(|own| {
                elements
                    .iter()
                    .any(|element| self.at(own).check(element, depth))
            })
            && unique
            && elements.iter().enumerate().all(fits)
    }

    fn check_object(self, members: &Map<String, Value>, depth: u8) -> bool {
        let present = |name: &Value| name.as_str().is_none_or(|name| members.contains_key(name));
        let dependent = self
            .map("dependentRequired")
            .filter(|(key, _)| members.contains_key(*key));
        let fits = |(key, value): (&String, &Value)| {
            let mut found = Vec::new();
            self.of_member(key, &mut found);
            found.into_iter().all(|schema| schema.check(value, depth))
        };
        self.list("required").all(present)
            && dependent
                .flat_map(|(_, names)| names.as_array())
                .flatten()
                .all(present)
            && self
                .count("minProperties")
                .is_none_or(|least| members.len() >= least)
            && self
                .count("maxProperties")
                .is_none_or(|most| members.len() <= most)
            && members.iter().all(fits)
    }
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        _ => true,
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    regex::RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .build()
        .is_ok_and(|compiled| compiled.is_match(text))
}

#[cfg(test)]
mod tests;
