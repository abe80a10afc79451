//! Line framing of servers that are commands: what is judged is one line, and lines read the same however they come.

use bytes::Bytes;
use sallyport_policy::json::{Document, Limits};
use sallyport_sidecar::upstream::line::{one_line, read_line};
use tokio::io::{AsyncReadExt, BufReader};

use super::Target;
use crate::corpus;
use crate::input::{Choices, option};

pub(super) const TARGET: Target = Target {
    name: "stdio",
    law: "a judged message is one line to any reader and reads the same; lines read the same however they arrive, within the limit",
    property,
    seeds,
    longest: 2048,
    words: &[
        "\r\n",
        "\n",
        "\r",
        "\u{2028}",
        "\u{2029}",
        "\u{85}",
        "{\"a\":\n",
        "\"\u{2028}{",
    ],
};

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = corpus::messages()
        .into_iter()
        .map(|message| [&[1, 200], message.as_slice()].concat())
        .collect();
    seeds.push(
        "\u{1}\u{40}{\"a\":\n{\"method\":\"x\"}\r\n,\"b\":\"\u{2028}{}\u{2029}\u{85}\"}".into(),
    );
    seeds
}

fn property(data: &[u8]) {
    let (seed, rest) = option(data);
    let (limit, body) = option(rest);
    if let Ok(document) = Document::parse(Bytes::copy_from_slice(body), Limits::REQUEST) {
        one(&document);
    }
    lines(body, usize::from(limit), seed);
}

/// The widest idea of a line's end that any server's standard library has.
fn breaks(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

fn one(document: &Document) {
    let line = one_line(document.bytes().clone());
    let text = std::str::from_utf8(&line).expect("still UTF-8");
    assert!(!text.contains(breaks), "a line's end inside a message");
    let read = Document::parse(line.clone(), Limits::REQUEST).expect("still a document");
    assert_eq!(read.root().to_value(), document.root().to_value());
    assert_eq!(one_line(line.clone()), line);
}

fn lines(stream: &[u8], limit: usize, seed: u8) {
    let mut expected = Vec::new();
    let mut rest = stream;
    let mut too_long = false;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        if end > limit {
            too_long = true;
            break;
        }
        let line = &rest[..end];
        expected.push(line.strip_suffix(b"\r").unwrap_or(line).to_vec());
        rest = &rest[end + 1..];
    }
    too_long |= rest.len() > limit;
    let (read, failed) = block_on(all_lines(stream, limit, seed));
    assert_eq!(read, expected, "exactly the lines that have an end");
    assert_eq!(failed, too_long, "a line beyond the limit is an error");
}

async fn all_lines(stream: &[u8], limit: usize, seed: u8) -> (Vec<Vec<u8>>, bool) {
    let (first, second) = stream.split_at(Choices::new(u64::from(seed)).below(stream.len()));
    let mut reader = BufReader::with_capacity(1 + usize::from(seed), first.chain(second));
    let mut lines = Vec::new();
    loop {
        match read_line(&mut reader, limit).await {
            Ok(Some(line)) => lines.push(line.to_vec()),
            Ok(None) => return (lines, false),
            Err(_) => return (lines, true),
        }
    }
}

/// Runs what never waits: its bytes are all there.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut work = std::pin::pin!(work);
    for _ in 0..1000 {
        if let std::task::Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return done;
        }
    }
    panic!("it waits for something");
}
