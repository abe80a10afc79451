//! How a target reads its input: options in the first bytes, then parts that a byte sets apart.
//!
//! Text stays text, so that seeds can be written by hand and dictionaries work.

/// Sets parts apart; no target gives it a meaning of its own.
pub(crate) const BETWEEN: u8 = 0x1e;

/// The first byte, and what follows; 0 where there is none.
pub(crate) fn option(data: &[u8]) -> (u8, &[u8]) {
    match data.split_first() {
        Some((first, rest)) => (*first, rest),
        None => (0, data),
    }
}

/// The parts; always at least one.
pub(crate) fn parts(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == BETWEEN)
}

/// A part as text, if it is any.
pub(crate) fn text(part: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(part?).ok()
}

/// Numbers that follow from a seed: where to cut, what to spell otherwise.
#[derive(Debug)]
pub(crate) struct Choices(u64);

impl Choices {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`, 0 where that is 0 (xorshift).
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let number = usize::try_from(self.0 >> 16).unwrap_or_default();
        number.checked_rem(end).unwrap_or_default()
    }

    /// The bytes in pieces of 1 to `longest` bytes.
    pub(crate) fn pieces<'b>(&mut self, bytes: &'b [u8], longest: usize) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at((1 + self.below(longest)).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        pieces
    }
}
