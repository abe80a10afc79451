//! Character classes and runs that the checks share. Everything works on ASCII bytes of UTF-8 text, so every
//! range that comes out of a run lies on character boundaries.

/// What the body of a token is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mask) enum Body {
    /// `A-Z a-z 0-9`
    Alnum,
    /// and `_ -`
    AlnumDash,
    /// and `.`
    AlnumDashDot,
    /// `A-Z a-z 0-9 + / =`
    Base64,
    /// Base64 where a URL carries it, `%2B` and the like
    Base64Percent,
    /// `0-9 a-f A-F`
    Hex,
    /// `A-Z a-z 0-9 - _ /`, the path of a URL
    Path,
    /// `A-Z 0-9`
    UpperDigit,
}

impl Body {
    pub(in crate::mask) const fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::AlnumDash => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::AlnumDashDot => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
            }
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='),
            Self::Base64Percent => {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'+' | b'/' | b'=' | b'%' | b'-' | b'_')
            }
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Path => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/' | b'@' | b'.')
            }
            Self::UpperDigit => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        }
    }
}

/// Where the run of bytes that `has` accepts ends, from `from` on.
pub(in crate::mask) fn run(text: &[u8], from: usize, has: impl Fn(u8) -> bool) -> usize {
    let length = text
        .get(from..)
        .unwrap_or_default()
        .iter()
        .take_while(|byte| has(**byte))
        .count();
    from.saturating_add(length)
}

/// Where the run of bytes that `has` accepts and that ends before `to` begins; at most `most` bytes back.
pub(in crate::mask) fn run_back(
    text: &[u8],
    to: usize,
    most: usize,
    has: impl Fn(u8) -> bool,
) -> usize {
    let length = text
        .get(..to)
        .unwrap_or_default()
        .iter()
        .rev()
        .take(most)
        .take_while(|byte| has(**byte))
        .count();
    to.saturating_sub(length)
}

pub(in crate::mask) fn before(text: &[u8], at: usize) -> Option<u8> {
    text.get(at.checked_sub(1)?).copied()
}

/// No letter, digit or underscore stands right before.
pub(in crate::mask) fn begins_word(text: &[u8], at: usize) -> bool {
    before(text, at)
        .is_none_or(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80))
}

/// No letter, digit or underscore stands right behind.
pub(in crate::mask) fn ends_word(text: &[u8], at: usize) -> bool {
    text.get(at)
        .is_none_or(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80))
}

/// The digits of a text as numbers, whatever stands between them.
pub(in crate::mask) fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// The Luhn sum of card numbers (ISO/IEC 7812-1, annex B).
pub(in crate::mask) fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => *digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}
