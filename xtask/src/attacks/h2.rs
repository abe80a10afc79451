//! HTTP/2 frames by hand: what a library would never send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Result;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame as it came.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) payload: Vec<u8>,
}

/// A connection with prior knowledge.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    pending: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        stream.set_nodelay(true)?;
        stream.write_all(PREFACE)?;
        stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
        Ok(Self {
            stream,
            pending: Vec::new(),
        })
    }

    /// False: the peer takes nothing more.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next frame; none at the end, or when nothing came in time.
    pub(super) fn next(&mut self, until: Instant) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let left = until.checked_duration_since(Instant::now())?;
            self.stream
                .set_read_timeout(Some(left.max(Duration::from_millis(1))))
                .ok()?;
            let mut piece = [0; 16 * 1024];
            match self.stream.read(&mut piece) {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.pending.extend_from_slice(piece.get(..read)?),
            }
        }
    }

    /// Frames until the peer ends the connection, or the time is over; whether it ended it.
    pub(super) fn ended(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while let Some(frame) = self.next(until) {
            if frame.kind == GOAWAY {
                return true;
            }
        }
        Instant::now() < until
    }

    fn take(&mut self) -> Option<Frame> {
        let [a, b, c, kind, flags, ..] = *self.pending.first_chunk::<9>()?;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        let payload = self.pending.get(9..9 + length)?.to_vec();
        self.pending.drain(..9 + length);
        Some(Frame {
            kind,
            flags,
            payload,
        })
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len())
        .unwrap_or_default()
        .to_be_bytes();
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A block of headers, each literally and without an index (RFC 7541 section 6.2.2).
pub(super) fn block(headers: &[(String, String)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

fn text(block: &mut Vec<u8>, text: &str) {
    let length = text.len();
    if let Ok(short @ 0..=126) = u8::try_from(length) {
        block.push(short);
    } else {
        block.push(127);
        let mut rest = length - 127;
        while rest >= 128 {
            block.push(u8::try_from(rest % 128).unwrap_or_default() | 128);
            rest /= 128;
        }
        block.push(u8::try_from(rest).unwrap_or_default());
    }
    block.extend_from_slice(text.as_bytes());
}

/// Sends one request and waits for the status of its answer; none where the stream or the connection is reset.
pub(super) fn ask(
    address: SocketAddr,
    headers: &[(String, String)],
    body: Option<&[u8]>,
) -> Result<Option<u16>> {
    let mut connection = Connection::open(address)?;
    let last = if body.is_none() { END_STREAM } else { 0 };
    connection.send(&frame(HEADERS, END_HEADERS | last, 1, &block(headers)));
    if let Some(body) = body {
        connection.send(&frame(DATA, END_STREAM, 1, body));
    }
    let until = Instant::now() + super::wire::LIMIT;
    while let Some(found) = connection.next(until) {
        match found.kind {
            HEADERS => return Ok(status(&found.payload)),
            RST_STREAM | GOAWAY => return Ok(None),
            SETTINGS if found.flags & 1 == 0 => {
                connection.send(&frame(SETTINGS, 1, 0, &[]));
            }
            _ => {}
        }
    }
    if Instant::now() >= until {
        anyhow::bail!("it hangs: no answer over HTTP/2");
    }
    Ok(None)
}

/// `:status` is the first header of an answer: from the static table, or literal under its name.
fn status(payload: &[u8]) -> Option<u16> {
    match *payload {
        [index @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500]
            .get(usize::from(index - 0x88))
            .copied(),
        [0x08 | 0x48, length, ref rest @ ..] if length & 0x80 == 0 => {
            let digits = rest.get(..usize::from(length))?;
            std::str::from_utf8(digits).ok()?.parse().ok()
        }
        // Huffman: each digit has five or six bits, and the codes of digits are known (RFC 7541 appendix B).
        [0x08 | 0x48, length, ref rest @ ..] => digits(rest.get(..usize::from(length & 0x7f))?),
        _ => None,
    }
}

fn digits(coded: &[u8]) -> Option<u16> {
    let bits: Vec<bool> = coded
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1 == 1))
        .collect();
    let mut at = 0;
    let mut number = 0_u16;
    for _ in 0..3 {
        let read = |count: usize| {
            bits.get(at..at + count).map(|bits| {
                bits.iter()
                    .fold(0_u16, |sum, bit| sum * 2 + u16::from(*bit))
            })
        };
        let five = read(5)?;
        let (digit, length) = if five <= 2 {
            (five, 5)
        } else {
            (read(6)?.checked_sub(0x19)? + 3, 6)
        };
        number = number * 10 + digit;
        at += length;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_in_each_of_its_spellings() {
        assert_eq!(status(&[0x88]), Some(200));
        assert_eq!(status(&[0x48, 3, b'4', b'2', b'1']), Some(421));
        // `302` of RFC 7541 appendix C.6.1, and `307` of C.6.2.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), Some(302));
        assert_eq!(status(&[0x48, 0x83, 0x64, 0x0e, 0xff]), Some(307));
    }

    #[test]
    fn long_texts_have_a_length_of_several_bytes() {
        let headers = [("a".to_owned(), "x".repeat(300))];
        assert_eq!(block(&headers).get(..5), Some(&[0, 1, b'a', 127, 173][..]));
    }
}
