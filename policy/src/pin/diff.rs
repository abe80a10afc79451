//! What changed between two definitions, for the person who must accept it or not.
//!
//! Texts of a hostile server are shown to people here, so letters that change nothing visible are written out.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use bytes::Bytes;

use crate::json::path::push_name;
use crate::json::{Document, Kind, Limits, Node};

/// One value that is new, gone or different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where, as JSONPath: `$.inputSchema.properties.sql`.
    pub path: String,
    /// JSON text, with invisible letters written as `\u{202e}`; none where the value is new.
    pub before: Option<String>,
    /// Likewise; none where the value is gone.
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            before,
            after,
        } = self;
        match (before, after) {
            (Some(before), Some(after)) => write!(f, "{path}: {before} became {after}"),
            (None, Some(after)) => write!(f, "{path}: new, {after}"),
            (Some(before), None) => write!(f, "{path}: gone, was {before}"),
            (None, None) => write!(f, "{path}"),
        }
    }
}

/// The smallest values that differ between two canonical definitions, in the order of their paths. What is not
/// JSON counts as one value.
#[must_use]
pub fn diff(old: &[u8], new: &[u8]) -> Vec<Change> {
    let parse = |bytes: &[u8]| Document::parse(Bytes::copy_from_slice(bytes), Limits::RESPONSE);
    let mut comparison = Comparison {
        path: "$".to_owned(),
        changes: Vec::new(),
    };
    match (parse(old), parse(new)) {
        (Ok(old), Ok(new)) => comparison.values(Some(old.root()), Some(new.root())),
        (_, _) if old == new => {}
        (_, _) => comparison.note(Some(old), Some(new)),
    }
    comparison.changes
}

struct Comparison {
    path: String,
    changes: Vec<Change>,
}

impl Comparison {
    fn values(&mut self, old: Option<Node<'_>>, new: Option<Node<'_>>) {
        let kinds = (old.map(Node::kind), new.map(Node::kind));
        match (old, new) {
            (Some(old), Some(new)) if old.raw() == new.raw() => {}
            (Some(old), Some(new)) if kinds == (Some(Kind::Object), Some(Kind::Object)) => {
                self.objects(old, new);
            }
            (Some(old), Some(new)) if kinds == (Some(Kind::Array), Some(Kind::Array)) => {
                self.arrays(old, new);
            }
            (old, new) => self.note(old.map(Node::raw), new.map(Node::raw)),
        }
    }

    fn objects(&mut self, old: Node<'_>, new: Node<'_>) {
        let mut members: BTreeMap<_, (Option<Node<'_>>, Option<Node<'_>>)> = BTreeMap::new();
        for (key, value) in old.members() {
            members.entry(key.as_str()).or_default().0 = Some(value);
        }
        for (key, value) in new.members() {
            members.entry(key.as_str()).or_default().1 = Some(value);
        }
        for (key, (old, new)) in members {
            self.below(|path| push_name(path, &key.unwrap_or_default()), old, new);
        }
    }

    fn arrays(&mut self, old: Node<'_>, new: Node<'_>) {
        let (mut old, mut new) = (old.elements(), new.elements());
        let pairs = std::iter::from_fn(|| match (old.next(), new.next()) {
            (None, None) => None,
            pair => Some(pair),
        });
        for (place, (old, new)) in pairs.enumerate() {
            self.below(|path| path.push_str(&format!("[{place}]")), old, new);
        }
    }

    fn below(
        &mut self,
        step: impl FnOnce(&mut String),
        old: Option<Node<'_>>,
        new: Option<Node<'_>>,
    ) {
        let length = self.path.len();
        step(&mut self.path);
        self.values(old, new);
        self.path.truncate(length);
    }

    fn note(&mut self, old: Option<&[u8]>, new: Option<&[u8]>) {
        self.changes.push(Change {
            path: visible(self.path.as_bytes()),
            before: old.map(visible),
            after: new.map(visible),
        });
    }
}

/// The text with every letter written out that has no shape, turns the direction of reading or ends a line.
fn visible(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            // Writing to a `String` cannot fail.
            let _infallible = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Controls, format characters, fillers, variation selectors, tags, private use.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}
