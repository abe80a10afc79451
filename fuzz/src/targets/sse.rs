//! Event streams: bounded, the same however they were cut, and written so that they read back.

use bytes::Bytes;
use sallyport_policy::sse::{Event, Item, Parser, SseError};

use super::{Target, texts};
use crate::input::{BETWEEN, Choices, option, parts, text};

pub(super) const TARGET: Target = Target {
    name: "sse",
    law: "an event stream reads the same however it is cut, holds at most one event, and what is written reads back as the same items",
    property,
    seeds,
    longest: 2048,
    words: &[
        "data:", "data: ", "event: ", "id: ", "retry: ", "\n\n", "\r\n", "\r", ":", "\u{feff}",
        "message",
    ],
};

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "\u{1}\u{40}event: message\nid: 7\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n",
        "\u{2}\u{10}: keep-alive\n\ndata: one\r\ndata: two\r\rretry: 100\nid\n\n",
        "\u{3}\u{20}\u{feff}data\n\nid: a\u{0}b\ndata:x\n\nevent: endpoint\ndata: /messages?sessionId=1\n\n",
        "\u{4}\u{8}data: 0123456789abcdef\n\n",
        "\u{1}\u{40}name\u{1e}id\n\u{1e}data\r\nevent: forged\n\ndata: more",
    ])
}

fn property(data: &[u8]) {
    let (seed, rest) = option(data);
    let (size, stream) = option(rest);
    let limit = usize::from(size) * 4;
    let whole = read(&[stream], limit);
    let cut = Choices::new(u64::from(seed)).pieces(stream, 1 + usize::from(seed >> 4));
    let (items, error) = read(&cut, limit);
    assert_eq!(
        (&items, &error),
        (&whole.0, &whole.1),
        "the same however it is cut"
    );
    for item in &items {
        assert!(size_of(item) <= limit, "an event beyond the limit");
        // What was read and is passed on is read as the same by the next one.
        assert_eq!(
            read(&[&item.clone().encode()], usize::MAX).0,
            std::slice::from_ref(item)
        );
    }
    if stream.contains(&BETWEEN) {
        written(stream);
    }
}

/// The items, the error, and whether something is left unfinished.
fn read(chunks: &[&[u8]], limit: usize) -> (Vec<Item>, Option<SseError>) {
    let mut parser = Parser::new(limit);
    let mut items = Vec::new();
    for chunk in chunks {
        if let Err(error) = parser.push(Bytes::copy_from_slice(chunk), &mut items) {
            let again = parser.push(Bytes::from_static(b"data: x\n\n"), &mut items);
            assert_eq!(
                again,
                Err(error.clone()),
                "after an error nothing more is read"
            );
            return (items, Some(error));
        }
    }
    (items, None)
}

fn size_of(item: &Item) -> usize {
    match item {
        Item::Event(event) => {
            let texts = [&event.event, &event.id].into_iter().flatten();
            texts.map(String::len).sum::<usize>() + event.data.as_ref().map_or(0, Bytes::len)
        }
        Item::Comment(text) => text.len(),
    }
}

/// Whatever name, id and data say, what is written is one event with this data and no other.
fn written(stream: &[u8]) {
    let mut fields = parts(stream);
    let named = text(fields.next()).map(str::to_owned);
    let id = text(fields.next()).map(str::to_owned);
    let data = fields.next().map(Bytes::copy_from_slice);
    let event = Event {
        event: named,
        id,
        retry: Some(stream.len() as u64),
        data: data.clone(),
    };
    let (items, error) = read(&[&event.encode()], usize::MAX);
    assert_eq!(error, None);
    let [Item::Event(read)] = items.as_slice() else {
        panic!("not one event: {items:?}");
    };
    let lines = |data: &Bytes| {
        String::from_utf8_lossy(data)
            .replace("\r\n", "\n")
            .replace('\r', "\n")
    };
    assert_eq!(
        read.data.as_ref().map(lines),
        data.as_ref().map(lines),
        "the data as it was"
    );
    assert_eq!(read.retry, Some(stream.len() as u64));
}
