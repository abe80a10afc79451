//! The stream grammar as a table, and that cutting a stream anywhere changes nothing.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn read_in(chunks: &[&[u8]], limit: usize) -> (Vec<Item>, Option<SseError>) {
    let mut parser = Parser::new(limit);
    let mut items = Vec::new();
    for chunk in chunks {
        if let Err(error) = parser.push(Bytes::copy_from_slice(chunk), &mut items) {
            return (items, Some(error));
        }
    }
    (items, None)
}

fn read(stream: &[u8]) -> Vec<Item> {
    let (items, error) = read_in(&[stream], 1 << 20);
    assert_eq!(error, None);
    items
}

fn data(text: &str) -> Event {
    Event::message(Bytes::copy_from_slice(text.as_bytes()))
}

/// Name, stream, items.
type Row = (&'static str, &'static [u8], &'static [&'static str]);

const GRAMMAR: &[Row] = &[
    ("LF", b"data: a\n\n", &["data=a"]),
    ("CR", b"data: a\r\r", &["data=a"]),
    ("CRLF", b"data: a\r\n\r\n", &["data=a"]),
    ("mixed ends", b"data: a\r\ndata: b\n\r", &["data=a\nb"]),
    (
        "a mark at the start",
        b"\xEF\xBB\xBFdata: a\n\n",
        &["data=a"],
    ),
    ("no space after the colon", b"data:a\n\n", &["data=a"]),
    ("only one space goes", b"data:  a\n\n", &["data= a"]),
    ("data without a colon", b"data\n\n", &["data="]),
    ("two empty lines of data", b"data\ndata\n\n", &["data=\n"]),
    ("data over lines", b"data: {\ndata: }\n\n", &["data={\n}"]),
    ("a comment", b": ping\n\n", &["comment= ping"]),
    (
        "a comment inside an event",
        b"data: a\n:x\n\n",
        &["comment=x", "data=a"],
    ),
    ("an id with NUL is ignored", b"id: a\0b\n\n", &[]),
    ("an empty id resets", b"id\n\n", &["id="]),
    ("a retry that is no number", b"retry: 5s\n\n", &[]),
    ("an unknown field", b"secret: a\n\n", &[]),
    ("blank lines alone", b"\n\n\r\n\r\n", &[]),
    ("an unfinished event", b"data: a\n", &[]),
    ("an unfinished line", b"data: a\n\ndata: b", &["data=a"]),
    ("fields are case-sensitive", b"Data: a\n\n", &[]),
];

fn told(item: &Item) -> String {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    match item {
        Item::Comment(comment) => format!("comment={}", text(comment)),
        Item::Event(Event {
            data: Some(data), ..
        }) => format!("data={}", text(data)),
        Item::Event(event) => format!("id={}", event.id.as_deref().unwrap_or("none")),
    }
}

#[test]
fn trap_32_the_grammar_of_a_stream() {
    for (name, stream, expected) in GRAMMAR {
        let items: Vec<_> = read(stream).iter().map(told).collect();
        assert_eq!(items, *expected, "{name}");
    }
}

#[test]
fn trap_33_ids_retry_and_priming_events_are_kept() {
    let items = read(b"id: 7\nretry: 500\ndata:\n\nevent: endpoint\ndata: /m\n\n");
    let priming = Event {
        id: Some("7".into()),
        retry: Some(500),
        data: Some(Bytes::new()),
        event: None,
    };
    let endpoint = Event {
        event: Some("endpoint".into()),
        ..data("/m")
    };
    assert_eq!(items, [Item::Event(priming), Item::Event(endpoint)]);
}

#[test]
fn trap_34_only_default_and_message_events_with_data_are_read_as_messages() {
    for (stream, is_message) in [
        ("data: {}\n\n", true),
        ("event: message\ndata: {}\n\n", true),
        ("event:\ndata: {}\n\n", true),
        ("event: Message\ndata: {}\n\n", false),
        ("event: endpoint\ndata: /m\n\n", false),
        ("id: 1\ndata:\n\n", false),
        ("id: 1\n\n", false),
    ] {
        let items = read(stream.as_bytes());
        let [Item::Event(event)] = items.as_slice() else {
            panic!("{stream:?}: {items:?}");
        };
        assert_eq!(event.is_message(), is_message, "{stream:?}");
    }
}

#[test]
fn trap_32_an_event_that_the_end_cuts_off_is_told_and_never_completed() {
    for (stream, cut) in [
        ("data: a\n\n", false),
        ("data: a\n", true),
        ("data: a\n\nd", true),
        (": ping\n", false),
    ] {
        let mut parser = Parser::new(64);
        let mut items = Vec::new();
        parser.push(Bytes::from(stream), &mut items).unwrap();
        assert_eq!(parser.is_mid_event(), cut, "{stream:?}");
    }
}

