//! Holds a tree against a shape and tells every mistake in it, not only the first.

use std::collections::{BTreeMap, BTreeSet};

use super::mistake::Mistake;
use super::near::{listed, nearest, quoted};
use super::place::{Place, field_path, item_path};
use super::scalar::Resolved;
use super::tree::{Content, Entry, Node, Scalar};
use crate::shape::{Field, Shape, Size, Text};

/// Every way in which a value is not of its shape.
pub(super) fn check(node: &Node, shape: &Shape, path: &str, show: Show) -> Vec<Mistake> {
    let mut checker = Checker {
        show,
        mistakes: Vec::new(),
    };
    checker.value(node, shape, path);
    checker.mistakes
}

/// Whether values may stand in messages; those of Secrets may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    Values,
    KindsOnly,
}

struct Checker {
    show: Show,
    mistakes: Vec<Mistake>,
}

impl Checker {
    fn value(&mut self, node: &Node, shape: &Shape, path: &str) {
        match (shape, &node.content) {
            (Shape::Section(fields), Content::Map(entries)) => {
                self.section(&node.place, entries, fields, path);
            }
            (Shape::Map { values, size }, Content::Map(entries)) => {
                self.size(*size, entries.len(), "key", &node.place, path);
                for entry in entries {
                    self.value(&entry.value, values, &field_path(path, &entry.key));
                }
            }
            (Shape::List { items, size, keys }, Content::List(nodes)) => {
                self.size(*size, nodes.len(), "item", &node.place, path);
                for (index, item) in nodes.iter().enumerate() {
                    self.value(item, items, &item_path(path, index));
                }
                self.same_names(nodes, keys, path);
            }
            (Shape::FreeObject, Content::Map(_)) | (Shape::Anything, _) => {}
            (_, Content::Scalar(scalar)) => self.scalar(node, scalar, shape, path),
            _ => self.wrong_kind(node, shape, path),
        }
    }

    fn section(
        &mut self,
        place: &Place,
        entries: &[Entry],
        fields: &BTreeMap<String, Field>,
        path: &str,
    ) {
        let mut meant = BTreeSet::new();
        for entry in entries {
            match fields.get(&entry.key) {
                Some(field) => {
                    self.value(&entry.value, &field.shape, &field_path(path, &entry.key));
                    meant.insert(entry.key.as_str());
                }
                None => meant.extend(self.unknown_field(entry, fields, path)),
            }
        }
        // A misspelt field is told once, not also as the one that is missing.
        let missing =
            |(name, field): &(&String, &Field)| field.required && !meant.contains(name.as_str());
        for (name, _) in fields.iter().filter(missing) {
            let path = field_path(path, name);
            let expected = format!("the field {}", quoted(name));
            let mistake = Mistake::at(place, expected, "none");
            self.mistakes.push(mistake.with_path(&path));
        }
    }

