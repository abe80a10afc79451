//! The strict parser: bytes to an index of spans, or the first reason to refuse them.
//!
//! It descends by recursion, which the depth limit bounds. It must never accept what RFC 8259 does not, and
//! refuses on top what two conforming parsers could read differently.

use super::keys::{self, Key};
use super::node::Entry;
use super::number::{Decimal, number_length, short_integer};
use super::text::{hex4, join_surrogates, plain_run};
use super::{JsonError, Kind, Limits};

/// Deepest nesting whatever the limits say: parser, canonical form and `serde_json` recurse.
const DEEPEST: usize = 100;

/// A number with at most so many bytes and no exponent is below 2^53 and needs no look.
pub(super) const SHORT_NUMBER: usize = 15;

/// Most entries that room is made for before they are seen; bodies of one long text have few.
const FIRST_ENTRIES: usize = 4096;

/// The index of one document's values.
pub(super) fn index(bytes: &[u8], limits: Limits) -> Result<Vec<Entry>, JsonError> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(JsonError::ByteOrderMark);
    }
    if u32::try_from(bytes.len()).is_err() {
        let what = "more than 4 GiB";
        return Err(JsonError::Syntax { at: 0, what });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::Utf8 {
        at: error.valid_up_to(),
    })?;
    let mut parser = Parser::new(text, limits);
    parser.document()?;
    Ok(parser.entries)
}

struct Parser<'b> {
    text: &'b str,
    bytes: &'b [u8],
    at: usize,
    depth: usize,
    limits: Limits,
    entries: Vec<Entry>,
    /// The keys of all open objects, innermost last; a stack saves an allocation an object.
    keys: Vec<Key>,
}

