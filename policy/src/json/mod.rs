//! Strict JSON: one parse, judged and forwarded (architecture.md rule 2, laws 4, 13, 14).
//!
//! A [`Document`] keeps the bytes it was parsed from; every [`Node`] knows its span in them. What two parsers
//! could read differently is refused, so the server reads what was judged. Nothing here re-serialises a body:
//! what changes is spliced ([`Splice`]), the rest stays byte for byte.

mod canonical;
mod fold;
mod keys;
mod node;
mod number;
mod parse;
pub mod path;
mod splice;
mod text;

pub use canonical::canonical;
pub use fold::{folded, folding_siblings, folds_to_same, twins};
pub use node::{Document, Elements, Members, Node};
pub use number::Decimal;
pub use splice::Splice;
pub use text::quote;

/// What a parse refuses beyond RFC 8259.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Deepest nesting of arrays and objects; 64 by law 13. More than 100 is taken as 100.
    pub depth: usize,
    /// Most entries in one document, so that a small body cannot make a large tree. A value is one entry, a
    /// member's key another; each costs 16 bytes beside the body.
    pub nodes: usize,
    /// Whether numbers beyond 2^53 - 1 in magnitude are refused (requests) or kept (responses). However such a
    /// number is spelled, a parser that knows only doubles may read another one.
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

    /// The same limits with an index of at most `bytes`, so that memory stays in proportion to the body (law 15).
    #[must_use]
    pub fn with_index_of(self, bytes: usize) -> Self {
        Self {
            nodes: self.nodes.min(bytes / node::ENTRY_BYTES),
            ..self
        }
    }
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

/// Why a document is refused, with the byte offset where it was seen. Always the fault of whoever sent it.
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

#[cfg(test)]
mod tests;