    /// Tells of a field that is not known; gives the one that was perhaps meant.
    fn unknown_field<'a>(
        &mut self,
        entry: &Entry,
        fields: &'a BTreeMap<String, Field>,
        path: &str,
    ) -> Option<&'a str> {
        let near = nearest(&entry.key, fields.keys().map(String::as_str));
        let expected = match near {
            Some(_) => "a known field".to_owned(),
            None if fields.is_empty() => "no fields".to_owned(),
            None => format!(
                "one of the fields {}",
                listed(fields.keys().map(String::as_str))
            ),
        };
        let path = field_path(path, &entry.key);
        let mistake = Mistake::at(&entry.place, expected, quoted(&entry.key)).with_path(&path);
        self.mistakes.push(mistake.with_near(near));
        near
    }

    fn scalar(&mut self, node: &Node, scalar: &Scalar, shape: &Shape, path: &str) {
        match (shape, &scalar.meaning) {
            (Shape::Text(rule), Resolved::Text) => self.text(node, scalar, rule, path),
            (Shape::Choice(words), Resolved::Text) => self.choice(node, scalar, words, path),
            (Shape::Integer { least, most }, Resolved::Number(number)) => {
                let fits = number
                    .as_i64()
                    .is_some_and(|value| (*least..=*most).contains(&value));
                if !fits {
                    self.push(node, path, integer_phrase(*least, *most), scalar);
                }
            }
            (Shape::Boolean, Resolved::Boolean(_))
            | (Shape::Literal, Resolved::Text | Resolved::Number(_) | Resolved::Boolean(_))
            | (Shape::Anything, _) => {}
            _ => self.wrong_kind(node, shape, path),
        }
    }

    fn text(&mut self, node: &Node, scalar: &Scalar, rule: &Text, path: &str) {
        let length = scalar.text.chars().count();
        if !rule.size.holds(length) {
            let expected = match &rule.expected {
                Some(expected) if length == 0 => expected.clone(),
                Some(_) | None => size_phrase(rule.size, "character"),
            };
            let found = counted(length, "character");
            let mistake = Mistake::at(&node.place, expected, found);
            self.mistakes.push(mistake.with_path(path));
        } else if let Some(pattern) = &rule.pattern
            && !pattern.is_match(&scalar.text)
        {
            let expected = rule.expected.clone();
            let expected = expected.unwrap_or_else(|| format!("a text that matches `{pattern}`"));
            self.push(node, path, expected, scalar);
        }
    }

    fn choice(&mut self, node: &Node, scalar: &Scalar, words: &[String], path: &str) {
        if words.iter().any(|word| *word == *scalar.text) {
            return;
        }
        let known = words.iter().map(String::as_str);
        let expected = match words {
            [only] => quoted(only),
            _ => format!("one of {}", listed(known.clone())),
        };
        let mistake = Mistake::at(&node.place, expected, self.shown(scalar)).with_path(path);
        self.mistakes
            .push(mistake.with_near(nearest(&scalar.text, known)));
    }

    fn wrong_kind(&mut self, node: &Node, shape: &Shape, path: &str) {
        let found = match &node.content {
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a map".to_owned(),
            Content::Scalar(scalar) => self.kind_of(scalar),
        };
        let mistake = Mistake::at(&node.place, phrase(shape), found).with_path(path);
        let hint = match (&node.content, shape) {
            _ if node.is_null() => Some("leave the field out where it says nothing"),
            (Content::Scalar(_), Shape::Text(_) | Shape::Choice(_)) => Some("put it in quotes"),
            (Content::Scalar(_), Shape::List { .. }) => Some("put it in brackets: `[...]`"),
            _ => None,
        };
        self.mistakes.push(match hint {
            Some(hint) => mistake.with_hint(hint),
            None => mistake,
        });
    }

    fn kind_of(&self, scalar: &Scalar) -> String {
        let kind = match &scalar.meaning {
            Resolved::Null => return "nothing".to_owned(),
            Resolved::Boolean(_) => "boolean",
            Resolved::Number(_) => "number",
            Resolved::Text => "text",
        };
        match self.show {
            Show::Values => format!("the {kind} {}", quoted(&scalar.text)),
            Show::KindsOnly => format!("a {kind} (not shown)"),
        }
    }

    fn shown(&self, scalar: &Scalar) -> String {
        match self.show {
            Show::Values => quoted(&scalar.text),
            Show::KindsOnly => "another (not shown)".to_owned(),
        }
    }

    fn push(&mut self, node: &Node, path: &str, expected: String, scalar: &Scalar) {
        let mistake = Mistake::at(&node.place, expected, self.shown(scalar));
        self.mistakes.push(mistake.with_path(path));
    }

    fn size(&mut self, size: Size, count: usize, unit: &str, place: &Place, path: &str) {
        if !size.holds(count) {
            let mistake = Mistake::at(place, size_phrase(size, unit), counted(count, unit));
            self.mistakes.push(mistake.with_path(path));
        }
    }

    /// Items of a list whose keys are the same; the API server refuses them too.
    fn same_names(&mut self, items: &[Node], keys: &[String], path: &str) {
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate().filter(|_| !keys.is_empty()) {
            let name: Vec<&str> = keys.iter().map(|key| text_of(item, key)).collect();
            if name.concat().is_empty() || seen.insert(name.clone()) {
                continue;
            }
            let expected = format!("another {} than every item before", keys.join(" and "));
            let found = listed(name.into_iter().filter(|part| !part.is_empty()));
            let mistake = Mistake::at(&item.place, expected, format!("{found} again"));
            self.mistakes
                .push(mistake.with_path(&item_path(path, index)));
        }
    }
}

fn text_of<'a>(item: &'a Node, key: &str) -> &'a str {
    item.field(key).and_then(Node::text).unwrap_or_default()
}

/// What a shape is, for people.
fn phrase(shape: &Shape) -> String {
    match shape {
        Shape::Section(_) | Shape::FreeObject | Shape::Map { .. } => "a map".to_owned(),
        Shape::List { .. } => "a list".to_owned(),
        Shape::Text(text) => text.expected.clone().unwrap_or_else(|| "a text".to_owned()),
        Shape::Choice(words) => format!("one of {}", listed(words.iter().map(String::as_str))),
        Shape::Integer { least, most } => integer_phrase(*least, *most),
        Shape::Boolean => "`true` or `false`".to_owned(),
        Shape::Literal => "a text, a number or a boolean".to_owned(),
        Shape::Anything => "a value".to_owned(),
    }
}

fn integer_phrase(least: i64, most: i64) -> String {
    match (least, most) {
        (i64::MIN, i64::MAX) => "a whole number".to_owned(),
        (least, i64::MAX) => format!("a whole number from {least}"),
        (i64::MIN, most) => format!("a whole number up to {most}"),
        (least, most) => format!("a whole number from {least} to {most}"),
    }
}

fn size_phrase(size: Size, unit: &str) -> String {
    match (size.least, size.most) {
        (0, most) => format!("at most {}", counted(most, unit)),
        (least, u64::MAX) => format!("at least {}", counted(least, unit)),
        (least, most) => format!("{least} to {}", counted(most, unit)),
    }
}

fn counted(count: impl std::fmt::Display, unit: &str) -> String {
    let count = count.to_string();
    let plural = if count == "1" { "" } else { "s" };
    format!("{count} {unit}{plural}")
}