impl<'b> Parser<'b> {
    fn new(text: &'b str, limits: Limits) -> Self {
        let depth = limits.depth.min(DEEPEST);
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            depth: 0,
            limits: Limits { depth, ..limits },
            entries: Vec::with_capacity((text.len() / 8).clamp(8, FIRST_ENTRIES)),
            keys: Vec::new(),
        }
    }

    fn document(&mut self) -> Result<(), JsonError> {
        self.skip_blanks();
        self.value()?;
        self.skip_blanks();
        if self.at < self.bytes.len() {
            return Err(JsonError::Trailing { at: self.at });
        }
        Ok(())
    }

    fn value(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(|_key| ()),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Kind::Bool),
            Some(b'f') => self.literal("false", Kind::Bool),
            Some(b'n') => self.literal("null", Kind::Null),
            Some(_) | None => Err(self.wrong("expected a value")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<(), JsonError>) -> Result<(), JsonError> {
        if self.depth == self.limits.depth {
            return Err(JsonError::TooDeep {
                at: self.at,
                limit: self.limits.depth,
            });
        }
        self.depth += 1;
        read(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self) -> Result<(), JsonError> {
        let opened = self.open(Kind::Array)?;
        if !self.accept(b']') {
            loop {
                self.value()?;
                if !self.another(b']', "expected `,` or `]`")? {
                    break;
                }
            }
        }
        self.close(opened);
        Ok(())
    }

    fn object(&mut self) -> Result<(), JsonError> {
        let opened = self.open(Kind::Object)?;
        let first_key = self.keys.len();
        if !self.accept(b'}') {
            loop {
                self.member()?;
                if !self.another(b'}', "expected `,` or `}`")? {
                    break;
                }
            }
        }
        self.refuse_equal_keys(first_key)?;
        self.keys.truncate(first_key);
        self.close(opened);
        Ok(())
    }

    fn member(&mut self) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong("expected a key in double quotes"));
        }
        let key = self.string()?;
        self.keys.push(key);
        self.skip_blanks();
        if self.peek() != Some(b':') {
            return Err(self.wrong("expected `:`"));
        }
        self.at += 1;
        self.skip_blanks();
        self.value()
    }

    /// After an element or member: whether a comma says that another one follows, or the container is closed.
    fn another(&mut self, closing: u8, expected: &'static str) -> Result<bool, JsonError> {
        self.skip_blanks();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_blanks();
                Ok(true)
            }
            Some(byte) if byte == closing => {
                self.at += 1;
                Ok(false)
            }
            Some(_) | None => Err(self.wrong(expected)),
        }
    }

    /// Reads a string; tells where it stands, should it be a key.
    fn string(&mut self) -> Result<Key, JsonError> {
        let start = self.at;
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at += plain_run(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.wrong("a control character in a string")),
                None => return Err(self.wrong("a string without end")),
            }
        }
        let (first, end) = (offset(start + 1), offset(self.at));
        self.at += 1;
        self.push(Kind::String, escaped, start)?;
        Ok(Key {
            start: first,
            end,
            escaped,
        })
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => self.unicode_escape(),
            Some(_) | None => Err(self.wrong("an unknown escape")),
        }
    }

    fn unicode_escape(&mut self) -> Result<(), JsonError> {
        let at = self.at;
        let unit = self.unicode_unit()?;
        if char::from_u32(unit).is_some() {
            return Ok(());
        }
        let paired = self
            .bytes
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(b"\\u"))
            && join_surrogates(unit, self.unicode_unit()?).is_some();
        if paired {
            Ok(())
        } else {
            Err(JsonError::LoneSurrogate { at })
        }
    }

    /// Reads `\uXXXX`.
    fn unicode_unit(&mut self) -> Result<u32, JsonError> {
        let unit = self.bytes.get(self.at + 2..).and_then(hex4);
        let unit = unit.ok_or_else(|| self.wrong("expected four hex digits"))?;
        self.at += 6;
        Ok(unit)
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        if let Some(length) = short_integer(rest) {
            self.at += length;
            return self.push(Kind::Number, false, start).map(|_| ());
        }
        let length = number_length(rest).map_err(|error| JsonError::Syntax {
            at: start + error.at,
            what: error.what,
        })?;
        self.at += length;
        let lexeme = rest.get(..length).unwrap_or_default();
        if length > SHORT_NUMBER || lexeme.iter().any(|byte| matches!(byte, b'e' | b'E')) {
            self.check_range(start)?;
        }
        self.push(Kind::Number, false, start).map(|_| ())
    }

    /// Checks the number that began at `at` and ends here.
    fn check_range(&self, at: usize) -> Result<(), JsonError> {
        let lexeme = self.text.get(at..self.at).unwrap_or_default();
        let value = Decimal::of_lexeme(lexeme);
        if value.overflows(lexeme) {
            return Err(JsonError::NumberRange { at });
        }
        if self.limits.safe_integers && !value.is_safe() {
            return Err(JsonError::UnsafeInteger { at });
        }
        Ok(())
    }

    fn literal(&mut self, word: &'static str, kind: Kind) -> Result<(), JsonError> {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.wrong("expected a value"));
        }
        self.at += word.len();
        self.push(kind, false, start).map(|_| ())
    }

    fn refuse_equal_keys(&mut self, first: usize) -> Result<(), JsonError> {
        let keys = self.keys.get_mut(first..).unwrap_or_default();
        match keys::twin(keys, self.text) {
            Some(at) => Err(JsonError::DuplicateKey { at }),
            None => Ok(()),
        }
    }

    fn open(&mut self, kind: Kind) -> Result<u32, JsonError> {
        let opened = self.push(kind, false, self.at)?;
        self.at += 1;
        self.skip_blanks();
        Ok(opened)
    }

    fn close(&mut self, opened: u32) {
        let (end, next) = (offset(self.at), offset(self.entries.len()));
        if let Some(entry) = self.entries.get_mut(opened as usize) {
            entry.end = end;
            entry.next = next;
        }
    }

    /// Adds the value that began at `start` and ends here; a container is ended by `close`.
    fn push(&mut self, kind: Kind, escaped: bool, start: usize) -> Result<u32, JsonError> {
        if self.entries.len() >= self.limits.nodes {
            return Err(JsonError::TooMany {
                limit: self.limits.nodes,
            });
        }
        let index = offset(self.entries.len());
        self.entries.push(Entry {
            kind,
            escaped,
            start: offset(start),
            end: offset(self.at),
            next: index + 1,
        });
        Ok(index)
    }

    fn accept(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn wrong(&self, what: &'static str) -> JsonError {
        JsonError::Syntax { at: self.at, what }
    }
}

/// Offsets fit: a document is below 4 GiB, and has fewer entries than bytes.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
