//! The push parser: lines out of chunks, events out of lines.
//!
//! A line that lies whole in one chunk is sliced, not copied; only what a chunk's end cuts is kept aside. The same
//! bytes give the same items and the same error however they were cut, which a property proves.

use bytes::{Buf, Bytes, BytesMut};

use super::{Event, Item, SseError};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a stream pushed in chunks of any size; holds at most one event.
#[derive(Debug)]
pub struct Parser {
    limit: usize,
    /// The beginning of a line whose end has not come yet.
    cut: BytesMut,
    /// The last line ended in CR; a LF that follows belongs to it.
    after_cr: bool,
    /// A byte order mark is legal before the first line only.
    first_line: bool,
    event: Event,
    data: Data,
    /// Bytes of the lines that the event in the making consists of.
    size: usize,
    failed: Option<SseError>,
}

/// The `data` lines so far: one is the rule and needs no copy.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    One(Bytes),
    Many(BytesMut),
}

impl Parser {
    /// `limit`: bytes of one event, its unfinished last line included.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            cut: BytesMut::new(),
            after_cr: false,
            first_line: true,
            event: Event::default(),
            data: Data::None,
            size: 0,
            failed: None,
        }
    }

    /// Takes the next chunk and appends what it completes. After an error the parser takes nothing more.
    pub fn push(&mut self, chunk: Bytes, items: &mut Vec<Item>) -> Result<(), SseError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let read = self.read(chunk, items);
        self.failed = read.as_ref().err().cloned();
        read
    }

    /// Whether the stream's end cut an event off.
    #[must_use]
    pub fn is_mid_event(&self) -> bool {
        self.size > 0 || !self.cut.is_empty()
    }

    fn read(&mut self, mut rest: Bytes, items: &mut Vec<Item>) -> Result<(), SseError> {
        while let Some(first) = rest.first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                rest.advance(1);
                continue;
            }
            let Some(at) = memchr::memchr2(b'\r', b'\n', &rest) else {
                self.check_size(rest.len())?;
                self.cut.extend_from_slice(&rest);
                return Ok(());
            };
            self.check_size(at)?;
            let line = rest.split_to(at);
            self.after_cr = rest.first() == Some(&b'\r');
            rest.advance(1);
            let line = self.joined(line);
            self.line(line, items)?;
        }
        Ok(())
    }

    fn check_size(&self, more: usize) -> Result<(), SseError> {
        let total = self
            .size
            .saturating_add(self.cut.len())
            .saturating_add(more);
        if total > self.limit {
            return Err(SseError::TooLarge { limit: self.limit });
        }
        Ok(())
    }

    fn joined(&mut self, line: Bytes) -> Bytes {
        if self.cut.is_empty() {
            return line;
        }
        self.cut.extend_from_slice(&line);
        self.cut.split().freeze()
    }

    fn line(&mut self, mut line: Bytes, items: &mut Vec<Item>) -> Result<(), SseError> {
        if std::mem::take(&mut self.first_line) && line.starts_with(BYTE_ORDER_MARK) {
            line.advance(BYTE_ORDER_MARK.len());
        }
        if line.is_empty() {
            items.extend(self.finish().map(Item::Event));
            return Ok(());
        }
        let colon = memchr::memchr(b':', &line).unwrap_or(line.len());
        let mut value = line.clone();
        let name = value.split_to(colon);
        if value.has_remaining() {
            value.advance(1);
        }
        if name.is_empty() {
            // A comment belongs to no event and must not fill its limit.
            items.push(Item::Comment(value));
            return Ok(());
        }
        if value.first() == Some(&b' ') {
            value.advance(1);
        }
        self.size = self.size.saturating_add(line.len());
        self.field(&name, value)
    }

    fn field(&mut self, name: &[u8], value: Bytes) -> Result<(), SseError> {
        match name {
            b"data" => self.data.add(value),
            b"event" => {
                let event = text(&value, "event")?;
                self.event.event = (!event.is_empty()).then_some(event);
            }
            // The standard ignores an id with NUL; a client that did not would resume elsewhere.
            b"id" if value.contains(&0) => {}
            b"id" => self.event.id = Some(text(&value, "id")?),
            b"retry" => self.event.retry = milliseconds(&value).or(self.event.retry),
            // Other fields mean nothing to any client, so they go no further.
            _ => {}
        }
        Ok(())
    }

    /// The event that a blank line ends; none if nothing in it means anything.
    fn finish(&mut self) -> Option<Event> {
        self.size = 0;
        let mut event = std::mem::take(&mut self.event);
        event.data = std::mem::take(&mut self.data).take();
        (event != Event::default()).then_some(event)
    }
}

impl Data {
    fn add(&mut self, line: Bytes) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(line),
            Self::One(first) => {
                let mut all = BytesMut::with_capacity(first.len() + line.len() + 1);
                all.extend_from_slice(&first);
                Self::Many(joined_line(all, &line))
            }
            Self::Many(all) => Self::Many(joined_line(all, &line)),
        };
    }

    fn take(self) -> Option<Bytes> {
        match self {
            Self::None => None,
            Self::One(line) => Some(line),
            Self::Many(all) => Some(all.freeze()),
        }
    }
}

fn joined_line(mut all: BytesMut, line: &[u8]) -> BytesMut {
    all.extend_from_slice(b"\n");
    all.extend_from_slice(line);
    all
}

fn text(value: &[u8], field: &'static str) -> Result<String, SseError> {
    match std::str::from_utf8(value) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(SseError::Utf8(field)),
    }
}

/// Digits only, as the standard says; anything else is ignored.
fn milliseconds(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
