//! Framing: one line of text for everything that is written.
//!
//! `<kind> <64 hex digits> <JSON>\n`, where the digits are the SHA-256 of the JSON. JSON holds no raw newline, so a
//! reader finds the next line after any damage, and an auditor checks a line with `cut` and `sha256sum`.

use crate::name::Digest;

/// What a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// The head of a segment, its first line.
    Segment,
    Event,
    Checkpoint,
}

impl LineKind {
    const fn letter(self) -> u8 {
        match self {
            Self::Segment => b'S',
            Self::Event => b'E',
            Self::Checkpoint => b'C',
        }
    }

    fn of(letter: u8) -> Option<Self> {
        [Self::Segment, Self::Event, Self::Checkpoint]
            .into_iter()
            .find(|kind| kind.letter() == letter)
    }
}

/// Bytes of a line beside its JSON: letter, space, hash, space, newline.
pub const OVERHEAD: usize = 68;

/// Largest JSON of an event, in bytes; what is longer belongs into a payload.
pub const MAX_EVENT: usize = 256 * 1024;

/// One line that is what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub kind: LineKind,
    pub hash: Digest,
    pub json: &'a [u8],
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage<'a> {
    /// Not a line at all.
    Form,
    /// A line whose hash is not that of its JSON: one of the two was changed.
    Altered { kind: LineKind, json: &'a [u8] },
}

/// Appends one line and tells the hash of its JSON.
pub fn encode(kind: LineKind, json: &[u8], out: &mut Vec<u8>) -> Digest {
    let hash = Digest::of(json);
    let mut digits = [0; 64];
    // The buffer is exactly twice the digest, the only thing that this can complain about.
    let encoded = hex::encode_to_slice(hash.as_bytes(), &mut digits);
    debug_assert!(encoded.is_ok());
    out.reserve(json.len() + OVERHEAD);
    out.push(kind.letter());
    out.push(b' ');
    out.extend_from_slice(&digits);
    out.push(b' ');
    out.extend_from_slice(json);
    out.push(b'\n');
    hash
}

/// Reads one line, without its newline.
///
/// # Errors
/// The bytes are not a line, or its hash does not fit.
pub fn decode(line: &[u8]) -> Result<Line<'_>, Damage<'_>> {
    let (kind, stated, json) = parts(line).ok_or(Damage::Form)?;
    let hash = Digest::of(json);
    if hash.as_bytes() == &stated {
        Ok(Line { kind, hash, json })
    } else {
        Err(Damage::Altered { kind, json })
    }
}

fn parts(line: &[u8]) -> Option<(LineKind, [u8; 32], &[u8])> {
    let (&letter, rest) = line.split_first()?;
    let (digits, json) = rest.strip_prefix(b" ")?.split_at_checked(64)?;
    let mut stated = [0; 32];
    let lower = digits.iter().all(|digit| !digit.is_ascii_uppercase());
    hex::decode_to_slice(digits, &mut stated).ok()?;
    lower.then_some((LineKind::of(letter)?, stated, json.strip_prefix(b" ")?))
}

/// Splits bytes into lines with their offsets; the last one may lack its newline.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = RawLine<'_>> {
    let mut offset = 0;
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(move |raw| {
            let at = offset;
            offset += raw.len();
            match raw.strip_suffix(b"\n") {
                Some(text) => RawLine {
                    at,
                    text,
                    whole: true,
                },
                None => RawLine {
                    at,
                    text: raw,
                    whole: false,
                },
            }
        })
}

/// A line as it lies in a file, not yet believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawLine<'a> {
    /// Byte offset of its first byte.
    pub at: usize,
    /// Without the newline.
    pub text: &'a [u8],
    /// Whether the newline is there.
    pub whole: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_readable_with_sha256sum() {
        let mut out = Vec::new();
        encode(LineKind::Event, br#"{"a":1}"#, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "E 015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862 {\"a\":1}\n"
        );
    }

    #[test]
    fn a_line_of_an_unknown_form_is_refused() {
        let good = "E 015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862 {\"a\":1}";
        assert!(decode(good.as_bytes()).is_ok());
        let rows = [
            ("empty", String::new()),
            ("unknown letter", good.replacen('E', "X", 1)),
            ("upper-case digits", good.replacen("015abd", "015ABD", 1)),
            ("no space", good.replacen("62 {", "62{", 1)),
            ("cut in the hash", good.chars().take(40).collect()),
        ];
        for (name, line) in rows {
            assert_eq!(decode(line.as_bytes()), Err(Damage::Form), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_never_decodes(json in "[ -~]{0,80}", bit in 0usize..10_000) {
            let mut out = Vec::new();
            encode(LineKind::Event, json.as_bytes(), &mut out);
            out.pop();
            let bit = bit % (out.len() * 8);
            out[bit / 8] ^= 1 << (bit % 8);
            // Only the letter could turn into another letter; the JSON's shape then betrays it.
            prop_assert!(decode(&out).is_err() || bit < 8);
        }

        #[test]
        fn lines_cover_every_byte(text in "[a-c\n]{0,60}") {
            let total: usize = lines(text.as_bytes()).map(|line| line.text.len() + usize::from(line.whole)).sum();
            prop_assert_eq!(total, text.len());
        }
    }
}
