//! A parsed document and the values in it: an index of spans over bytes that are never copied.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::number::Decimal;
use super::text::unescape;
use super::{JsonError, Kind, Limits, parse};

/// One parsed document: its bytes and an index over them. Cheap to clone.
#[derive(Clone)]
pub struct Document {
    bytes: Bytes,
    entries: Arc<Vec<Entry>>,
}

/// One value in the index, in document order; a member's key comes right before its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// A string with at least one escape.
    pub(super) escaped: bool,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Index of the entry after this value's whole subtree.
    pub(super) next: u32,
}

/// What one entry costs in memory.
pub(super) const ENTRY_BYTES: usize = size_of::<Entry>();

/// A value inside a document.
#[derive(Clone, Copy)]
pub struct Node<'d> {
    document: &'d Document,
    index: u32,
}

impl Document {
    /// Parses one strict document (at most 4 GiB).
    pub fn parse(bytes: Bytes, limits: Limits) -> Result<Self, JsonError> {
        let entries = Arc::new(parse::index(&bytes, limits)?);
        Ok(Self { bytes, entries })
    }

    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    #[must_use]
    pub fn root(&self) -> Node<'_> {
        Node {
            document: self,
            index: 0,
        }
    }

    /// The node with that index, if this document has as many.
    pub(super) fn node(&self, index: u32) -> Option<Node<'_>> {
        let known = usize::try_from(index).is_ok_and(|index| index < self.entries.len());
        known.then_some(Node {
            document: self,
            index,
        })
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Bodies may carry secrets, so only the size is printed.
        write!(f, "Document({} bytes)", self.bytes.len())
    }
}

impl<'d> Node<'d> {
    #[must_use]
    pub fn kind(self) -> Kind {
        self.entry().kind
    }

    /// Where the value stands in the document's bytes, quotes and brackets included.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        let entry = self.entry();
        entry.start as usize..entry.end as usize
    }

    /// The value's bytes as they came.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "the parser made the span inside these very bytes"
    )]
    pub fn raw(self) -> &'d [u8] {
        &self.document.bytes[self.span()]
    }

    /// The text of a string, unescaped; none for other kinds.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'d, str>> {
        let literal = self.literal()?;
        Some(if self.entry().escaped {
            Cow::Owned(unescape(literal))
        } else {
            Cow::Borrowed(literal)
        })
    }

    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.raw() == b"true")
    }

    /// The lexeme of a number; none for other kinds.
    #[must_use]
    pub fn number(self) -> Option<&'d str> {
        (self.kind() == Kind::Number).then(|| std::str::from_utf8(self.raw()).ok())?
    }

    /// The exact value of a number; none for other kinds.
    #[must_use]
    pub fn decimal(self) -> Option<Decimal<'d>> {
        self.number().map(Decimal::of_lexeme)
    }

    /// An integer written without fraction or exponent that fits.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        self.number()?.parse().ok()
    }

    #[must_use]
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The value of a member whose unescaped key equals `key`; none for other kinds. Linear in the members.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        self.members()
            .find(|(name, _)| name.is_text(key))
            .map(|(_, value)| value)
    }

    /// Members of an object (none for other kinds): key node and value node, in document order.
    #[must_use]
    pub fn members(self) -> Members<'d> {
        Members {
            children: self.children(Kind::Object),
        }
    }

    /// Elements of an array (none for other kinds).
    #[must_use]
    pub fn elements(self) -> Elements<'d> {
        self.children(Kind::Array)
    }

    #[must_use]
    pub fn document(self) -> &'d Document {
        self.document
    }

    /// A serde view for small, trusted-shape parts (tool definitions, capabilities); numbers become what
    /// `serde_json` makes of them: 64-bit integers exactly, all others as doubles.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self.kind() {
            Kind::Null => Value::Null,
            Kind::Bool => Value::Bool(self.raw() == b"true"),
            Kind::Number => self.number_value(),
            Kind::String => Value::String(self.as_str().unwrap_or_default().into_owned()),
            Kind::Array => self.elements().map(Self::to_value).collect(),
            Kind::Object => {
                let member = |(key, value): (Self, Self)| {
                    (
                        key.as_str().unwrap_or_default().into_owned(),
                        value.to_value(),
                    )
                };
                Value::Object(self.members().map(member).collect())
            }
        }
    }

    fn number_value(self) -> Value {
        let lexeme = self.number().unwrap_or_default();
        // What overflows a double was refused at the parse; were it not, its text would be kept, not a made-up value.
        lexeme
            .parse()
            .map_or_else(|_| Value::from(lexeme), Value::Number)
    }

    /// Whether this is a string whose unescaped text equals `text`; allocates only where there are escapes.
    #[must_use]
    pub fn is_text(self, text: &str) -> bool {
        if self.entry().escaped {
            return self
                .literal()
                .is_some_and(|literal| unescape(literal) == text);
        }
        // Every lookup of a member comes by here; equal bytes are equal text.
        self.kind() == Kind::String && self.inside() == Some(text.as_bytes())
    }

    /// The inside of a string literal.
    fn literal(self) -> Option<&'d str> {
        let inside = self.inside().filter(|_| self.kind() == Kind::String)?;
        std::str::from_utf8(inside).ok()
    }

    /// What stands between the quotes of a string.
    fn inside(self) -> Option<&'d [u8]> {
        match self.raw() {
            [b'"', inside @ .., b'"'] => Some(inside),
            _ => None,
        }
    }

    pub(super) fn index(self) -> u32 {
        self.index
    }

    /// Index of the entry after this value's whole subtree.
    pub(super) fn next(self) -> u32 {
        self.entry().next
    }

    fn children(self, container: Kind) -> Elements<'d> {
        let entry = self.entry();
        let end = if entry.kind == container {
            entry.next
        } else {
            0
        };
        Elements {
            document: self.document,
            at: self.index + 1,
            end,
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "a node is only made for an entry of its own document, and entries are never removed"
    )]
    fn entry(self) -> Entry {
        self.document.entries[self.index as usize]
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets, so only kind and place are printed.
        write!(f, "Node({:?} at {:?})", self.kind(), self.span())
    }
}

/// The elements of an array, in document order.
#[derive(Clone, Debug)]
pub struct Elements<'d> {
    document: &'d Document,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Elements<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let node = Node {
            document: self.document,
            index: self.at,
        };
        self.at = node.next();
        Some(node)
    }
}

/// The members of an object, key and value, in document order.
#[derive(Clone, Debug)]
pub struct Members<'d> {
    children: Elements<'d>,
}

impl<'d> Iterator for Members<'d> {
    type Item = (Node<'d>, Node<'d>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.children.next()?, self.children.next()?))
    }
}
