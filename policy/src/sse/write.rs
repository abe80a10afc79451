//! The writer: what a parser reads back as the same item.
//!
//! Nothing written can end a line early: a name or id with a line break in it would let one event forge another.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Event, Item};

const END: &[u8] = b"\n\n";

impl Event {
    /// The event's bytes in three parts, the data uncopied where it is one line.
    #[must_use]
    pub fn parts(self) -> [Bytes; 3] {
        let mut head = BytesMut::with_capacity(64);
        put_field(&mut head, "event", self.event.as_deref());
        put_field(&mut head, "id", self.id.as_deref());
        if let Some(retry) = self.retry {
            put_field(&mut head, "retry", Some(&retry.to_string()));
        }
        let Some(data) = self.data else {
            head.put_u8(b'\n');
            return [head.freeze(), Bytes::new(), Bytes::new()];
        };
        if memchr::memchr2(b'\r', b'\n', &data).is_none() {
            head.put_slice(b"data: ");
            return [head.freeze(), data, Bytes::from_static(END)];
        }
        put_lines(&mut head, &data);
        head.put_u8(b'\n');
        [head.freeze(), Bytes::new(), Bytes::new()]
    }

    #[must_use]
    pub fn encode(self) -> Bytes {
        let [head, data, end] = self.parts();
        if data.is_empty() && end.is_empty() {
            return head;
        }
        let mut all = BytesMut::with_capacity(head.len() + data.len() + end.len());
        all.put_slice(&head);
        all.put_slice(&data);
        all.put_slice(&end);
        all.freeze()
    }
}

impl Item {
    #[must_use]
    pub fn encode(self) -> Bytes {
        match self {
            Self::Event(event) => event.encode(),
            Self::Comment(text) => comment_bytes(&text),
        }
    }
}

/// A comment, for keep-alive.
#[must_use]
pub fn comment(text: &str) -> Bytes {
    comment_bytes(text.as_bytes())
}

fn comment_bytes(text: &[u8]) -> Bytes {
    let mut line = BytesMut::with_capacity(text.len() + 3);
    line.put_u8(b':');
    put_without_breaks(&mut line, text);
    line.put_slice(END);
    line.freeze()
}

fn put_field(to: &mut BytesMut, name: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    to.put_slice(name.as_bytes());
    to.put_slice(b": ");
    put_without_breaks(to, value.as_bytes());
    to.put_u8(b'\n');
}

fn put_without_breaks(to: &mut BytesMut, text: &[u8]) {
    for part in text.split(|byte| matches!(byte, b'\r' | b'\n')) {
        to.put_slice(part);
    }
}

/// One `data` line for each line; CR LF counts once, so that a JSON text gains no blank lines.
fn put_lines(to: &mut BytesMut, data: &[u8]) {
    let mut rest = data;
    loop {
        let at = memchr::memchr2(b'\r', b'\n', rest);
        let (line, more) = rest.split_at(at.unwrap_or(rest.len()));
        to.put_slice(b"data: ");
        to.put_slice(line);
        to.put_u8(b'\n');
        rest = match more {
            [] => return,
            [b'\r', b'\n', after @ ..] | [_, after @ ..] => after,
        };
    }
}
