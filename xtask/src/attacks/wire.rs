//! A client that sends exactly the bytes it is told to, and reads answers without believing them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Nothing of a case takes longer; what does, hangs.
pub(super) const LIMIT: Duration = Duration::from_secs(20);
/// How long a connection that has answered is watched for an answer that nobody asked for.
const GRACE: Duration = Duration::from_millis(300);

/// One answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    pub(super) status: u16,
    /// As it came, up to the blank line.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Heard {
    /// Everything that the client sees.
    pub(super) fn text(&self) -> String {
        format!("{}{}", self.head, String::from_utf8_lossy(&self.body))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The JSON-RPC messages in it.
    pub(super) fn messages(&self) -> Vec<Value> {
        let text = String::from_utf8_lossy(&self.body);
        let streamed = self
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/event-stream"));
        let texts: Vec<String> = if streamed {
            events(&text)
        } else if text.is_empty() {
            Vec::new()
        } else {
            vec![text.into_owned()]
        };
        let parsed = texts
            .iter()
            .map(|text| serde_json::from_str(text).unwrap_or(Value::Null));
        parsed
            .flat_map(|value| match value.as_array() {
                Some(several) => several.clone(),
                None => vec![value],
            })
            .collect()
    }

    /// The answer proper: what is no notification.
    pub(super) fn answer(&self) -> Option<Value> {
        let mut messages = self.messages();
        messages.retain(|message| message.get("method").is_none());
        messages.pop()
    }
}

/// The data of each event; the guard ends its lines with LF.
fn events(text: &str) -> Vec<String> {
    let data = |event: &str| {
        let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
        lines
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let mut events: Vec<String> = text.split("\n\n").map(data).collect();
    events.retain(|data| !data.is_empty());
    events
}

/// A connection, with what was read of it and not yet taken.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    pending: Vec<u8>,
    until: Instant,
}

impl Line {
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        Self::open_for(address, LIMIT)
    }

    pub(super) fn open_for(address: SocketAddr, limit: Duration) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        Ok(Self {
            stream,
            pending: Vec::new(),
            until: Instant::now() + limit,
        })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Writes; a peer that has closed already has said what it thinks, and is read all the same.
    pub(super) fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next answer; none where the connection ends before one begins.
    pub(super) fn answer(&mut self) -> Result<Option<Heard>> {
        let mut interim = String::new();
        loop {
            let Some(head) = self.head()? else {
                return Ok(None);
            };
            let status = status_of(&head)?;
            if (100..200).contains(&status) && status != 101 {
                interim.push_str(&head);
                continue;
            }
            let mut heard = Heard {
                status,
                head: interim + &head,
                body: Vec::new(),
            };
            heard.body = self.body(&heard)?;
            return Ok(Some(heard));
        }
    }

    /// Only the head of the next answer, for streams that do not end.
    pub(super) fn begin(&mut self) -> Result<Heard> {
        let head = self.head()?.context("no answer")?;
        Ok(Heard {
            status: status_of(&head)?,
            head,
            body: Vec::new(),
        })
    }

    /// Reads until the text holds `wanted`; what came so far.
    pub(super) fn read_until(&mut self, wanted: &str) -> Result<String> {
        loop {
            let text = String::from_utf8_lossy(&self.pending).into_owned();
            if text.contains(wanted) {
                return Ok(text);
            }
            if !self.more(self.until)? {
                bail!("the stream ended without `{wanted}`: {text}");
            }
        }
    }

    /// Everything that still comes until the peer closes, or falls silent for `grace`.
    pub(super) fn rest(&mut self, grace: Duration) -> Result<Vec<u8>> {
        while self.more(Instant::now() + grace).unwrap_or(false) {}
        Ok(std::mem::take(&mut self.pending))
    }

    /// Waits for the peer to close, for as long as the line's limit allows.
    pub(super) fn closed(&mut self) -> bool {
        loop {
            match self.more(self.until) {
                Ok(true) => self.pending.clear(),
                Ok(false) => return true,
                Err(_) => return Instant::now() < self.until,
            }
        }
    }

    fn head(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(at) = find(&self.pending, b"\r\n\r\n") {
                let head: Vec<u8> = self.pending.drain(..at + 4).collect();
                return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
            }
            if !self.more(self.until)? {
                if self.pending.is_empty() {
                    return Ok(None);
                }
                bail!(
                    "an answer without an end of its head: {}",
                    String::from_utf8_lossy(&self.pending)
                );
            }
        }
    }

    fn body(&mut self, heard: &Heard) -> Result<Vec<u8>> {
        if heard
            .header("transfer-encoding")
            .is_some_and(|coding| coding.contains("chunked"))
        {
            return self.chunks();
        }
        if let Some(length) = heard.header("content-length") {
            return self.exactly(length.parse()?);
        }
        if [204, 304].contains(&heard.status) {
            return Ok(Vec::new());
        }
        while self.more(self.until)? {}
        Ok(std::mem::take(&mut self.pending))
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let at = loop {
                if let Some(at) = find(&self.pending, b"\r\n") {
                    break at;
                }
                if !self.more(self.until)? {
                    // A stream that breaks off has no last chunk; what came is what the client saw.
                    return Ok(body);
                }
            };
            let line: Vec<u8> = self.pending.drain(..at + 2).collect();
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16)?;
            let mut chunk = self.exactly(size + 2)?;
            chunk.truncate(size);
            if size == 0 {
                return Ok(body);
            }
            body.append(&mut chunk);
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.pending.len() < length {
            if !self.more(self.until)? {
                bail!("the answer broke off");
            }
        }
        Ok(self.pending.drain(..length).collect())
    }

    /// Reads a piece; false at the end.
    fn more(&mut self, until: Instant) -> Result<bool> {
        let left = until
            .min(self.until)
            .saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("it hangs: nothing came in time");
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => Ok(false),
            Ok(read) => {
                self.pending
                    .extend_from_slice(piece.get(..read).unwrap_or_default());
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("it hangs: nothing came in time")
            }
            // A reset is an end.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Sends one request and reads its answer.
pub(super) fn ask(address: SocketAddr, bytes: &[u8]) -> Result<Heard> {
    let mut line = Line::open(address)?;
    line.write(bytes);
    line.answer()?
        .context("the connection was closed without an answer")
}

/// Sends bytes and reads every answer that comes of them.
pub(super) fn all_answers(address: SocketAddr, bytes: &[u8]) -> Result<Vec<Heard>> {
    let mut line = Line::open(address)?;
    line.write(bytes);
    let mut answers = Vec::new();
    if let Some(first) = line.answer()? {
        answers.push(first);
        line.until = Instant::now() + GRACE;
        while let Ok(Some(next)) = line.answer() {
            answers.push(next);
        }
    }
    Ok(answers)
}

fn status_of(head: &str) -> Result<u16> {
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.with_context(|| format!("no status in `{}`", head.lines().next().unwrap_or_default()))
}

pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
