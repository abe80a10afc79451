//! What paths select, and which texts are no paths.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::{Document, Limits};
use super::Path;

const STORE: &str = r#"{"sql":"select","limit":5,"rows":[{"id":1,"tags":["x","y"]},{"id":2,"tags":[]},{"id":3,"sub":{"id":4}}],"a.b":{"":0},"\u006ee":{"id":9}}"#;

fn selected(path: &str, text: &str) -> Vec<String> {
    let document =
        Document::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::RESPONSE).expect("JSON");
    let path = Path::parse(path).unwrap_or_else(|error| panic!("{error}"));
    let nodes = path.select(document.root());
    nodes
        .into_iter()
        .map(|node| String::from_utf8_lossy(node.raw()).into_owned())
        .collect()
}

#[test]
fn a_path_selects_each_node_once_in_document_order() {
    let rows: &[(&str, &str, &[&str])] = &[
        ("the root", "$", &[STORE]),
        ("a member", "$.limit", &["5"]),
        ("a quoted member", "$['limit']", &["5"]),
        ("a double-quoted member", "$[\"limit\"]", &["5"]),
        ("a key with a point", "$['a.b']['']", &["0"]),
        ("a key that the document escapes", "$.ne.id", &["9"]),
        (
            "a key that the path escapes",
            "$['\\u006e\\u0065']['id']",
            &["9"],
        ),
        ("an absent member", "$.none", &[]),
        ("a member of a string", "$.sql.length", &[]),
        ("an element", "$.rows[0].id", &["1"]),
        ("the last element", "$.rows[-1].id", &["3"]),
        ("before the first element", "$.rows[-4]", &[]),
        ("behind the last element", "$.rows[3]", &[]),
        ("an index into an object", "$[0]", &[]),
        ("a name in an array", "$.rows.id", &[]),
        ("all elements", "$.rows[*].id", &["1", "2", "3"]),
        ("all members", "$.rows[0].*", &["1", r#"["x","y"]"#]),
        ("a name at any depth", "$..id", &["1", "2", "3", "4", "9"]),
        ("a name below a name", "$.rows..id", &["1", "2", "3", "4"]),
        (
            "an index at any depth",
            "$..[0]",
            &[r#"{"id":1,"tags":["x","y"]}"#, "\"x\""],
        ),
        (
            "everything below",
            "$.rows[0]..*",
            &["1", r#"["x","y"]"#, "\"x\"", "\"y\""],
        ),
        ("blanks inside brackets", "$[ 'limit' ]", &["5"]),
    ];
    for (name, path, expected) in rows {
        assert_eq!(&selected(path, STORE), expected, "{name}");
    }
}

#[test]
fn descendants_of_descendants_are_not_selected_twice() {
    let text = r#"{"a":{"a":{"a":{"b":1},"b":2},"b":3},"b":4}"#;
    assert_eq!(selected("$..a..b", text), ["1", "2", "3"]);
    assert_eq!(selected("$..*..*", text).len(), 5);
    assert_eq!(selected("$..a.b", text), ["1", "2", "3"]);
}

#[test]
fn descendants_stay_cheap_however_deep_they_are_stacked() {
    let text = format!("{}1{}", r#"{"a":"#.repeat(60), "}".repeat(60));
    let path = format!("${}", "..*".repeat(32));
    assert_eq!(selected(&path, &text).len(), 60 - 31);
}

/// Name, text, what is wrong and at which character.
const REFUSED: &[(&str, &str, &str, usize)] = &[
    ("empty", "", "expected `$`", 1),
    ("a bare name", "limit", "expected `$`", 1),
    ("a pointer", "/limit", "expected `$`", 1),
    ("a blank before", " $", "expected `$`", 1),
    ("a blank behind", "$.a ", "expected `.`, `..` or `[`", 4),
    (
        "a point without name",
        "$.",
        "expected a name or `*`; write other names as `['name']`",
        3,
    ),
    (
        "a name with a dash",
        "$.user-id",
        "expected `.`, `..` or `[`",
        7,
    ),
    (
        "a name that begins with a digit",
        "$.1st",
        "expected a name or `*`; write other names as `['name']`",
        3,
    ),
    (
        "three points",
        "$...a",
        "expected a name or `*`; write other names as `['name']`",
        4,
    ),
    (
        "an open bracket",
        "$[",
        "expected a quoted name, an index or `*`",
        3,
    ),
    ("an unclosed bracket", "$[0", "expected `]`", 4),
    (
        "an unquoted name",
        "$[a]",
        "expected a quoted name, an index or `*`",
        3,
    ),
    (
        "an unclosed quote",
        "$['a",
        "a name without closing quote",
        5,
    ),
    ("a filter", "$[?@.a]", "filters are not supported", 3),
    ("a slice", "$[0:1]", "slices are not supported", 4),
    (
        "a union",
        "$['a','b']",
        "several selectors are not supported",
        6,
    ),
    (
        "a leading zero",
        "$[01]",
        "expected an index such as `0` or `-1`",
        3,
    ),
    (
        "a negative zero",
        "$[-0]",
        "expected an index such as `0` or `-1`",
        3,
    ),
    (
        "a lone minus",
        "$[-]",
        "expected an index such as `0` or `-1`",
        3,
    ),
    (
        "an index beyond 2^53",
        "$[9007199254740992]",
        "expected an index such as `0` or `-1`",
        3,
    ),
    ("a lone surrogate", "$['\\ud800']", "a lone surrogate", 10),
    (
        "the other quote escaped",
        "$['\\\"']",
        "an unknown escape",
        6,
    ),
    (
        "an unfinished escape",
        "$['\\u12']",
        "expected four hex digits",
        6,
    ),
];

#[test]
fn what_is_no_path_is_refused_where_it_goes_wrong() {
    for (name, text, what, at) in REFUSED {
        let error = Path::parse(text).expect_err(name);
        assert_eq!((error.what, error.at), (*what, *at), "{name}");
        assert_eq!(error.path, *text, "{name}");
    }
    assert!(Path::parse(&format!("${}", ".a".repeat(32))).is_ok());
    assert!(Path::parse(&format!("${}", ".a".repeat(33))).is_err());
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let error = Path::parse("$.é[x]").expect_err("no path");
    assert_eq!(
        error.to_string(),
        "`$.é[x]` is not a path: expected a quoted name, an index or `*` at character 5"
    );
}

#[test]
fn the_names_of_a_path_are_known_for_the_twin_check() {
    let path = Path::parse("$.a[0]..b['c d'].*").expect("a path");
    assert_eq!(path.member_names().collect::<Vec<_>>(), ["a", "b", "c d"]);
    assert_eq!(path.to_string(), "$.a[0]..b['c d'].*");
}

proptest! {
    #[test]
    fn reading_a_path_never_panics_and_selecting_is_total(text in "\\$?[$.*\\[\\]'\"\\\\ua-c0-9d8-]{0,16}") {
        if Path::parse(&text).is_ok() {
            let nodes = selected(&text, STORE);
            prop_assert!(nodes.len() <= STORE.len());
        }
    }

    #[test]
    fn a_quoted_name_selects_exactly_that_member(name in any::<String>()) {
        let text = format!(r#"{{"other":1,{}:2}}"#, super::super::quote(&name));
        prop_assume!(name != "other");
        let path = format!("$[{}]", super::super::quote(&name));
        prop_assert_eq!(selected(&path, &text), ["2"]);
    }
}
