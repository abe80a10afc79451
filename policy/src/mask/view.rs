//! A text as something behind the client would read it: escapes of JSON and of URLs undone, with a map back.
//!
//! Texts often hold JSON that was cut off or framed by words, so it does not parse, and a secret in it may be
//! spelled `\u0041KIA...`. A view is scanned like any text; what is found is masked in the original.

use std::ops::Range;

/// A decoded text and where each of its bytes came from.
pub(super) struct View {
    pub(super) text: String,
    /// For each byte of `text` where its source begins, and at last where the original ends.
    origins: Vec<usize>,
}

impl View {
    /// Undoes one level of backslash escapes; none where there are none.
    pub(super) fn unescaped(text: &str) -> Option<Self> {
        memchr::memchr(b'\\', text.as_bytes())?;
        Self::decode(text, b'\\', unescape)
    }

    /// Undoes one level of percent encoding; none where there is none.
    pub(super) fn unquoted(text: &str) -> Option<Self> {
        memchr::memchr(b'%', text.as_bytes())?;
        Self::decode(text, b'%', unquote)
    }

    fn decode(text: &str, mark: u8, escape: fn(&[u8]) -> Option<(char, usize)>) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut view = Self {
            text: String::with_capacity(text.len()),
            origins: Vec::with_capacity(text.len() + 1),
        };
        let mut at = 0;
        let mut undone = false;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let plain = memchr::memchr(mark, rest).unwrap_or(rest.len());
            view.text.push_str(text.get(at..at + plain)?);
            view.origins.extend(at..at + plain);
            at += plain;
            let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else {
                break;
            };
            let (c, length) = match escape(rest) {
                Some(found) => {
                    undone = true;
                    found
                }
                None => (char::from(mark), 1),
            };
            view.text.push(c);
            view.origins.extend(std::iter::repeat_n(at, c.len_utf8()));
            at += length;
        }
        view.origins.push(text.len());
        undone.then_some(view)
    }

    /// Where a range of the view stands in the original.
    pub(super) fn origin(&self, range: &Range<usize>) -> Option<Range<usize>> {
        Some(*self.origins.get(range.start)?..*self.origins.get(range.end)?)
    }
}

/// JSON's escapes, and `\x41` of other languages.
fn unescape(bytes: &[u8]) -> Option<(char, usize)> {
    let simple = |c| Some((c, 2));
    match bytes.get(1)? {
        b'"' => simple('"'),
        b'\'' => simple('\''),
        b'\\' => simple('\\'),
        b'/' => simple('/'),
        b'b' => simple('\u{8}'),
        b'f' => simple('\u{c}'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'x' => Some((char::from(u8::try_from(hex(bytes.get(2..4)?)?).ok()?), 4)),
        b'u' => {
            let first = hex(bytes.get(2..6)?)?;
            if let Some(c) = char::from_u32(first) {
                return Some((c, 6));
            }
            let second = bytes.get(6..12).filter(|pair| pair.starts_with(b"\\u"))?;
            let low = hex(second.get(2..)?)?;
            let pair = char::decode_utf16([u16::try_from(first).ok()?, u16::try_from(low).ok()?])
                .next()?;
            Some((pair.ok()?, 12))
        }
        _ => None,
    }
}

/// Only ASCII: what is looked for in this view is spelled in it, and a byte of a longer character stays as it is.
fn unquote(bytes: &[u8]) -> Option<(char, usize)> {
    let code = hex(bytes.get(1..3)?)?;
    char::from_u32(code).filter(char::is_ascii).map(|c| (c, 3))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        Some(number * 16 + char::from(*digit).to_digit(16)?)
    })
}
