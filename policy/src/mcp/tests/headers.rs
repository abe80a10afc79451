//! Mirror headers against bodies: traps 17 to 19.

use proptest::prelude::*;

use super::*;
use crate::mcp::header_schema::{ParamKind, declared};
use crate::mcp::headers::{HeaderError, Mirror, decode, encode, params_for};

const NEWEST: Revision = Revision::NEWEST;

fn mirror<'h>(headers: &[(&'static str, &'h str)]) -> Result<Mirror<'h>, HeaderError> {
    Mirror::read(
        headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes())),
    )
}

fn check(headers: &[(&'static str, &str)], document: &Document) -> Result<(), HeaderError> {
    mirror(headers)?.check(&call(document, NEWEST))
}

fn told(outcome: Result<(), HeaderError>) -> String {
    outcome.map_or_else(|error| error.to_string(), |()| "ok".to_owned())
}

/// Method and params of a body.
type Asked = (&'static str, &'static str);

const TOOL: Asked = ("tools/call", r#"{"name":"bar"}"#);
const SNOW: Asked = ("tools/call", r#"{"name":"schnee-❄"}"#);
const LIST: Asked = ("tools/list", "{}");
const READ: Asked = ("resources/read", r#"{"uri":"docs://a%20b"}"#);
const LITERAL: Asked = ("prompts/get", r#"{"name":"=?BASE64?YmFy?="}"#);

/// Name, body, headers, outcome.
type Row = (
    &'static str,
    Asked,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const MIRRORS: &[Row] = &[
    (
        "as it should be",
        TOOL,
        &[("Mcp-Method", "tools/call"), ("MCP-NAME", "bar")],
        "ok",
    ),
    (
        "white space around",
        TOOL,
        &[("mcp-method", " tools/call "), ("mcp-name", "\tbar  ")],
        "ok",
    ),
    (
        "in the sentinel",
        TOOL,
        &[
            ("mcp-method", "tools/call"),
            ("mcp-name", "=?base64?YmFy?="),
        ],
        "ok",
    ),
    (
        "not ASCII in the sentinel",
        SNOW,
        &[
            ("mcp-method", "tools/call"),
            ("mcp-name", "=?base64?c2NobmVlLeKdhA==?="),
        ],
        "ok",
    ),
    (
        "a raw uri",
        READ,
        &[
            ("mcp-method", "resources/read"),
            ("mcp-name", "docs://a%20b"),
        ],
        "ok",
    ),
    (
        "no name needed",
        LIST,
        &[("mcp-method", "tools/list")],
        "ok",
    ),
    (
        "a sentinel in capitals is a literal",
        LITERAL,
        &[
            ("mcp-method", "prompts/get"),
            ("mcp-name", "=?BASE64?YmFy?="),
        ],
        "ok",
    ),
    (
        "another name",
        TOOL,
        &[("mcp-method", "tools/call"), ("mcp-name", "foo")],
        "Header mismatch: Mcp-Name header value 'foo' does not match body value 'bar'",
    ),
    (
        "another case",
        TOOL,
        &[("mcp-method", "TOOLS/CALL"), ("mcp-name", "bar")],
        "Header mismatch: Mcp-Method header value 'TOOLS/CALL' does not match body value 'tools/call'",
    ),
    (
        "no method",
        TOOL,
        &[("mcp-name", "bar")],
        "Header mismatch: Mcp-Method header is missing",
    ),
    (
        "no name",
        TOOL,
        &[("mcp-method", "tools/call")],
        "Header mismatch: Mcp-Name header is missing",
    ),
    (
        "an empty name",
        TOOL,
        &[("mcp-method", "tools/call"), ("mcp-name", "")],
        "Header mismatch: Mcp-Name header value '' does not match body value 'bar'",
    ),
    (
        "a name where none belongs",
        LIST,
        &[("mcp-method", "tools/list"), ("mcp-name", "bar")],
        "Header mismatch: Mcp-Name header has no value in the body",
    ),
    (
        "two methods",
        TOOL,
        &[
            ("mcp-method", "tools/call"),
            ("Mcp-Method", "tools/call"),
            ("mcp-name", "bar"),
        ],
        "Header mismatch: Mcp-Method header appears more than once",
    ),
    (
        "joined by a comma",
        TOOL,
        &[
            ("mcp-method", "tools/call, tools/list"),
            ("mcp-name", "bar"),
        ],
        "Header mismatch: Mcp-Method header value 'tools/call, tools/list' does not match body value 'tools/call'",
    ),
    (
        "not ASCII",
        SNOW,
        &[("mcp-method", "tools/call"), ("mcp-name", "schnee-❄")],
        "Header mismatch: Mcp-Name header is not visible ASCII",
    ),
    (
        "unpadded base64",
        SNOW,
        &[
            ("mcp-method", "tools/call"),
            ("mcp-name", "=?base64?c2NobmVlLeKdhA?="),
        ],
        "Header mismatch: Mcp-Name header is not valid base64 of UTF-8",
    ),
    (
        "base64 of no UTF-8",
        TOOL,
        &[
            ("mcp-method", "tools/call"),
            ("mcp-name", "=?base64?/w==?="),
        ],
        "Header mismatch: Mcp-Name header is not valid base64 of UTF-8",
    ),
    (
        "two versions",
        LIST,
        &[
            ("mcp-protocol-version", "2026-07-28"),
            ("MCP-Protocol-Version", "2026-07-28"),
        ],
        "Header mismatch: MCP-Protocol-Version header appears more than once",
    ),
    (
        "two sessions",
        LIST,
        &[("mcp-session-id", "a"), ("mcp-session-id", "b")],
        "Header mismatch: Mcp-Session-Id header appears more than once",
    ),
];

#[test]
fn trap_17_headers_that_do_not_say_what_the_body_says_are_refused() {
    for (name, (method, params), headers, expected) in MIRRORS {
        let document = request(method, params);
        assert_eq!(told(check(headers, &document)), *expected, "{name}");
    }
}

#[test]
fn a_notification_needs_no_mirror_but_what_is_there_must_match() {
    let cancelled = document(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
    );
    assert_eq!(check(&[], &cancelled), Ok(()));
    let right = [("mcp-method", "notifications/cancelled")];
    assert_eq!(check(&right, &cancelled), Ok(()));
    assert!(check(&[("mcp-method", "tools/call")], &cancelled).is_err());
}

const SCHEMA: &str = r#"{"type":"object","properties":{
    "region":{"type":"string","x-mcp-header":"Region"},
    "count":{"type":"integer","x-mcp-header":"Count"},
    "deep":{"type":"object","properties":{"dry":{"type":"boolean","x-mcp-header":"Dry-Run"}}},
    "x-mcp-header":{"type":"string","default":{"x-mcp-header":"not a keyword here"}}}}"#;

#[test]
fn mirrored_arguments_are_found_through_properties_alone() {
    let schema = document(SCHEMA);
    let found: Vec<_> = declared(schema.root())
        .unwrap()
        .into_iter()
        .map(|found| (found.header, found.path.join("."), found.kind))
        .collect();
    assert_eq!(
        found,
        [
            ("Region".to_owned(), "region".to_owned(), ParamKind::String),
            ("Count".to_owned(), "count".to_owned(), ParamKind::Integer),
            (
                "Dry-Run".to_owned(),
                "deep.dry".to_owned(),
                ParamKind::Boolean
            ),
        ]
    );
}

#[test]
fn a_schema_that_breaks_the_rules_of_mirroring_is_told() {
    let property = |inner: &str| format!(r#"{{"properties":{{"a":{inner}}}}}"#);
    for (name, schema) in [
        ("an empty name", property(r#"{"type":"string","x-mcp-header":""}"#)),
        ("no token", property(r#"{"type":"string","x-mcp-header":"a b"}"#)),
        ("no text", property(r#"{"type":"string","x-mcp-header":true}"#)),
        ("a number", property(r#"{"type":"number","x-mcp-header":"A"}"#)),
        ("no type", property(r#"{"x-mcp-header":"A"}"#)),
        ("several types", property(r#"{"type":["string","null"],"x-mcp-header":"A"}"#)),
        ("at the root", r#"{"type":"string","x-mcp-header":"A"}"#.into()),
        ("in items", property(r#"{"type":"array","items":{"type":"string","x-mcp-header":"A"}}"#)),
        ("in oneOf", property(r#"{"oneOf":[{"type":"string","x-mcp-header":"A"}]}"#)),
        ("in $defs", r#"{"$defs":{"a":{"type":"string","x-mcp-header":"A"}}}"#.into()),
        (
            "twice",
            r#"{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}"#.into(),
        ),
    ] {
        assert!(declared(document(schema).root()).is_err(), "{name}");
    }
}

/// Name, arguments, headers, outcome.
type ParamRow = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const PARAMS: &[ParamRow] = &[
    ("none of them", "{}", &[], "ok"),
    ("null counts as absent", r#"{"region":null}"#, &[], "ok"),
    (
        "all",
        r#"{"region":"eu","count":42,"deep":{"dry":true}}"#,
        &[
            ("mcp-param-region", "eu"),
            ("Mcp-Param-COUNT", "42"),
            ("mcp-param-dry-run", "true"),
        ],
        "ok",
    ),
    (
        "numbers by value",
        r#"{"count":42.0}"#,
        &[("mcp-param-count", "42")],
        "ok",
    ),
    (
        "an unknown one is ignored",
        "{}",
        &[("mcp-param-other", "x")],
        "ok",
    ),
    (
        "missing",
        r#"{"region":"eu"}"#,
        &[],
        "Header mismatch: Mcp-Param-Region header is missing",
    ),
    (
        "another",
        r#"{"region":"eu"}"#,
        &[("mcp-param-region", "us")],
        "Header mismatch: Mcp-Param-Region header value 'us' does not match body value 'eu'",
    ),
    (
        "a number that is none",
        r#"{"count":42}"#,
        &[("mcp-param-count", "0x2a")],
        "Header mismatch: Mcp-Param-Count header value '0x2a' does not match body value '42'",
    ),
    (
        "without an argument",
        "{}",
        &[("mcp-param-region", "eu")],
        "Header mismatch: Mcp-Param-Region header has no value in the body",
    ),
    (
        "twice",
        r#"{"region":"eu"}"#,
        &[("mcp-param-region", "eu"), ("Mcp-Param-Region", "eu")],
        "Header mismatch: Mcp-Param-Region header appears more than once",
    ),
    (
        "an object has no header",
        r#"{"region":{}}"#,
        &[("mcp-param-region", "")],
        "Header mismatch: Mcp-Param-Region header value '' does not match body value ''",
    ),
];

#[test]
fn trap_17_mirrored_arguments_must_equal_the_body() {
    let schema = document(SCHEMA);
    let declared = declared(schema.root()).unwrap();
    for (name, arguments, headers, expected) in PARAMS {
        let arguments = document(*arguments);
        let outcome = mirror(headers)
            .and_then(|mirror| mirror.check_params(&declared, Some(arguments.root())));
        assert_eq!(told(outcome), *expected, "{name}");
    }
}

#[test]
fn headers_made_for_a_bridge_pass_our_own_check() {
    let schema = document(SCHEMA);
    let declared = declared(schema.root()).unwrap();
    let arguments = document(r#"{"region":" ü ","count":-7,"deep":{"dry":false}}"#);
    let made = params_for(&declared, Some(arguments.root()));
    assert_eq!(made.len(), 3);
    let headers = made
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let mirror = Mirror::read(headers).unwrap();
    assert_eq!(
        mirror.check_params(&declared, Some(arguments.root())),
        Ok(())
    );
}

proptest! {
    #[test]
    fn every_text_survives_as_a_header_value(text in any::<String>()) {
        let header = encode(&text);
        prop_assert!(header.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        prop_assert_eq!(header.trim(), header.as_ref());
        prop_assert_eq!(decode(&header).unwrap(), text.as_str());
    }

    #[test]
    fn a_text_that_looks_like_the_sentinel_survives_too(inside in "[A-Za-z0-9+/=]{0,8}") {
        let text = format!("=?base64?{inside}?=");
        let header = encode(&text);
        prop_assert_eq!(decode(&header).unwrap(), text.as_str());
    }
}
