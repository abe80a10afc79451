//! Law 4: a key that a server in another language may take for one that policy or schema names.
//!
//! The known names are those in rule paths of this tool and the declared properties of its input schema. A key
//! that folds or NUL-trims to one of them, without being one of them, is refused, at any depth.

use std::collections::HashSet;

use crate::json::{self, Kind, Node};

/// The first key of `arguments` that can be mistaken for a known name.
pub(super) fn find<'k>(
    arguments: Node<'_>,
    known: impl Iterator<Item = &'k str> + Clone,
) -> Option<String> {
    Search {
        known,
        folded: None,
    }
    .within(arguments)
}

struct Search<I> {
    known: I,
    /// Folds of the known names, made when a key first needs them.
    folded: Option<HashSet<String>>,
}

impl<'k, I: Iterator<Item = &'k str> + Clone> Search<I> {
    /// The parser has bounded the depth.
    fn within(&mut self, node: Node<'_>) -> Option<String> {
        match node.kind() {
            Kind::Object => node.members().find_map(|(key, value)| {
                let key = key.as_str()?;
                if self.is_twin(&key) {
                    return Some(key.into_owned());
                }
                self.within(value)
            }),
            Kind::Array => node.elements().find_map(|element| self.within(element)),
            Kind::Null | Kind::Bool | Kind::Number | Kind::String => None,
        }
    }

    fn is_twin(&mut self, key: &str) -> bool {
        if self.known.clone().any(|name| name == key) {
            return false;
        }
        let known = &self.known;
        let folded = self
            .folded
            .get_or_insert_with(|| known.clone().map(json::folded).collect());
        if folded.is_empty() {
            return false;
        }
        folded.contains(&json::folded(key))
    }
}
