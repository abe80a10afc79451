//! One change to a document, of the kinds that parsers are known to differ in.

use super::odd::{BLANKS, KEYS, NUMBERS, TEXTS, VALUES};

/// Numbers from a seed (xorshift); the same row for the same seed.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`, 0 where that is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let number = usize::try_from(self.0 >> 16).unwrap_or_default();
        number.checked_rem(end).unwrap_or_default()
    }

    fn pick<'c, T: ?Sized>(&mut self, choices: &[&'c T]) -> Option<&'c T> {
        choices.get(self.below(choices.len())).copied()
    }
}

/// What stands where in a document, found without understanding it: damaged ones are changed further too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// A text that a colon follows.
    Key,
    Text,
    Number,
    /// A bracket, brace, comma or colon.
    Mark,
}

/// The document with one change.
pub(super) fn mutated(document: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    let pieces = pieces(&document);
    match dice.below(16) {
        0..=2 => with_twin(document, &pieces, dice),
        4 => with_member(document, &pieces, dice),
        3 | 5 | 6 => respelled(document, &pieces, dice),
        7 => replaced(
            document,
            &pieces,
            Piece::Number,
            dice.pick(NUMBERS).unwrap_or("0").as_bytes(),
            dice,
        ),
        8 => replaced(
            document,
            &pieces,
            Piece::Text,
            dice.pick(TEXTS).unwrap_or(b"\"\""),
            dice,
        ),
        9 => with_value(document, &pieces, dice),
        10 | 11 => with_blank(&document, &pieces, dice),
        12 => dropped(document, &pieces, dice),
        13 => wrapped(document, &pieces, dice),
        14 => followed(&document, dice),
        _ => damaged(document, dice),
    }
}

/// Finds texts, numbers and marks with one pass; whatever is not understood is stepped over.
fn pieces(document: &[u8]) -> Vec<(Piece, usize, usize)> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(byte) = document.get(at) {
        let end = match byte {
            b'"' => text_end(document, at),
            b'-' | b'0'..=b'9' => {
                let rest = document.get(at..).unwrap_or_default();
                let more =
                    |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
                at + rest.iter().take_while(|byte| more(byte)).count()
            }
            _ => at + 1,
        };
        match byte {
            b'"' => pieces.push((Piece::Text, at, end)),
            b'-' | b'0'..=b'9' => pieces.push((Piece::Number, at, end)),
            b'{' | b'}' | b'[' | b']' | b',' => pieces.push((Piece::Mark, at, end)),
            b':' => {
                if let Some(last @ (Piece::Text, ..)) = pieces.last_mut() {
                    last.0 = Piece::Key;
                }
                pieces.push((Piece::Mark, at, end));
            }
            _ => {}
        }
        at = end;
    }
    pieces
}

fn text_end(document: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = document.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    document.len()
}

fn one_of(
    pieces: &[(Piece, usize, usize)],
    kind: Piece,
    dice: &mut Dice,
) -> Option<(usize, usize)> {
    let fitting: Vec<_> = pieces.iter().filter(|(found, ..)| *found == kind).collect();
    let (_, start, end) = fitting.get(dice.below(fitting.len()))?;
    Some((*start, *end))
}

fn spliced(document: &[u8], start: usize, end: usize, text: &[u8]) -> Vec<u8> {
    let before = document.get(..start).unwrap_or_default();
    let after = document.get(end..).unwrap_or_default();
    [before, text, after].concat()
}

fn replaced(
    document: Vec<u8>,
    pieces: &[(Piece, usize, usize)],
    kind: Piece,
    text: &[u8],
    dice: &mut Dice,
) -> Vec<u8> {
    match one_of(pieces, kind, dice) {
        Some((start, end)) => spliced(&document, start, end, text),
        None => document,
    }
}

/// A second member beside one that is there, whose key some reader takes for the same.
fn with_twin(document: Vec<u8>, pieces: &[(Piece, usize, usize)], dice: &mut Dice) -> Vec<u8> {
    let Some((start, end)) = one_of(pieces, Piece::Key, dice) else {
        return document;
    };
    let key = document.get(start..end).unwrap_or_default();
    let key = String::from_utf8_lossy(key).trim_matches('"').to_owned();
    let twin = twin(&key, dice);
    let value = dice.pick(VALUES).unwrap_or("1").to_owned();
    if dice.below(2) == 0 {
        return spliced(
            &document,
            start,
            start,
            format!("\"{twin}\":{value},").as_bytes(),
        );
    }
    // At the end of the innermost object that closes behind it, or of any other.
    let ends: Vec<usize> = document
        .iter()
        .enumerate()
        .filter(|(at, byte)| *at > end && **byte == b'}')
        .map(|(at, _)| at)
        .collect();
    match ends.get(dice.below(ends.len())) {
        Some(at) => spliced(
            &document,
            *at,
            *at,
            format!(",\"{twin}\":{value}").as_bytes(),
        ),
        None => document,
    }
}

