//! Standard input and output as lines of JSON, each on a thread of its own: a blocked pipe must never keep the process
//! from ending.

use std::io::{BufRead, Read as _, Write as _};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longest line that is read; gateways take far less.
const LONGEST: u64 = 64 << 20;
const QUEUE: usize = 64;
/// How long what was said last may take to be written.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(2);

/// What the client says.
#[derive(Debug)]
pub(super) enum Said {
    Line(Bytes),
    /// Too long to be read; skipped.
    TooLong,
}

/// The client's lines, until it closes its end.
#[derive(Debug)]
pub(super) struct Input(mpsc::Receiver<Said>);

impl Input {
    pub(super) fn start() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        std::thread::spawn(move || read(&mut std::io::stdin().lock(), &sender));
        Self(receiver)
    }

    pub(super) async fn next(&mut self) -> Option<Said> {
        self.0.recv().await
    }
}

fn read(input: &mut impl BufRead, lines: &mpsc::Sender<Said>) {
    loop {
        let mut line = Vec::new();
        // Whatever keeps a pipe from being read, nothing more will come of it.
        let Ok(count) = input.by_ref().take(LONGEST).read_until(b'\n', &mut line) else {
            return;
        };
        if count == 0 {
            return;
        }
        let is_whole = line.ends_with(b"\n") || u64::try_from(count).unwrap_or(u64::MAX) < LONGEST;
        let said = if is_whole {
            // The line's end is stdio's framing, no part of the message: further on it could be taken for another line.
            Said::Line(Bytes::copy_from_slice(line.trim_ascii()))
        } else {
            Said::TooLong
        };
        if !is_whole && !skip_line(input) {
            return;
        }
        let is_blank = matches!(&said, Said::Line(line) if line.is_empty());
        if !is_blank && lines.blocking_send(said).is_err() {
            return;
        }
    }
}

/// Reads on to the end of a line without keeping it; false at the end of everything.
fn skip_line(input: &mut impl BufRead) -> bool {
    loop {
        let Ok(buffer) = input.fill_buf() else {
            return false;
        };
        if buffer.is_empty() {
            return false;
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(buffer.len(), |at| at + 1);
        input.consume(count);
        if end.is_some() {
            return true;
        }
    }
}

/// Where messages for the client go, in order.
#[derive(Clone, Debug)]
pub(super) struct Output(mpsc::Sender<Bytes>);

/// The other end: whether everything was written.
#[derive(Debug)]
pub(super) struct Written {
    broken: CancellationToken,
    done: CancellationToken,
}

impl Output {
    pub(super) fn start() -> (Self, Written) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let written = Written {
            broken: CancellationToken::new(),
            done: CancellationToken::new(),
        };
        let (broken, done) = (written.broken.clone(), written.done.clone());
        std::thread::spawn(move || {
            if write(receiver).is_err() {
                broken.cancel();
            }
            done.cancel();
        });
        (Self(sender), written)
    }

    /// Says one message; line breaks between its tokens, which mean nothing, become spaces.
    pub(super) async fn say(&self, message: Bytes) {
        // Nobody reads any more; `Written::broken` ends the process.
        self.0.send(one_line(message)).await.ok();
    }
}

fn write(mut messages: mpsc::Receiver<Bytes>) -> std::io::Result<()> {
    while let Some(message) = messages.blocking_recv() {
        let mut out = std::io::stdout().lock();
        out.write_all(&message)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}

/// JSON has no line break inside a string, so every one can be replaced.
fn one_line(message: Bytes) -> Bytes {
    if !message.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return message;
    }
    message
        .iter()
        .map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        })
        .collect::<Vec<u8>>()
        .into()
}

impl Written {
    /// Resolves when the client no longer reads.
    pub(super) async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Waits until everything that was said is written, a moment at most. All `Output`s must be gone.
    pub(super) async fn wait(&self) {
        // A client that does not read its pipe must not keep us.
        tokio::time::timeout(LAST_WORDS, self.done.cancelled())
            .await
            .ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_whole_and_blank_ones_are_nothing() {
        let (sender, mut receiver) = mpsc::channel(8);
        read(&mut b"{\"a\":1}\n\r\n\n{\"b\":2}".as_slice(), &sender);
        drop(sender);
        let mut lines = Vec::new();
        while let Some(Said::Line(line)) = receiver.blocking_recv() {
            lines.push(line);
        }
        assert_eq!(lines, [Bytes::from("{\"a\":1}"), Bytes::from("{\"b\":2}")]);
    }

    #[test]
    fn a_message_becomes_one_line() {
        assert_eq!(
            one_line(Bytes::from("{\r\n  \"a\": 1\n}")),
            Bytes::from("{    \"a\": 1 }")
        );
    }
}
