//! Law 29 and what reviewers see.

use bytes::Bytes;
use proptest::prelude::*;

use super::{Change, Definition, PinBook, PinError, PinVerdict, diff};
use crate::json::path::Path;
use crate::json::{Document, Limits};
use crate::name::Digest;
use crate::time::UnixMillis;

const OLD: &str = "2025-06-18";
const NEW: &str = "2026-07-28";
const NOW: UnixMillis = UnixMillis(1_000);

const TOOL: &str = r#"{"name":"run_sql","title":"Run","description":"Runs a query","inputSchema":{"type":"object","properties":{"sql":{"type":"string"}}},
    "outputSchema":{"type":"object"},"annotations":{"readOnlyHint":true},"execution":{"taskSupport":"forbidden"},"_meta":{"ui":{"resourceUri":"ui://a"},"x":1},"icons":[]}"#;

fn document(text: &str) -> Document {
    Document::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::RESPONSE).expect(text)
}

fn define(text: &str) -> Result<Definition, PinError> {
    Definition::of(document(text).root())
}

fn definition(text: &str) -> Definition {
    define(text).expect(text)
}

fn tool(name: &str, description: &str) -> Definition {
    definition(&serde_json::json!({ "name": name, "description": description }).to_string())
}

#[test]
fn law_29_each_pinned_member_counts() {
    let pinned = definition(TOOL).digest();
    let rows = [
        ("the name", "run_sql", "run_sqI"),
        ("the title", "\"Run\"", "\"Ran\""),
        ("the description", "Runs a", "Runs the"),
        ("a hidden letter", "Runs a", "Runs\u{200b} a"),
        ("the input schema", r#""string""#, r#""number""#),
        (
            "the output schema",
            r#""outputSchema":{"type":"object"}"#,
            r#""outputSchema":{"type":"array"}"#,
        ),
        ("a hint", "true", "false"),
        ("how it is executed", "forbidden", "optional"),
        ("its user interface", "ui://a", "ui://b"),
        ("a member gone", r#""title":"Run","#, ""),
        (
            "a member that becomes null",
            r#""title":"Run""#,
            r#""title":null"#,
        ),
    ];
    for (name, from, to) in rows {
        assert!(TOOL.contains(from), "{name}");
        assert_ne!(
            definition(&TOOL.replace(from, to)).digest(),
            pinned,
            "{name}"
        );
    }
}

#[test]
fn law_29_nothing_else_of_a_tool_counts() {
    let pinned = definition(TOOL).digest();
    let rows = [
        ("another key of _meta", r#""x":1"#, r#""x":2"#),
        ("icons", r#""icons":[]"#, r#""icons":[{"src":"data:"}]"#),
        ("a vendor's member", r#""icons":[]"#, r#""vendor":1"#),
        ("blanks", "{\"type\"", "{ \"type\""),
        ("spelling", "Runs", "\\u0052uns"),
        (
            "order",
            r#""name":"run_sql","title":"Run""#,
            r#""title":"Run","name":"run_sql""#,
        ),
    ];
    for (name, from, to) in rows {
        assert!(TOOL.contains(from), "{name}");
        assert_eq!(
            definition(&TOOL.replace(from, to)).digest(),
            pinned,
            "{name}"
        );
    }
}

#[test]
fn the_canonical_definition_is_canonical_json() {
    let definition = definition(TOOL);
    let again = crate::json::canonical(document(definition.canonical()).root()).expect("canonical");
    assert_eq!(
        String::from_utf8(again).as_deref(),
        Ok(definition.canonical())
    );
    assert_eq!(definition.name(), "run_sql");
    assert_eq!(
        definition.digest(),
        Digest::of(definition.canonical().as_bytes())
    );
}

#[test]
fn what_is_no_definition_cannot_be_pinned() {
    let twin = |key: &str| PinError::Twin {
        tool: "a".to_owned(),
        key: key.to_owned(),
    };
    let rows = [
        ("a text", r#""run_sql""#, PinError::NotAnObject),
        ("no name", r#"{"title":"x"}"#, PinError::NoName),
        ("a name that is a number", r#"{"name":1}"#, PinError::NoName),
        (
            "a second description",
            r#"{"name":"a","Description":"x"}"#,
            twin("Description"),
        ),
        (
            "a schema with a NUL",
            r#"{"name":"a","inputSchema\u0000":{}}"#,
            twin("inputSchema\0"),
        ),
        (
            "a second interface",
            r#"{"name":"a","_meta":{"UI":{}}}"#,
            twin("UI"),
        ),
    ];
    for (name, text, expected) in rows {
        assert_eq!(define(text).err(), Some(expected), "{name}");
    }
    let tiny = define(r#"{"name":"a","inputSchema":{"minimum":1e-500}}"#);
    assert!(matches!(tiny, Err(PinError::NotCanonical { tool, .. }) if tool == "a"));
}

#[test]
fn law_29_a_tool_is_trusted_on_first_use_and_quarantined_when_it_changes() {
    let (first, second) = (tool("a", "reads"), tool("a", "reads and writes"));
    let mut book = PinBook::default();
    assert_eq!(book.judge("a", NEW, first.digest()), PinVerdict::FirstSeen);
    book.trust(&first, NEW, NOW).expect("room");
    assert_eq!(book.judge("a", NEW, first.digest()), PinVerdict::Trusted);
    let changed = PinVerdict::Changed {
        pinned: first.digest(),
    };
    assert_eq!(book.judge("a", NEW, second.digest()), changed);
    book.trust(&second, NEW, NOW).expect("room");
    assert_eq!(
        book.judge("a", NEW, second.digest()),
        changed,
        "seen again is not accepted"
    );
    book.accept(&second, NEW, NOW);
    assert_eq!(book.judge("a", NEW, second.digest()), PinVerdict::Trusted);
    assert_eq!(
        book.judge("a", NEW, first.digest()),
        PinVerdict::Changed {
            pinned: second.digest()
        }
    );
    assert!(book.forget("a") && !book.forget("a"));
    assert_eq!(book.judge("a", NEW, second.digest()), PinVerdict::FirstSeen);
}

#[test]
fn law_29_a_pin_is_per_tool_and_revision() {
    let mut book = PinBook::default();
    let (legacy, modern) = (tool("a", "legacy"), tool("a", "modern"));
    book.trust(&legacy, OLD, NOW).expect("room");
    assert_eq!(book.judge("a", NEW, modern.digest()), PinVerdict::FirstSeen);
    book.trust(&modern, NEW, NOW).expect("room");
    assert_eq!(
        book.judge("a", NEW, legacy.digest()),
        PinVerdict::Changed {
            pinned: modern.digest()
        }
    );
    assert_eq!(book.judge("a", OLD, legacy.digest()), PinVerdict::Trusted);
}

#[test]
fn law_29_duplicate_names_in_one_list_are_quarantined() {
    let (one, other, twin) = (tool("a", "1"), tool("b", "2"), tool("a", "1"));
    let mut book = PinBook::default();
    book.trust(&one, NEW, NOW).expect("room");
    let verdicts = book.judge_list(NEW, [&one, &other, &twin]);
    assert_eq!(
        verdicts.get("a"),
        Some(&PinVerdict::Duplicate),
        "even where both are the pinned one"
    );
    assert_eq!(verdicts.get("b"), Some(&PinVerdict::FirstSeen));
    let thrice = book.judge_list(NEW, [&one, &twin, &one]);
    assert_eq!(thrice.get("a"), Some(&PinVerdict::Duplicate));
}

#[test]
fn declared_pins_stand_above_first_use() {
    let (seen, declared, other) = (tool("a", "seen"), tool("a", "declared"), tool("a", "other"));
    let mut book = PinBook::default();
    book.trust(&seen, NEW, NOW).expect("room");
    let book = book.with_declared([
        ("a".to_owned(), declared.digest()),
        ("a".to_owned(), other.digest()),
    ]);
    assert_eq!(book.judge("a", NEW, declared.digest()), PinVerdict::Trusted);
    assert_eq!(
        book.judge("a", OLD, other.digest()),
        PinVerdict::Trusted,
        "alternatives, one a revision"
    );
    assert!(matches!(
        book.judge("a", NEW, seen.digest()),
        PinVerdict::Changed { .. }
    ));
    assert_eq!(book.judge("b", NEW, seen.digest()), PinVerdict::FirstSeen);
}

#[test]
fn an_acceptance_lasts_until_other_pins_are_declared() {
    let (declared, accepted, third) = (tool("a", "1"), tool("a", "2"), tool("a", "3"));
    let pin = |definition: &Definition| [("a".to_owned(), definition.digest())];
    let mut book = PinBook::default().with_declared(pin(&declared));
    book.accept(&accepted, NEW, NOW);
    assert_eq!(book.judge("a", NEW, accepted.digest()), PinVerdict::Trusted);
    assert_eq!(book.judge("a", NEW, declared.digest()), PinVerdict::Trusted);
    let book = book.with_declared(pin(&third));
    assert_eq!(
        book.judge("a", NEW, accepted.digest()),
        PinVerdict::Changed {
            pinned: third.digest()
        }
    );
}

#[test]
fn an_acceptance_without_declared_pins_gives_way_to_later_ones() {
    let (accepted, declared) = (tool("a", "1"), tool("a", "2"));
    let mut book = PinBook::default();
    book.accept(&accepted, NEW, NOW);
    let book = book.with_declared([("a".to_owned(), declared.digest())]);
    assert_eq!(
        book.judge("a", NEW, accepted.digest()),
        PinVerdict::Changed {
            pinned: declared.digest()
        }
    );
}

#[test]
fn a_server_cannot_fill_the_book() {
    let mut book = PinBook::default();
    for n in 0..10_000 {
        book.trust(&tool(&format!("tool{n}"), ""), NEW, NOW)
            .expect("room");
    }
    let one_more = tool("one more", "");
    let refused = PinError::TooManyPins {
        tool: "one more".to_owned(),
        limit: 10_000,
    };
    assert_eq!(book.trust(&one_more, NEW, NOW), Err(refused));
    book.trust(&tool("tool7", "in another revision"), OLD, NOW)
        .expect("a known tool");
}

#[test]
fn a_book_reads_back_what_it_wrote() {
    let mut book = PinBook::default();
    book.trust(&tool("b", "1"), NEW, NOW).expect("room");
    book.accept(&tool("a", "2"), OLD, NOW);
    let text = serde_json::to_string(&book).expect("JSON");
    assert_eq!(
        text,
        r#"{"trusted":{"a":{"2025-06-18":{"definition":"{\"description\":\"2\",\"name\":\"a\"}","since":1000,"acceptedOver":[]}},"b":{"2026-07-28":{"definition":"{\"description\":\"1\",\"name\":\"b\"}","since":1000}}}}"#
    );
    let reread: PinBook = serde_json::from_str(&text).expect("a book");
    assert_eq!(reread, book);
    let all: Vec<_> = reread
        .all_trusted()
        .map(|(tool, revision, pin)| (tool, revision, pin.is_accepted()))
        .collect();
    assert_eq!(all, [("a", OLD, true), ("b", NEW, false)]);
    assert!(serde_json::from_str::<PinBook>(r#"{"trusted":{},"declared":{}}"#).is_err());
}

#[test]
fn a_diff_names_the_smallest_values_that_differ() {
    let old = r#"{"description":"a","inputSchema":{"properties":{"sql":{"type":"string"}},"required":["sql"]},"name":"x"}"#;
    let new = r#"{"description":"b","inputSchema":{"properties":{"sql":{"type":["string"]},"user-id":{}},"required":["sql","u"]},"title":"t"}"#;
    let change = |path: &str, before: Option<&str>, after: Option<&str>| Change {
        path: path.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    assert_eq!(
        diff(old.as_bytes(), new.as_bytes()),
        [
            change("$.description", Some("\"a\""), Some("\"b\"")),
            change(
                "$.inputSchema.properties.sql.type",
                Some("\"string\""),
                Some("[\"string\"]")
            ),
            change("$.inputSchema.properties['user-id']", None, Some("{}")),
            change("$.inputSchema.required[1]", None, Some("\"u\"")),
            change("$.name", Some("\"x\""), None),
            change("$.title", None, Some("\"t\"")),
        ]
    );
}

#[test]
fn a_diff_shows_letters_that_hide() {
    let new = "{\"description\":\"a\u{202e}b\u{e0041}c\u{200b}\u{7f}d\"}";
    let changes = diff(br#"{"description":"abcd"}"#, new.as_bytes());
    let shown: Vec<_> = changes.iter().map(Change::to_string).collect();
    assert_eq!(
        shown,
        [r#"$.description: "abcd" became "a\u{202e}b\u{e0041}c\u{200b}\u{7f}d""#]
    );
    let key = diff(b"{}", "{\"a\u{202e}\":1}".as_bytes());
    assert_eq!(key[0].path, "$['a\\u{202e}']");
}

#[test]
fn a_diff_of_what_is_not_json_is_one_change() {
    assert_eq!(diff(b"{", b"{"), []);
    let changes = diff(b"{\n", b"{}");
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].to_string(), "$: {\\u{a} became {}");
}

proptest! {
    #[test]
    fn equal_definitions_have_no_diff_and_different_ones_have(a in "[a-c]{0,2}", b in "[a-c]{0,2}", key in "[a-c '\"\\\\.-]{1,4}") {
        let text = |value: &str| serde_json::json!({ "x": [{ key.clone(): value }] }).to_string();
        let (old, new) = (text(&a), text(&b));
        let changes = diff(old.as_bytes(), new.as_bytes());
        prop_assert_eq!(changes.is_empty(), a == b);
        for change in changes {
            let path = Path::parse(&change.path).expect("a path that the policy language reads");
            let document = document(&new);
            prop_assert_eq!(path.select(document.root()).len(), 1);
        }
    }
}
