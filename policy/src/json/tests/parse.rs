//! What the parser takes, what it refuses and where it points.

use bytes::Bytes;

use super::super::{Document, JsonError, Kind, Limits};
use super::{parsed, request, response};
use JsonError::{DuplicateKey, LoneSurrogate, NumberRange, Trailing, UnsafeInteger};

const fn syntax(at: usize, what: &'static str) -> JsonError {
    JsonError::Syntax { at, what }
}

/// Name, text, why and where it is refused.
const REFUSED: &[(&str, &str, JsonError)] = &[
    ("empty", "", syntax(0, "expected a value")),
    ("blanks only", " \n", syntax(2, "expected a value")),
    ("a byte order mark", "\u{feff}1", JsonError::ByteOrderMark),
    ("two documents", "1 2", Trailing { at: 2 }),
    ("concatenated objects", "{}{}", Trailing { at: 2 }),
    ("a comment behind", "1//", Trailing { at: 1 }),
    ("a comment before", "/**/1", syntax(0, "expected a value")),
    ("not a number", "NaN", syntax(0, "expected a value")),
    ("infinity", "-Infinity", syntax(1, "expected a digit")),
    ("a leading zero", "01", Trailing { at: 1 }),
    ("a leading plus", "+1", syntax(0, "expected a value")),
    ("a bare point", ".5", syntax(0, "expected a value")),
    (
        "a point without digits",
        "1.",
        syntax(2, "expected a digit"),
    ),
    (
        "an exponent without digits",
        "1e+",
        syntax(3, "expected a digit"),
    ),
    ("hexadecimal", "0x10", Trailing { at: 1 }),
    (
        "a trailing comma in an array",
        "[1,]",
        syntax(3, "expected a value"),
    ),
    (
        "a trailing comma in an object",
        r#"{"a":1,}"#,
        syntax(7, "expected a key in double quotes"),
    ),
    ("a missing comma", "[1 2]", syntax(3, "expected `,` or `]`")),
    ("a missing colon", r#"{"a" 1}"#, syntax(5, "expected `:`")),
    (
        "an unquoted key",
        "{a:1}",
        syntax(1, "expected a key in double quotes"),
    ),
    ("single quotes", "'a'", syntax(0, "expected a value")),
    ("the wrong bracket", "[1}", syntax(2, "expected `,` or `]`")),
    (
        "an array without end",
        "[1",
        syntax(2, "expected `,` or `]`"),
    ),
    ("a capital literal", "True", syntax(0, "expected a value")),
    ("a cut literal", "nul", syntax(0, "expected a value")),
    (
        "a form feed as a blank",
        "\u{c}1",
        syntax(0, "expected a value"),
    ),
    (
        "a no-break space as a blank",
        "\u{a0}1",
        syntax(0, "expected a value"),
    ),
    (
        "a string without end",
        r#""ab"#,
        syntax(3, "a string without end"),
    ),
    (
        "a raw newline in a string",
        "\"a\nb\"",
        syntax(2, "a control character in a string"),
    ),
    (
        "a raw NUL far inside a string",
        "\"0123456789012345678901234567890123456789\0\"",
        syntax(41, "a control character in a string"),
    ),
    (
        "an unknown escape",
        r#""\x41""#,
        syntax(1, "an unknown escape"),
    ),
    (
        "three hex digits",
        r#""\u004""#,
        syntax(1, "expected four hex digits"),
    ),
    (
        "a signed hex digit",
        r#""\u+041""#,
        syntax(1, "expected four hex digits"),
    ),
    (
        "a lone high surrogate",
        r#""\uD800""#,
        LoneSurrogate { at: 1 },
    ),
    (
        "a lone low surrogate",
        r#""ab\udc00""#,
        LoneSurrogate { at: 3 },
    ),
    (
        "a high surrogate before a letter",
        r#""\ud800\u0041""#,
        LoneSurrogate { at: 1 },
    ),
    (
        "two high surrogates",
        r#""\ud800\ud800""#,
        LoneSurrogate { at: 1 },
    ),
    (
        "a lone surrogate in a key",
        r#"{"\ud800":1}"#,
        LoneSurrogate { at: 2 },
    ),
    ("an overflowing number", "1e400", NumberRange { at: 0 }),
    (
        "a negative overflowing number",
        "[-1e309]",
        NumberRange { at: 1 },
    ),
    (
        "an exponent beyond any integer",
        "1e99999999999999999999",
        NumberRange { at: 0 },
    ),
    ("2^53", "9007199254740992", UnsafeInteger { at: 0 }),
    (
        "2^53 + 1 with a point",
        "9007199254740993.0",
        UnsafeInteger { at: 0 },
    ),
    ("an integral exponent form", "1e20", UnsafeInteger { at: 0 }),
    (
        "a fraction that doubles round",
        "9007199254740993.5",
        UnsafeInteger { at: 0 },
    ),
    (
        "-2^53 in an argument",
        r#"{"a":-9007199254740992}"#,
        UnsafeInteger { at: 5 },
    ),
    ("equal keys", r#"{"a":1,"a":2}"#, DuplicateKey { at: 7 }),
    (
        "equal keys once unescaped",
        r#"{"name":1,"na\u006de":2}"#,
        DuplicateKey { at: 10 },
    ),
    (
        "equal keys both escaped",
        r#"{"\n":1,"\u000a":2}"#,
        DuplicateKey { at: 8 },
    ),
    (
        "equal keys deep inside",
        r#"[{"x":{"a":1,"b":2,"a":3}}]"#,
        DuplicateKey { at: 19 },
    ),
    ("empty keys", r#"{"":1,"":2}"#, DuplicateKey { at: 6 }),
];

#[test]
fn law_13_a_request_that_parsers_read_differently_is_refused_at_its_byte() {
    for (name, text, expected) in REFUSED {
        assert_eq!(request(text).err().as_ref(), Some(expected), "{name}");
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    let rows: &[(&str, &[u8], usize)] = &[
        ("a stray continuation byte", b"\"\x80\"", 1),
        ("an overlong slash", b"\"a\xC0\xAF\"", 2),
        ("a surrogate in UTF-8", b"\"\xED\xA0\x80\"", 1),
        ("a cut sequence", b"\"\xE2\x82", 1),
        ("UTF-16 with its mark", b"\xFF\xFE1\0", 0),
    ];
    for (name, bytes, at) in rows {
        let refused = Document::parse(Bytes::from_static(bytes), Limits::REQUEST).err();
        assert_eq!(refused, Some(JsonError::Utf8 { at: *at }), "{name}");
    }
}

#[test]
fn a_request_may_hold_all_that_is_unambiguous() {
    let rows = [
        ("a negative zero", "-0"),
        ("a negative zero with exponent", "-0.0e+7"),
        ("the largest safe integer", "9007199254740991"),
        ("the smallest safe integer", "-9007199254740991.0"),
        ("a tiny number", "1e-300"),
        ("zero with a huge exponent", "0e999999999999999999999"),
        (
            "a long fraction",
            "0.10000000000000000555111512312578270211815834045410",
        ),
        ("all four blanks", "\t\r\n [ 1 , 2 ] \n"),
        ("a surrogate pair", r#""\ud83d\ude00""#),
        ("an escaped NUL", r#""\u0000""#),
        ("DEL and beyond", "\"\u{7f}\u{2028}\u{10ffff}\""),
        (
            "equal keys in different objects",
            r#"[{"a":1},{"a":{"a":2}}]"#,
        ),
        ("keys that differ in case", r#"{"a":1,"A":2}"#),
        ("empty containers", "[{},[]]"),
    ];
    for (name, text) in rows {
        assert_eq!(request(text).err(), None, "{name}");
    }
}

#[test]
fn law_13_a_response_keeps_64_bit_integers_and_number_lexemes() {
    for lexeme in [
        "18446744073709551615",
        "-9223372036854775808",
        "1e20",
        "1.0",
        "0.50",
        "1E2",
    ] {
        let document = response(lexeme).expect(lexeme);
        assert_eq!(document.root().number(), Some(lexeme));
    }
    assert_eq!(response("1e400").err(), Some(NumberRange { at: 0 }));
}

#[test]
fn law_13_nesting_deeper_than_64_is_refused() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(request(&nested(64)).err(), None);
    let refused = JsonError::TooDeep { at: 64, limit: 64 };
    assert_eq!(request(&nested(65)).err(), Some(refused.clone()));
    assert_eq!(request(&"[".repeat(1_000_000)).err(), Some(refused));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(65), "}".repeat(65));
    assert_eq!(
        request(&objects).err(),
        Some(JsonError::TooDeep {
            at: 64 * 5,
            limit: 64
        })
    );
}

#[test]
fn no_limit_lets_the_stack_grow_without_bound() {
    let limits = Limits {
        depth: usize::MAX,
        ..Limits::RESPONSE
    };
    let bytes = Bytes::from("[".repeat(1_000_000));
    let refused = JsonError::TooDeep {
        at: 100,
        limit: 100,
    };
    assert_eq!(Document::parse(bytes, limits).err(), Some(refused));
}

#[test]
fn a_small_body_cannot_make_a_large_index() {
    let limits = Limits::REQUEST.with_index_of(4 * 16);
    let parse = |text: &'static str| Document::parse(Bytes::from(text), limits).err();
    assert_eq!(parse("[1,2,3]"), None);
    assert_eq!(parse("[1,2,3,4]"), Some(JsonError::TooMany { limit: 4 }));
    assert_eq!(
        parse(r#"{"a":1,"b":2}"#),
        Some(JsonError::TooMany { limit: 4 })
    );
}

#[test]
fn law_04_equal_keys_are_found_in_an_object_of_any_size() {
    for members in [2, 7, 8, 9, 10, 1000] {
        for twin in [0, (members - 1) / 2, members - 2] {
            let keys = (0..members - 1)
                .map(|n| format!("key{n}"))
                .chain([format!("key{twin}")]);
            let text: Vec<_> = keys.map(|key| format!(r#""{key}":0"#)).collect();
            let text = format!("{{{}}}", text.join(","));
            let at = text.rfind("\"key").expect("a last key");
            assert_eq!(
                request(&text).err(),
                Some(DuplicateKey { at }),
                "{members} {twin}"
            );
        }
    }
}

#[test]
fn the_first_of_several_twins_is_named() {
    let text = r#"{"z":0,"a":0,"z":0,"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0}"#;
    assert_eq!(request(text).err(), Some(DuplicateKey { at: 13 }));
    let escaped = r#"{"z":0,"a":0,"\u007a":0,"a":0}"#;
    assert_eq!(request(escaped).err(), Some(DuplicateKey { at: 13 }));
}

#[test]
fn law_04_a_huge_object_costs_no_quadratic_time() {
    // Half a million keys with one long common prefix: pairwise this would be 10^11 comparisons.
    let members: Vec<_> = (0..500_000).map(|n| format!(r#""{n:032}":0"#)).collect();
    let document = parsed(&format!("{{{}}}", members.join(",")));
    assert_eq!(document.root().members().count(), 500_000);
}

#[test]
fn nodes_tell_what_they_are_and_where_they_stand() {
    let text = r#" {"t":true,"f":false,"n":null,"s":"a\"b","i":-7,"d":7.0,"a":[1,[2],{"x":3}],"o":{"":"e"}} "#;
    let document = parsed(text);
    let root = document.root();
    let get = |key| root.get(key).expect(key);
    assert_eq!(root.raw(), text.trim().as_bytes());
    assert_eq!(get("t").as_bool(), Some(true));
    assert_eq!(get("f").as_bool(), Some(false));
    assert!(get("n").is_null());
    assert_eq!(get("s").as_str().as_deref(), Some("a\"b"));
    assert_eq!(get("s").raw(), br#""a\"b""#);
    assert_eq!(get("i").as_i64(), Some(-7));
    assert_eq!(get("d").as_i64(), None);
    assert_eq!(get("d").number(), Some("7.0"));
    assert_eq!(
        get("a")
            .elements()
            .map(|node| node.raw())
            .collect::<Vec<_>>(),
        [&b"1"[..], b"[2]", br#"{"x":3}"#]
    );
    assert_eq!(
        get("o").get("").and_then(|node| node.as_str()).as_deref(),
        Some("e")
    );
    assert!(root.get("absent").is_none());
    assert_eq!(text.get(get("a").span()), Some(r#"[1,[2],{"x":3}]"#));
}

#[test]
fn asking_a_node_for_what_it_is_not_gives_nothing() {
    let document = parsed(r#"["{}", 1, {"a":[]}]"#);
    let [string, number, object] = document.root().elements().collect::<Vec<_>>()[..] else {
        panic!("three elements");
    };
    assert_eq!(string.kind(), Kind::String);
    assert_eq!(
        (string.members().count(), string.elements().count()),
        (0, 0)
    );
    assert_eq!((number.as_str(), number.as_bool()), (None, None));
    assert_eq!((string.number(), string.as_i64()), (None, None));
    assert_eq!(object.elements().count(), 0);
    assert!(document.root().get("a").is_none());
    assert_eq!(object.as_str(), None);
}

#[test]
fn a_key_is_found_however_it_is_spelled() {
    let document = parsed(r#"{"na\u006de":1,"\ud83d\ude00":2,"a\/b":3}"#);
    let value = |key| document.root().get(key).and_then(|node| node.as_i64());
    assert_eq!(value("name"), Some(1));
    assert_eq!(value("\u{1f600}"), Some(2));
    assert_eq!(value("a/b"), Some(3));
    assert_eq!(value(r"na\u006de"), None);
}

#[test]
fn debug_output_shows_no_values() {
    let document = parsed(r#"{"password":"hunter2"}"#);
    let shown = format!(
        "{document:?} {:?} {:?}",
        document.root(),
        document.root().members()
    );
    assert!(
        !shown.contains("hunter2") && !shown.contains("password"),
        "{shown}"
    );
}
