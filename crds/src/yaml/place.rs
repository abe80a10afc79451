//! Where something stands: file, line and column, by object and field path.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::tree::{Content, Node};

/// A place in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub file: Arc<str>,
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Which object. Cluster-scoped kinds have an empty namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            namespace,
            name,
        } = self;
        if namespace.is_empty() {
            write!(f, "{kind} {name}")
        } else {
            write!(f, "{kind} {namespace}/{name}")
        }
    }
}

/// Where each field of each object stands.
#[derive(Clone, Debug, Default)]
pub struct Places(BTreeMap<ObjectName, BTreeMap<String, Place>>);

impl Places {
    /// Where a field stands, or else the nearest section around it: what is missing has no place of its own.
    #[must_use]
    pub fn locate(&self, object: &ObjectName, path: &str) -> Option<&Place> {
        let object = self.0.get(object)?;
        let mut path = path;
        loop {
            if let Some(place) = object.get(path) {
                return Some(place);
            }
            path = parent(path)?;
        }
    }

    /// Where an object begins.
    #[must_use]
    pub fn of(&self, object: &ObjectName) -> Option<&Place> {
        self.0.get(object)?.get("")
    }

    pub(super) fn record(&mut self, object: ObjectName, root: &Node) {
        let mut places = BTreeMap::new();
        record_node(root, String::new(), &mut places);
        self.0.insert(object, places);
    }
}

fn record_node(node: &Node, path: String, places: &mut BTreeMap<String, Place>) {
    match &node.content {
        Content::Scalar(_) => {}
        Content::List(items) => {
            for (index, item) in items.iter().enumerate() {
                record_node(item, item_path(&path, index), places);
            }
        }
        Content::Map(entries) => {
            for entry in entries {
                record_node(&entry.value, field_path(&path, &entry.key), places);
            }
        }
    }
    places.insert(path, node.place.clone());
}

/// The path of a field: `spec.rules`, or `labels["a.b"]` where the key is no plain word.
pub(super) fn field_path(path: &str, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if key.is_empty() || !key.chars().all(plain) {
        format!("{path}[{key:?}]")
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The path of an item: `spec.rules[2]`.
pub(super) fn item_path(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// The path around a path; the object itself is the empty one.
fn parent(path: &str) -> Option<&str> {
    if path.is_empty() {
        return None;
    }
    let cut = path.rfind(['.', '[']).unwrap_or(0);
    path.get(..cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_of_a_path_is_one_step_up() {
        assert_eq!(parent("spec.rules[2].when"), Some("spec.rules[2]"));
        assert_eq!(parent("spec.rules[2]"), Some("spec.rules"));
        assert_eq!(parent("spec"), Some(""));
        assert_eq!(parent(""), None);
    }

    #[test]
    fn odd_keys_are_quoted() {
        assert_eq!(field_path("spec", "rules"), "spec.rules");
        assert_eq!(
            field_path("metadata.labels", "a.b/c"),
            "metadata.labels[\"a.b/c\"]"
        );
    }
}
