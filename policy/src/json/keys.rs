//! Equal keys of one object: the first parser to meet them takes one value, the next the other (law 4).
//!
//! Keys are compared as they read once unescaped, in time that no choice of keys makes quadratic.

use std::ops::Range;

use super::text::unescape;

/// Objects with more members than this have their keys sorted to find twins; fewer are compared pairwise.
const FEW_MEMBERS: usize = 8;

/// Where a key stands, without its quotes.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) escaped: bool,
}

/// The offset of the first key that equals an earlier one of the same object. Sorting keeps a huge object, or one
/// whose keys were chosen to collide in some hash, from costing quadratic time.
pub(super) fn twin(keys: &mut [Key], text: &str) -> Option<usize> {
    let start = if keys.iter().any(|key| key.escaped) {
        twin_among_escaped(keys, text)
    } else if keys.len() <= FEW_MEMBERS {
        twin_among_few(keys, text.as_bytes())
    } else {
        twin_among_many(keys, text.as_bytes())
    };
    start.map(|start| (start as usize).saturating_sub(1))
}

impl Key {
    fn span(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Differs for most keys, and is known without a look at them.
    const fn length(self) -> u32 {
        self.end - self.start
    }

    fn literal(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.span()).unwrap_or_default()
    }
}

fn twin_among_few(keys: &[Key], bytes: &[u8]) -> Option<u32> {
    let mut rest = keys;
    let mut twin = None;
    while let Some((key, later)) = rest.split_first() {
        let literal = key.literal(bytes);
        let equal = later
            .iter()
            .filter(|other| other.length() == key.length() && other.literal(bytes) == literal);
        twin = equal.map(|other| other.start).chain(twin).min();
        rest = later;
    }
    twin
}

fn twin_among_many(keys: &mut [Key], bytes: &[u8]) -> Option<u32> {
    keys.sort_unstable_by(|a, b| (a.literal(bytes), a.start).cmp(&(b.literal(bytes), b.start)));
    let pairs = keys.windows(2).filter_map(|pair| match pair {
        [a, b] if a.literal(bytes) == b.literal(bytes) => Some(b.start),
        _ => None,
    });
    pairs.min()
}

fn twin_among_escaped(keys: &[Key], text: &str) -> Option<u32> {
    let unescaped = |key: &Key| {
        (
            unescape(text.get(key.span()).unwrap_or_default()),
            key.start,
        )
    };
    let mut texts: Vec<_> = keys.iter().map(unescaped).collect();
    texts.sort_unstable();
    let pairs = texts.windows(2).filter_map(|pair| match pair {
        [(a, _), (b, later)] if a == b => Some(*later),
        _ => None,
    });
    pairs.min()
}