/// The key in another spelling: the same once unescaped, or once folded, or once cut at a NUL.
fn twin(key: &str, dice: &mut Dice) -> String {
    match dice.below(9) {
        0 => key.to_owned(),
        1 => key.to_uppercase(),
        2 => {
            let mut letters = key.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters).collect()
        }
        3 => escaped(key, dice),
        4 => key.replace('k', "\u{212a}").replace('s', "\u{17f}"),
        5 => key.replace('s', "\\u017f").replace('k', "\\u212A"),
        6 => format!("{key}\\u0000"),
        7 => key.replace('i', "\u{131}").replace("ss", "\u{df}"),
        _ => format!(" {key}"),
    }
}

/// Some letters as escapes.
fn escaped(text: &str, dice: &mut Dice) -> String {
    let spell = |c: char| {
        if c.is_ascii_alphanumeric() && dice.below(2) == 0 {
            format!("\\u{:04X}", u32::from(c))
        } else {
            c.to_string()
        }
    };
    text.chars().map(spell).collect()
}

/// A member that is not there, under a key of the protocol.
fn with_member(document: Vec<u8>, pieces: &[(Piece, usize, usize)], dice: &mut Dice) -> Vec<u8> {
    let Some((start, _)) = one_of(pieces, Piece::Key, dice) else {
        return document;
    };
    let key = dice.pick(KEYS).unwrap_or("id").to_owned();
    let key = if dice.below(2) == 0 {
        key
    } else {
        twin(&key, dice)
    };
    let value = dice.pick(VALUES).unwrap_or("1");
    spliced(
        &document,
        start,
        start,
        format!("\"{key}\":{value},").as_bytes(),
    )
}

/// A key or text spelled with escapes; read alike by everybody.
fn respelled(document: Vec<u8>, pieces: &[(Piece, usize, usize)], dice: &mut Dice) -> Vec<u8> {
    let kind = if dice.below(2) == 0 {
        Piece::Key
    } else {
        Piece::Text
    };
    let Some((start, end)) = one_of(pieces, kind, dice) else {
        return document;
    };
    let Ok(text) = std::str::from_utf8(document.get(start..end).unwrap_or_default()) else {
        return document;
    };
    if text.contains('\\') {
        return document;
    }
    let text = escaped(text, dice);
    spliced(&document, start, end, text.as_bytes())
}

/// Another kind of value where a number or text stands.
fn with_value(document: Vec<u8>, pieces: &[(Piece, usize, usize)], dice: &mut Dice) -> Vec<u8> {
    let kind = if dice.below(2) == 0 {
        Piece::Number
    } else {
        Piece::Text
    };
    let value = dice.pick(VALUES).unwrap_or("null");
    replaced(document, pieces, kind, value.as_bytes(), dice)
}

/// What some parsers take for blank, beside a mark or at either end.
fn with_blank(document: &[u8], pieces: &[(Piece, usize, usize)], dice: &mut Dice) -> Vec<u8> {
    let blank = dice.pick(BLANKS).unwrap_or(b" ");
    let at = match dice.below(6) {
        0 => 0,
        1 => document.len(),
        _ => one_of(pieces, Piece::Mark, dice)
            .map_or(0, |(start, end)| if blank == b"," { start } else { end }),
    };
    spliced(document, at, at, blank)
}

/// A mark, key, text or number is missing.
fn dropped(document: Vec<u8>, pieces: &[(Piece, usize, usize)], dice: &mut Dice) -> Vec<u8> {
    match pieces.get(dice.below(pieces.len())) {
        Some((_, start, end)) => spliced(&document, *start, *end, b""),
        None => document,
    }
}

/// Deeper: round the whole, or round one value.
fn wrapped(document: Vec<u8>, pieces: &[(Piece, usize, usize)], dice: &mut Dice) -> Vec<u8> {
    let depth = match dice.below(8) {
        0 => 60 + dice.below(10),
        1 => 200,
        _ => 1 + dice.below(3),
    };
    let (open, close) = (b"[".repeat(depth), b"]".repeat(depth));
    if dice.below(4) == 0 {
        return [open, document, close].concat();
    }
    match one_of(pieces, Piece::Text, dice) {
        Some((start, end)) => {
            let inner = document.get(start..end).unwrap_or_default().to_vec();
            spliced(&document, start, end, &[open, inner, close].concat())
        }
        None => document,
    }
}

/// Cut off, or with something behind it.
fn followed(document: &[u8], dice: &mut Dice) -> Vec<u8> {
    let tails: [&[u8]; 6] = [
        b"{}",
        b"]",
        b"}",
        b"\x00",
        b"null",
        b"\n{\"jsonrpc\":\"2.0\",\"id\":99,\"method\":\"tools/call\"}",
    ];
    match dice.below(tails.len() + 1) {
        0 => document
            .get(..dice.below(document.len()))
            .unwrap_or_default()
            .to_vec(),
        place => [document, *tails.get(place - 1).unwrap_or(&tails[0])].concat(),
    }
}

/// One byte is another, one more, or one less.
fn damaged(mut document: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    let at = dice.below(document.len());
    let byte = u8::try_from(dice.below(256)).unwrap_or_default();
    match dice.below(3) {
        0 => document.insert(at, byte),
        1 if !document.is_empty() => drop(document.remove(at)),
        _ => {
            if let Some(place) = document.get_mut(at) {
                *place = byte;
            }
        }
    }
    document
}
