//! The parser against `serde_json`: it takes a subset, and reads the same values.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::Value;

use super::super::{Node, quote};
use super::{parsed, request, response};

/// Values whose numbers a double holds exactly, so that equality of spellings is equality of values.
pub(super) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 12, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..12).prop_map(Value::from),
            btree_map(any_text(), inner, 0..12).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{0,2}",
        "[a-z \"\\\\/\n\u{e9}\u{1f600}\0]{0,40}",
        any::<String>()
    ]
}

/// The value in another spelling: blanks, order of keys, escapes, forms of numbers.
pub(super) fn respelled(value: Value) -> impl Strategy<Value = String> {
    any::<u64>().prop_map(move |seed| {
        let mut text = String::new();
        respell(&value, &mut Choices(seed | 1), &mut text);
        text
    })
}

/// A stream of small choices drawn from one seed (xorshift).
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn blank(&mut self) -> &'static str {
        ["", "", " ", "\n\t"][self.below(4) as usize]
    }
}

fn respell(value: &Value, choices: &mut Choices, to: &mut String) {
    to.push_str(choices.blank());
    match value {
        Value::Null | Value::Bool(_) => to.push_str(&value.to_string()),
        Value::Number(number) => to.push_str(&match choices.below(4) {
            0 => format!("{number}.0"),
            1 => format!("{number}e0"),
            2 => format!("{number}0e-1"),
            _ => number.to_string(),
        }),
        Value::String(text) => respell_text(text, choices, to),
        Value::Array(elements) => {
            to.push('[');
            for (place, element) in elements.iter().enumerate() {
                to.push_str(if place > 0 { "," } else { "" });
                respell(element, choices, to);
            }
            to.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            if choices.below(2) == 0 {
                members.reverse();
            }
            to.push('{');
            for (place, (key, value)) in members.into_iter().enumerate() {
                to.push_str(if place > 0 { "," } else { "" });
                respell_text(key, choices, to);
                to.push(':');
                respell(value, choices, to);
            }
            to.push('}');
        }
    }
    to.push_str(choices.blank());
}

fn respell_text(text: &str, choices: &mut Choices, to: &mut String) {
    to.push('"');
    for c in text.chars() {
        if choices.below(3) == 0 {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                to.push_str(&format!("\\u{unit:04X}"));
            }
        } else {
            to.push_str(
                quote(&c.to_string())
                    .trim_start_matches('"')
                    .strip_suffix('"')
                    .expect("a quote"),
            );
        }
    }
    to.push('"');
}

/// Every span, key and number agrees with what the node says it is.
fn check_spans(node: Node<'_>) {
    let reread = parsed(std::str::from_utf8(node.raw()).expect("UTF-8"));
    assert_eq!(reread.root().kind(), node.kind());
    for element in node.elements() {
        check_spans(element);
    }
    for (key, value) in node.members() {
        assert!(key.as_str().is_some_and(|key| node.get(&key).is_some()));
        check_spans(value);
    }
}

proptest! {
    #[test]
    fn a_value_is_read_as_serde_json_reads_it(value in any_value()) {
        let document = parsed(&value.to_string());
        prop_assert_eq!(document.root().to_value(), value);
        check_spans(document.root());
    }

    #[test]
    fn any_spelling_is_read_as_serde_json_reads_it(spelling in any_value().prop_flat_map(respelled)) {
        let expected: Value = serde_json::from_str(&spelling).expect("JSON");
        prop_assert_eq!(parsed(&spelling).root().to_value(), expected);
    }

    #[test]
    fn what_is_accepted_serde_json_accepts_too(text in "[\\[\\]{}:,\"\\\\/u0-9a-fDtrlsn.eE+\\- \n-]{0,24}") {
        if let Ok(document) = response(&text) {
            let expected: Value = serde_json::from_str(&text).expect(&text);
            prop_assert_eq!(document.root().to_value(), expected);
        }
    }

    #[test]
    fn what_a_request_may_hold_a_response_may_hold(text in "[\\[\\]0-9.e-]{0,20}") {
        if request(&text).is_ok() {
            prop_assert!(response(&text).is_ok());
        }
    }

    #[test]
    fn a_damaged_document_is_read_like_serde_json_or_refused(value in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = value.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let ours = super::Document::parse(bytes.clone().into(), super::Limits::RESPONSE);
        match (ours, serde_json::from_slice::<Value>(&bytes)) {
            (Ok(document), theirs) => prop_assert_eq!(Some(document.root().to_value()), theirs.ok()),
            // What we refuse on top: equal keys. (A damaged escape may make a lone surrogate, which both refuse.)
            (Err(error), Ok(_)) => prop_assert!(matches!(error, super::JsonError::DuplicateKey { .. }), "{}", error),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let ours = super::Document::parse(bytes.clone().into(), super::Limits::REQUEST);
        prop_assert!(ours.is_err() || serde_json::from_slice::<Value>(&bytes).is_ok());
    }
}
