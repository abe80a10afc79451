//! Strict JSON: one parse, judged and forwarded (architecture.md rule 2, laws 4, 13, 14).
//!
//! A [`Document`] keeps the bytes it was parsed from; every [`Node`] knows its span in them. What two parsers
//! could read differently is refused, so the server reads what was judged. Nothing here re-serialises a body:
//! what changes is spliced ([`Splice`]), the rest stays byte for byte.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;

/// What a parse refuses beyond RFC 8259.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Deepest nesting of arrays and objects; 64 by law 13.
    pub depth: usize,
    /// Most values in one document, so that a small body cannot make a large tree.
    pub nodes: usize,
    /// Whether integers beyond 2^53 - 1 in magnitude are refused (requests) or kept (responses).
    pub safe_integers: bool,
}

impl Limits {
    pub const REQUEST: Self = Self {
        depth: 64,
        nodes: 1 << 20,
        safe_integers: true,
    };
    pub const RESPONSE: Self = Self {
        depth: 64,
        nodes: 1 << 22,
        safe_integers: false,
    };
}

/// The kind of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// Why a document is refused, with the byte offset where it was seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("not JSON at byte {at}: {what}")]
    Syntax { at: usize, what: &'static str },
    #[error("not UTF-8 at byte {at}")]
    Utf8 { at: usize },
    #[error("a byte order mark before the document")]
    ByteOrderMark,
    #[error("a lone surrogate at byte {at}")]
    LoneSurrogate { at: usize },
    #[error("two keys of one object are equal at byte {at}")]
    DuplicateKey { at: usize },
    #[error("an integer beyond 2^53 at byte {at}")]
    UnsafeInteger { at: usize },
    #[error("a number at byte {at} that parsers read differently")]
    NumberRange { at: usize },
    #[error("nested deeper than {limit} at byte {at}")]
    TooDeep { at: usize, limit: usize },
    #[error("more than {limit} values")]
    TooMany { limit: usize },
    #[error("data after the document at byte {at}")]
    Trailing { at: usize },
}

/// One parsed document: its bytes and an index over them. Cheap to clone.
#[derive(Clone)]
pub struct Document {
    bytes: Bytes,
    nodes: std::sync::Arc<[Entry]>,
}

/// One value in the index, in document order; a member's key comes right before its value.
#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: Kind,
    /// A string with at least one escape.
    escaped: bool,
    start: u32,
    end: u32,
    /// Index of the entry after this value's whole subtree.
    next: u32,
}

/// A value inside a document.
#[derive(Clone, Copy)]
pub struct Node<'d> {
    document: &'d Document,
    index: u32,
}

impl Document {
    /// Parses one strict document (at most 4 GiB).
    pub fn parse(bytes: Bytes, limits: Limits) -> Result<Self, JsonError> {
        todo!()
    }
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    pub fn root(&self) -> Node<'_> {
        todo!()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Bodies may carry secrets, so only the size is printed.
        write!(f, "Document({} bytes)", self.bytes.len())
    }
}

impl<'d> Node<'d> {
    pub fn kind(self) -> Kind {
        todo!()
    }
    /// Where the value stands in the document's bytes, quotes and brackets included.
    pub fn span(self) -> Range<usize> {
        todo!()
    }
    /// The value's bytes as they came.
    pub fn raw(self) -> &'d [u8] {
        todo!()
    }
    /// The text of a string, unescaped; none for other kinds.
    pub fn as_str(self) -> Option<Cow<'d, str>> {
        todo!()
    }
    pub fn as_bool(self) -> Option<bool> {
        todo!()
    }
    /// The lexeme of a number; none for other kinds.
    pub fn number(self) -> Option<&'d str> {
        todo!()
    }
    /// An integer written without fraction or exponent that fits.
    pub fn as_i64(self) -> Option<i64> {
        todo!()
    }
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }
    /// The value of a member whose unescaped key equals `key`; none for other kinds.
    pub fn get(self, key: &str) -> Option<Node<'d>> {
        todo!()
    }
    /// Members of an object (none for other kinds): key node and value node, in document order.
    pub fn members(self) -> Members<'d> {
        todo!()
    }
    /// Elements of an array (none for other kinds).
    pub fn elements(self) -> Elements<'d> {
        todo!()
    }
    pub fn document(self) -> &'d Document {
        self.document
    }
    /// A serde view for small, trusted-shape parts (tool definitions, capabilities); keeps number lexemes where serde_json can.
    pub fn to_value(self) -> serde_json::Value {
        todo!()
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({:?})", self.index)
    }
}

#[derive(Clone, Debug)]
pub struct Members<'d> {
    _p: std::marker::PhantomData<&'d ()>,
}
impl<'d> Iterator for Members<'d> {
    type Item = (Node<'d>, Node<'d>);
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}
#[derive(Clone, Debug)]
pub struct Elements<'d> {
    _p: std::marker::PhantomData<&'d ()>,
}
impl<'d> Iterator for Elements<'d> {
    type Item = Node<'d>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// Replacements of spans of one document; every other byte stays (law 14).
#[derive(Debug, Default)]
pub struct Splice {
    edits: Vec<(Range<usize>, Vec<u8>)>,
}

impl Splice {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }
    /// Replaces the whole value by JSON text.
    pub fn replace(&mut self, node: Node<'_>, json: impl Into<Vec<u8>>) {
        todo!()
    }
    /// Replaces a value by a JSON string holding `text`.
    pub fn replace_with_str(&mut self, node: Node<'_>, text: &str) {
        todo!()
    }
    /// Sets member `key` of `object` to JSON text: replaces the value, or inserts the member at the end.
    pub fn set_member(&mut self, object: Node<'_>, key: &str, json: impl Into<Vec<u8>>) {
        todo!()
    }
    /// Removes member `key` with its comma; nothing if absent.
    pub fn remove_member(&mut self, object: Node<'_>, key: &str) {
        todo!()
    }
    /// Removes those elements of `array` that `keep` rejects, with their commas.
    pub fn retain_elements(&mut self, array: Node<'_>, keep: impl FnMut(Node<'_>) -> bool) {
        todo!()
    }
    /// The document's bytes with all edits applied. An edit inside another edit's span is dropped (the outer one wins);
    /// edits of several elements or members of one container compose.
    pub fn apply(self, document: &Document) -> Bytes {
        todo!()
    }
}

/// A JSON string literal of `text`, escaped minimally.
pub fn quote(text: &str) -> String {
    todo!()
}

/// Two texts that a lenient parser could take for the same key: Unicode full case folding, NULs at the end trimmed.
pub fn folds_to_same(a: &str, b: &str) -> bool {
    todo!()
}

/// The fold itself, for sets.
pub fn folded(key: &str) -> String {
    todo!()
}

/// RFC 8785 key order and string form, numbers as normalised exact decimals (law 19): `1`, `1.0`, `1e0` give the same bytes.
/// Refuses exponents beyond +-400.
pub fn canonical(node: Node<'_>) -> Result<Vec<u8>, JsonError> {
    todo!()
}

pub mod path;
