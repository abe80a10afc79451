//! The corpus of messages, and that reading one is total.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::document;
use crate::json::{Document, Limits, quote};
use crate::mcp::message::{Fault, Message, Outcome};
use crate::mcp::{Body, Id};

const CORPUS: &str = include_str!("../../../corpus/mcp/messages.json");

#[derive(serde::Deserialize)]
struct Row {
    name: String,
    body: String,
    expect: String,
}

fn told(document: &Document) -> String {
    match Body::parse(document) {
        Ok(Body::Batch(messages)) => format!("batch of {}", messages.len()),
        Ok(Body::One(message)) => told_one(&message),
        Err(error) => format!("refused: {error}"),
    }
}

fn told_one(message: &Message<'_>) -> String {
    match message {
        Message::Request(request) => format!("request {} {}", request.method, request.id.to_json()),
        Message::Notification(told) => format!("notification {}", told.method),
        Message::Response(response) => {
            let id = response.id.as_ref().map_or("-".to_owned(), Id::to_json);
            match &response.outcome {
                Outcome::Result(_) => format!("result {id}"),
                Outcome::Error(error) => format!("error {id} {}", error.code),
            }
        }
    }
}

#[test]
fn traps_2_3_9_10_and_11_the_corpus_of_messages() {
    let rows: Vec<Row> = serde_json::from_str(CORPUS).unwrap();
    let mut names = BTreeSet::new();
    for row in rows {
        assert!(names.insert(row.name.clone()), "{} stands twice", row.name);
        assert_eq!(told(&document(row.body)), row.expect, "{}", row.name);
    }
    assert!(names.len() > 50);
}

#[test]
fn law_04_a_twin_of_a_protocol_key_is_refused_at_each_protocol_level() {
    let rows: Vec<Row> = serde_json::from_str(CORPUS).unwrap();
    let twins = rows.iter().filter(|row| row.name.starts_with("twin"));
    let mut count = 0;
    for row in twins {
        let document = document(row.body.clone());
        let error = Body::parse(&document).unwrap_err();
        assert!(matches!(error.fault, Fault::Twin(_)), "{}", row.name);
        count += 1;
    }
    assert!(count >= 12);
}

#[test]
fn a_refusal_carries_the_id_where_it_can_be_read() {
    for (body, id) in [
        (
            r#"{"jsonrpc":"2.0","id":"a","method":1}"#,
            Some(Id::text("a")),
        ),
        (
            r#"{"jsonrpc":"1.0","id":3,"method":"ping"}"#,
            Some(Id::integer(3)),
        ),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, None),
        (r"[]", None),
    ] {
        assert_eq!(Body::parse(&document(body)).unwrap_err().id, id, "{body}");
    }
}

#[test]
fn trap_41_ids_are_typed_and_keep_their_text() {
    let id = |text: &str| Id::of(document(text.to_owned()).root());
    assert_ne!(id("1"), id(r#""1""#));
    assert_eq!(id(r#""\u0061""#), Some(Id::text("a")));
    assert_eq!(id("-0"), Some(Id::integer(0)));
    assert_eq!(id("-12"), Some(Id::integer(-12)));
    for refused in ["1.0", "1e0", "null", "true", "[]", "{}"] {
        assert_eq!(id(refused), None, "{refused}");
    }
    assert_eq!(Id::text("a\"b\n").to_json(), r#""a\"b\n""#);
    assert_eq!(
        id("9007199254740993").unwrap().to_json(),
        "9007199254740993"
    );
}

#[test]
fn an_array_is_no_single_message() {
    let document = document(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#);
    assert_eq!(Message::parse(&document).unwrap_err().fault, Fault::Batch);
}

fn member() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "jsonrpc", "id", "method", "params", "result", "error", "_meta", "x",
    ]);
    let value = prop::sample::select(vec![
        r#""2.0""#,
        "1",
        "null",
        r#""tools/call""#,
        r#"{"code":1,"message":"m"}"#,
        "{}",
        "[]",
        r#""notifications/progress""#,
        "1.5",
    ]);
    (key, value).prop_map(|(key, value)| format!("{}:{value}", quote(key)))
}

proptest! {
    #[test]
    fn whatever_is_read_as_a_message_is_exactly_one_kind(members in prop::collection::vec(member(), 0..7)) {
        let text = format!("{{{}}}", members.join(","));
        let Ok(document) = Document::parse(text.into(), Limits::REQUEST) else {
            return Ok(());
        };
        let Ok(message) = Message::parse(&document) else {
            return Ok(());
        };
        let root = document.root();
        let has = |key: &str| root.get(key).is_some();
        prop_assert_eq!(root.get("jsonrpc").unwrap().as_str().unwrap(), "2.0");
        match message {
            Message::Request(_) => prop_assert!(has("method") && has("id") && !has("result") && !has("error")),
            Message::Notification(_) => prop_assert!(has("method") && !has("id") && !has("result") && !has("error")),
            Message::Response(_) => prop_assert!(!has("method") && (has("result") != has("error"))),
        }
    }
}