#[test]
fn an_event_larger_than_the_limit_ends_the_stream_and_comments_do_not_count() {
    let (items, error) = read_in(&[b":0123456789\n:0123456789\ndata: 0123\n\n"], 12);
    assert_eq!((items.len(), error), (3, None));
    for stream in [
        "data: 0123456",
        "data: 0\ndata: 1\n",
        ":012345678901",
        "x: 0123456789\n",
    ] {
        let (_, error) = read_in(&[stream.as_bytes(), b"\n\n"], 12);
        assert_eq!(error, Some(SseError::TooLarge { limit: 12 }), "{stream:?}");
    }
}

#[test]
fn after_an_error_nothing_more_is_read() {
    let mut parser = Parser::new(4);
    let mut items = Vec::new();
    assert!(
        parser
            .push(Bytes::from("data: too long"), &mut items)
            .is_err()
    );
    assert!(
        parser
            .push(Bytes::from("\n\nid:1\n\n"), &mut items)
            .is_err()
    );
    assert!(items.is_empty());
}

#[test]
fn a_name_that_is_not_utf8_ends_the_stream() {
    let (_, error) = read_in(&[b"event: \xFF\n\n"], 64);
    assert_eq!(error, Some(SseError::Utf8("event")));
}

#[test]
fn a_line_in_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"data: hello\n\n");
    let mut items = Vec::new();
    Parser::new(64).push(chunk.clone(), &mut items).unwrap();
    let [Item::Event(event)] = items.as_slice() else {
        panic!("one event, not {items:?}");
    };
    let held = event.data.as_ref().unwrap().as_ptr();
    assert_eq!(held, chunk[6..].as_ptr());
}

#[test]
fn no_field_can_forge_another_event() {
    let forged = Event {
        event: Some("a\n\ndata: forged".into()),
        id: Some("b\rid: c".into()),
        ..data("x")
    };
    let items = read(&forged.encode());
    assert_eq!(items.len(), 1);
    assert_eq!(read(&comment("a\n\ndata: forged\n\n")).len(), 1);
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"data"[..]),
        Just(&b"id"[..]),
        Just(&b"retry"[..]),
        Just(&b"event"[..]),
        Just(&b":"[..]),
        Just(&b" "[..]),
        Just(&b"\n"[..]),
        Just(&b"\r"[..]),
        Just(&b"\r\n"[..]),
        Just(&b"\n\n"[..]),
        Just(&b"42"[..]),
        Just(&b"\0"[..]),
        Just("é".as_bytes()),
        Just(&b"\xFF"[..]),
        Just(BOM),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

fn event() -> impl Strategy<Value = Event> {
    let text = "[^\r\n\0]{0,8}";
    (
        prop::option::of("[^\r\n]{1,8}"),
        prop::option::of(text),
        prop::option::of(any::<u64>()),
        prop::option::of("[^\r]{0,24}".prop_map(Bytes::from)),
    )
        .prop_map(|(event, id, retry, data)| Event {
            event,
            id,
            retry,
            data,
        })
}

proptest! {
    #[test]
    fn cutting_a_stream_anywhere_changes_nothing(
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        limit in 4_usize..64,
    ) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        at.push(0);
        at.push(stream.len());
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        let bytewise: Vec<&[u8]> = stream.chunks(1).collect();
        let whole = read_in(&[&stream], limit);
        prop_assert_eq!(&whole, &read_in(&chunks, limit));
        prop_assert_eq!(&whole, &read_in(&bytewise, limit));
    }

    #[test]
    fn what_is_written_reads_back_the_same(events in prop::collection::vec(event(), 0..6)) {
        let stream: Vec<u8> = events.iter().flat_map(|event| event.clone().encode()).collect();
        let expected: Vec<Item> = events
            .into_iter()
            .filter(|event| *event != Event::default())
            .map(Item::Event)
            .collect();
        prop_assert_eq!(read(&stream), expected);
    }

    #[test]
    fn no_stream_makes_the_parser_hold_more_than_its_limit(stream in stream(), limit in 0_usize..32) {
        let mut parser = Parser::new(limit);
        let mut items = Vec::new();
        let _ignored = parser.push(Bytes::from(stream), &mut items);
        for item in items {
            if let Item::Event(event) = item {
                prop_assert!(event.data.unwrap_or_default().len() <= limit);
            }
        }
    }
}
