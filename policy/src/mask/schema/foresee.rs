//! Which field rules a schema leaves no room for, told before any answer is withheld for it (law 27).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Schema, Step, fit_bool, fit_container, fit_number, fit_text};
use crate::json::path::{Path, Selector, Step as PathStep};
use crate::mask::engine::FIELD;
use crate::mask::mark::mask;
use crate::mask::{FieldRule, MaskKey};
use crate::source::masking::MaskAction;

/// How deep `..` and containers are followed; schemas may refer to themselves.
const DEPTH: u8 = 8;
/// Most places of a schema that one path is followed to.
const MOST: usize = 4096;

/// A place in the answers that a schema describes.
#[derive(Clone)]
struct Spot<'s> {
    schemas: Vec<Schema<'s>>,
    /// Whether its container must have it.
    required: bool,
}

/// What `policy check` warns of: the fields of a tool whose output schema accepts no mask, so that answers that hold
/// them are withheld. One sentence each; `rules` are those of the tool.
#[must_use]
pub fn unmaskable(schema: &Value, rules: &[FieldRule]) -> Vec<String> {
    let told = rules.iter().filter_map(|rule| {
        let why = trouble(schema, rule)?;
        Some(format!(
            "field `{}` of tool `{}`: {why}; answers that hold it will be withheld",
            rule.path, rule.tool
        ))
    });
    told.collect()
}

fn trouble(schema: &Value, rule: &FieldRule) -> Option<&'static str> {
    // A path that cannot be read is a mistake of its own, told where it is written.
    let path = Path::parse(&rule.path).ok()?;
    let root = Spot {
        schemas: vec![Schema::new(schema)],
        required: true,
    };
    let mut spots = vec![root];
    for step in path.steps() {
        spots = spots
            .iter()
            .flat_map(|spot| spot.stepped(step))
            .take(MOST)
            .collect();
    }
    spots.iter().find_map(|spot| spot.trouble(rule, DEPTH))
}

impl<'s> Spot<'s> {
    fn stepped(&self, step: &PathStep) -> Vec<Self> {
        let mut from = vec![self.clone()];
        if step.descends {
            self.descend(DEPTH, &mut from);
        }
        let selected = from.iter().flat_map(|spot| match &step.selector {
            Selector::Name(name) => vec![spot.member(name)],
            // Where an array ends is not known ahead, so an index from the end may be any.
            Selector::Index(index) => match usize::try_from(*index) {
                Ok(place) => vec![spot.element(place)],
                Err(_) => spot.elements(),
            },
            Selector::All => spot.children(),
        });
        selected.filter(|spot| !spot.schemas.is_empty()).collect()
    }

    fn descend(&self, depth: u8, all: &mut Vec<Self>) {
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        for child in self.children() {
            if all.len() >= MOST {
                return;
            }
            child.descend(depth, all);
            all.push(child);
        }
    }

    fn children(&self) -> Vec<Self> {
        let names: BTreeSet<&str> = self
            .flat()
            .into_iter()
            .flat_map(|schema| schema.map("properties"))
            .map(|(name, _)| name.as_str())
            .collect();
        let members = names.into_iter().map(|name| self.member(name));
        let children = members.chain(self.elements());
        children.filter(|spot| !spot.schemas.is_empty()).collect()
    }

    fn elements(&self) -> Vec<Self> {
        let named = self
            .flat()
            .into_iter()
            .map(|schema| schema.list("prefixItems").count());
        (0..=named.max().unwrap_or(0))
            .map(|place| self.element(place))
            .collect()
    }

    fn member(&self, name: &str) -> Self {
        let required = self.flat().into_iter().any(|schema| {
            let mut names = schema.list("required").filter_map(Value::as_str);
            names.any(|required| required == name)
        });
        Self {
            schemas: self.below(Step::Member(name)),
            required,
        }
    }

    fn element(&self, place: usize) -> Self {
        Self {
            schemas: self.below(Step::Element(place)),
            required: false,
        }
    }

    fn below(&self, step: Step<'_>) -> Vec<Schema<'s>> {
        let below = self.schemas.iter().flat_map(|schema| schema.below(step));
        below.collect()
    }

    fn flat(&self) -> Vec<Schema<'s>> {
        let mut all = Vec::new();
        for schema in &self.schemas {
            schema.flat(6, &mut all);
        }
        all
    }

    fn trouble(&self, rule: &FieldRule, depth: u8) -> Option<&'static str> {
        if rule.action == MaskAction::Drop {
            let why = "its schema requires it, so it cannot be left out";
            return self.required.then_some(why);
        }
        let depth = depth.checked_sub(1)?;
        let kinds = self.kinds();
        kinds
            .into_iter()
            .find_map(|kind| self.trouble_of(kind, rule, depth))
    }

    fn trouble_of(&self, kind: &str, rule: &FieldRule, depth: u8) -> Option<&'static str> {
        let schemas = &self.schemas;
        match kind {
            "string" => {
                let key = MaskKey::new(&[0; 32]);
                let mark = mask("", FIELD, rule.action, rule.keep_last, &key);
                let why = "its schema accepts no masked text";
                fit_text(schemas, &mark, "").is_none().then_some(why)
            }
            "number" | "integer" => {
                let why = "its schema accepts no number that says nothing";
                fit_number(schemas).is_none().then_some(why)
            }
            "boolean" => {
                let why = "its schema accepts neither true nor false";
                fit_bool(schemas).is_none().then_some(why)
            }
            "object" if fit_container(schemas, &Value::Object(serde_json::Map::new())) => None,
            "array" if fit_container(schemas, &Value::Array(Vec::new())) => None,
            // What cannot be emptied is masked value by value.
            "object" | "array" => {
                let children = self.children();
                children.iter().find_map(|child| child.trouble(rule, depth))
            }
            _ => None,
        }
    }

    /// The types that a value may have here, as far as the schema tells; a text where it does not.
    fn kinds(&self) -> BTreeSet<&'s str> {
        let mut kinds = BTreeSet::new();
        for schema in self.flat() {
            match schema.own.get("type") {
                Some(Value::String(name)) => kinds.extend([name.as_str()]),
                Some(Value::Array(names)) => kinds.extend(names.iter().filter_map(Value::as_str)),
                Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
                }
            }
            let fixed = schema.own.get("const").into_iter();
            for value in fixed.chain(schema.list("enum")) {
                kinds.insert(kind_of(value));
            }
        }
        if kinds.is_empty() {
            kinds.insert("string");
        }
        kinds
    }
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
