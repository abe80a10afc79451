//! String literals: the scanning loop that both parser and writer live on, unescaping, quoting.
//!
//! Unescaping trusts that the parser has checked the literal; it must never see bytes that were not parsed.

use std::fmt::Write as _;

/// Words that are looked at one by one before whole blocks are.
const SHORT_WORDS: usize = 4;

/// How many bytes come before the first one that a string literal must not hold as it is: a quote, a
/// backslash, a control character.
#[inline]
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    // Keys and most values are short: they end within the first few words.
    for _ in 0..SHORT_WORDS {
        let Some((word, tail)) = rest.split_first_chunk() else {
            break;
        };
        if let Some(end) = special_in(*word) {
            return bytes.len() - rest.len() + end;
        }
        rest = tail;
    }
    // Then whole blocks: without an early exit inside the block the compiler makes it vector code.
    while let Some((block, tail)) = rest.split_first_chunk::<32>() {
        if block
            .iter()
            .fold(false, |seen, byte| seen | is_special(*byte))
        {
            break;
        }
        rest = tail;
    }
    while let Some((word, tail)) = rest.split_first_chunk() {
        if let Some(end) = special_in(*word) {
            return bytes.len() - rest.len() + end;
        }
        rest = tail;
    }
    let end = rest.iter().position(|byte| is_special(*byte));
    bytes.len() - rest.len() + end.unwrap_or(rest.len())
}

const fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Where the first special byte stands among eight.
fn special_in(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(word);
    let quote = word ^ (ONES * u64::from(b'"'));
    let backslash = word ^ (ONES * u64::from(b'\\'));
    // Top bits of special bytes. A borrow travels upwards, so bits above the lowest one set may lie.
    let marks = (word.wrapping_sub(ONES * 0x20) & !word)
        | (quote.wrapping_sub(ONES) & !quote)
        | (backslash.wrapping_sub(ONES) & !backslash);
    match marks & TOPS {
        0 => None,
        marks => Some((marks.trailing_zeros() / 8) as usize),
    }
}

/// The four hex digits that `text` begins with.
pub(super) fn hex4(text: &[u8]) -> Option<u32> {
    let mut unit = 0;
    for digit in text.first_chunk::<4>()? {
        unit = unit * 16 + char::from(*digit).to_digit(16)?;
    }
    Some(unit)
}

/// The scalar value of a surrogate pair.
pub(super) fn join_surrogates(high: u32, low: u32) -> Option<char> {
    let both = (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low);
    both.then(|| char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)))?
}

/// The text that the inside of a parsed string literal stands for.
pub(super) fn unescape(literal: &str) -> String {
    let mut text = String::with_capacity(literal.len());
    let mut rest = literal;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let (scalar, length) = read_escape(escape);
        text.push(scalar);
        rest = escape.get(length..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}

/// What the escape after a backslash stands for, and how many bytes it takes.
fn read_escape(escape: &str) -> (char, usize) {
    let bytes = escape.as_bytes();
    match bytes.first() {
        Some(b'b') => ('\u{8}', 1),
        Some(b'f') => ('\u{c}', 1),
        Some(b'n') => ('\n', 1),
        Some(b'r') => ('\r', 1),
        Some(b't') => ('\t', 1),
        Some(b'u') => read_unicode(bytes),
        Some(other) => (char::from(*other), 1),
        None => (char::REPLACEMENT_CHARACTER, 0),
    }
}

fn read_unicode(bytes: &[u8]) -> (char, usize) {
    let unit = |from: usize| bytes.get(from..).and_then(hex4);
    let first = unit(1).unwrap_or(u32::MAX);
    match char::from_u32(first) {
        Some(scalar) => (scalar, 5),
        None => {
            let pair = unit(7).and_then(|second| join_surrogates(first, second));
            (pair.unwrap_or(char::REPLACEMENT_CHARACTER), 11)
        }
    }
}

/// A JSON string literal of `text`, escaped minimally (the form of RFC 8785).
#[must_use]
pub fn quote(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    push_quoted(&mut literal, text);
    literal
}

pub(super) fn push_quoted(to: &mut String, text: &str) {
    to.push('"');
    let mut rest = text;
    // What stops a run is one ASCII byte, so both splits fall between characters.
    while let Some((plain, special)) = rest.split_at_checked(plain_run(rest.as_bytes())) {
        to.push_str(plain);
        let Some(byte) = special.bytes().next() else {
            break;
        };
        push_escape(to, byte);
        rest = special.get(1..).unwrap_or_default();
    }
    to.push('"');
}

fn push_escape(to: &mut String, byte: u8) {
    let short = match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        0x08 => "\\b",
        0x0c => "\\f",
        b'\n' => "\\n",
        b'\r' => "\\r",
        b'\t' => "\\t",
        control => {
            // Writing to a `String` cannot fail.
            let _infallible = write!(to, "\\u{control:04x}");
            return;
        }
    };
    to.push_str(short);
}
