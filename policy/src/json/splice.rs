//! Changes to a document that leave every other byte, key order and number lexeme as it was (law 14).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;

use super::{Document, Kind, Node, quote};

/// Replacements, removals and additions in one document, applied together. Where two concern the same value, the later wins.
#[derive(Debug, Default)]
pub struct Splice {
    /// New JSON text by the index of the value it stands in for.
    replaced: BTreeMap<u32, Vec<u8>>,
    /// Indices of removed elements and member values.
    removed: BTreeSet<u32>,
    /// Indices of containers that lose or gain children, with the members that they gain.
    reshaped: BTreeMap<u32, Vec<(String, Vec<u8>)>>,
}

/// What becomes of a stretch of the document's bytes.
struct Edit {
    span: Range<usize>,
    text: Vec<u8>,
}

impl Splice {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.replaced.is_empty() && self.reshaped.is_empty()
    }

    /// Replaces the whole value by JSON text.
    pub fn replace(&mut self, node: Node<'_>, json: impl Into<Vec<u8>>) {
        self.removed.remove(&node.index());
        self.replaced.insert(node.index(), json.into());
    }

    /// Replaces a value by a JSON string holding `text`.
    pub fn replace_with_str(&mut self, node: Node<'_>, text: &str) {
        self.replace(node, quote(text));
    }

    /// Sets member `key` of `object` to JSON text: replaces the value, or inserts the member at the end.
    /// Nothing for other kinds.
    pub fn set_member(&mut self, object: Node<'_>, key: &str, json: impl Into<Vec<u8>>) {
        if object.kind() != Kind::Object {
            return;
        }
        if let Some(value) = object.get(key) {
            self.replace(value, json);
            return;
        }
        let gained = self.reshaped.entry(object.index()).or_default();
        gained.retain(|(name, _)| name != key);
        gained.push((key.to_owned(), json.into()));
    }

    /// Removes member `key` with its comma; nothing if absent.
    pub fn remove_member(&mut self, object: Node<'_>, key: &str) {
        if let Some(value) = object.get(key) {
            self.remove(object, value);
        } else if let Some(gained) = self.reshaped.get_mut(&object.index()) {
            gained.retain(|(name, _)| name != key);
        }
    }

    /// Removes those elements of `array` that `keep` rejects, with their commas.
    pub fn retain_elements(&mut self, array: Node<'_>, mut keep: impl FnMut(Node<'_>) -> bool) {
        for element in array.elements() {
            if !keep(element) {
                self.remove(array, element);
            }
        }
    }

    fn remove(&mut self, container: Node<'_>, child: Node<'_>) {
        self.replaced.remove(&child.index());
        self.removed.insert(child.index());
        self.reshaped.entry(container.index()).or_default();
    }

    /// The document's bytes with all edits applied. An edit inside another edit's span is dropped (the outer one wins);
    /// edits of several elements or members of one container compose.
    ///
    /// `document` must be the one whose nodes were given.
    #[must_use]
    pub fn apply(self, document: &Document) -> Bytes {
        if self.is_empty() {
            return document.bytes().clone();
        }
        assemble(document.bytes(), self.edits(document))
    }

    /// The edits in the order of their place; no two overlap.
    fn edits(self, document: &Document) -> Vec<Edit> {
        let Self {
            mut replaced,
            removed,
            mut reshaped,
        } = self;
        let touched: BTreeSet<u32> = replaced
            .keys()
            .chain(&removed)
            .chain(reshaped.keys())
            .copied()
            .collect();
        let mut edits = Vec::new();
        let mut hidden_until = 0;
        for node in touched.into_iter().filter_map(|index| document.node(index)) {
            let index = node.index();
            if index < hidden_until {
                continue;
            }
            if removed.contains(&index) {
                hidden_until = node.next();
            } else if let Some(text) = replaced.remove(&index) {
                hidden_until = node.next();
                edits.push(Edit {
                    span: node.span(),
                    text,
                });
            } else if let Some(gained) = reshaped.remove(&index) {
                reshape(node, &removed, &gained, &mut edits);
            }
        }
        edits.sort_by_key(|edit| edit.span.start);
        edits
    }
}

/// Removes and adds children of one container. A child goes with the gap before it, the first ones that go with
/// the gap behind them, so that exactly the commas between what stays are left.
fn reshape(
    container: Node<'_>,
    removed: &BTreeSet<u32>,
    gained: &[(String, Vec<u8>)],
    edits: &mut Vec<Edit>,
) {
    let inside = container.span().start + 1;
    let mut last_end = inside;
    let mut leading: Option<usize> = None;
    let mut kept_any = false;
    for (span, stays) in children(container, removed) {
        match (stays, kept_any) {
            (true, false) => {
                if let Some(start) = leading.take() {
                    edits.push(Edit::removal(start..span.start));
                }
                kept_any = true;
            }
            (true, true) => {}
            (false, true) => edits.push(Edit::removal(last_end..span.end)),
            (false, false) => leading = leading.or(Some(span.start)),
        }
        last_end = span.end;
    }
    if let Some(start) = leading {
        edits.push(Edit::removal(start..last_end));
    }
    if !gained.is_empty() {
        let text = members_text(gained, kept_any);
        edits.push(Edit {
            span: last_end..last_end,
            text,
        });
    }
}

/// The spans of a container's children, keys included, and whether each stays.
fn children(container: Node<'_>, removed: &BTreeSet<u32>) -> Vec<(Range<usize>, bool)> {
    let stays = |child: Node<'_>| !removed.contains(&child.index());
    let elements = container
        .elements()
        .map(|element| (element.span(), stays(element)));
    let members = container
        .members()
        .map(|(key, value)| (key.span().start..value.span().end, stays(value)));
    elements.chain(members).collect()
}

fn members_text(gained: &[(String, Vec<u8>)], after_others: bool) -> Vec<u8> {
    let mut text = Vec::new();
    for (place, (key, json)) in gained.iter().enumerate() {
        if place > 0 || after_others {
            text.push(b',');
        }
        text.extend_from_slice(quote(key).as_bytes());
        text.push(b':');
        text.extend_from_slice(json);
    }
    text
}

impl Edit {
    const fn removal(span: Range<usize>) -> Self {
        Self {
            span,
            text: Vec::new(),
        }
    }
}

fn assemble(bytes: &Bytes, edits: Vec<Edit>) -> Bytes {
    let added: usize = edits.iter().map(|edit| edit.text.len()).sum();
    let mut spliced = Vec::with_capacity(bytes.len() + added);
    let mut at = 0;
    for edit in edits {
        spliced.extend_from_slice(bytes.get(at..edit.span.start).unwrap_or_default());
        spliced.extend_from_slice(&edit.text);
        at = edit.span.end;
    }
    spliced.extend_from_slice(bytes.get(at..).unwrap_or_default());
    Bytes::from(spliced)
}
