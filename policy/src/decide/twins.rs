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
        let plain = is_plain(key);
        let (mut twin, mut all_plain) = (false, true);
        for name in self.known.clone() {
            if name == key {
                return false;
            }
            twin |= name.eq_ignore_ascii_case(key);
            all_plain &= is_plain(name);
        }
        // Among plain names folding is a matter of ASCII case; only others need the full fold.
        twin || ((!plain || !all_plain) && self.folds_to_known(key))
    }

    /// By hash, so that a body full of odd keys costs no more than its length.
    fn folds_to_known(&mut self, key: &str) -> bool {
        let known = &self.known;
        let folded = self
            .folded
            .get_or_insert_with(|| known.clone().map(json::folded).collect());
        folded.contains(&json::folded(key))
    }
}

fn is_plain(name: &str) -> bool {
    name.is_ascii() && !name.ends_with('\0')
}
