//! Results told apart, and what they bring along.

use super::*;
use crate::json::Node;
use crate::mcp::Id;
use crate::mcp::method::Method;
use crate::mcp::result::{Elicitation, Shape, is_tool_error, resources, subscription};

fn shape(text: &str, method: &str, revision: Revision) -> String {
    let document = document(text.to_owned());
    let method = Method::named(method).unwrap();
    match Shape::of(document.root(), method, revision) {
        Ok(Shape::Complete) => "complete".into(),
        Ok(Shape::Task { id }) => format!("task {id}"),
        Ok(Shape::InputRequired(asked)) => {
            let asks: Vec<_> = asked
                .requests
                .iter()
                .map(|request| format!("{}={}", request.key, request.method.name))
                .collect();
            format!("asks {} state {:?}", asks.join(","), asked.state)
        }
        Err(error) => error.to_string(),
    }
}

const SHAPES: &[(&str, &str, &str)] = &[
    (r#"{"resultType":"complete"}"#, "tools/call", "complete"),
    ("{}", "tools/call", "complete"),
    (
        r#"{"resultType":"input_required","requestState":"s"}"#,
        "tools/call",
        r#"asks  state Some("s")"#,
    ),
    (
        r#"{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"},"b":{"method":"elicitation/create","params":{}}}}"#,
        "prompts/get",
        "asks a=roots/list,b=elicitation/create state None",
    ),
    (
        r#"{"resultType":"input_required"}"#,
        "tools/call",
        "`input_required` without `inputRequests` and `requestState`",
    ),
    (
        r#"{"resultType":"input_required","requestState":"s"}"#,
        "tools/list",
        "`tools/list` may not answer `input_required`",
    ),
    (
        r#"{"resultType":"input_required","inputRequests":{"a":{"method":"tools/call"}}}"#,
        "tools/call",
        "`inputRequests` holds `tools/call`, which may not be embedded",
    ),
    (
        r#"{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list","Method":"x"}}}"#,
        "tools/call",
        "`inputRequests` is malformed",
    ),
    (
        r#"{"resultType":"input_required","inputRequests":[]}"#,
        "tools/call",
        "`inputRequests` is malformed",
    ),
    (
        r#"{"resultType":"input_required","requestState":1}"#,
        "tools/call",
        "`requestState` is malformed",
    ),
    (
        r#"{"resultType":"task","taskId":"1"}"#,
        "tools/call",
        "task 1",
    ),
    (
        r#"{"resultType":"task"}"#,
        "tools/call",
        "`taskId` is malformed",
    ),
    (
        r#"{"resultType":"task","taskId":"1"}"#,
        "prompts/get",
        "unknown `resultType` `task`",
    ),
    (
        r#"{"resultType":"streamed"}"#,
        "tools/call",
        "unknown `resultType` `streamed`",
    ),
    (
        r#"{"resultType":1}"#,
        "tools/call",
        "`resultType` is malformed",
    ),
];

#[test]
fn results_of_the_newest_revision_are_told_apart_by_their_type() {
    let newest = Revision::NEWEST;
    for (text, method, expected) in SHAPES {
        assert_eq!(shape(text, method, newest), *expected, "{method} {text}");
    }
}

#[test]
fn legacy_results_have_no_type_and_tasks_in_2025_11_25_alone() {
    let task = r#"{"task":{"taskId":"1"}}"#;
    assert_eq!(shape(task, "tools/call", Revision::V2025_11_25), "task 1");
    assert_eq!(shape(task, "tools/call", Revision::V2025_06_18), "complete");
    assert_eq!(shape(task, "tools/list", Revision::V2025_11_25), "complete");
    let typed = r#"{"resultType":"input_required"}"#;
    assert_eq!(
        shape(typed, "tools/call", Revision::V2025_11_25),
        "complete"
    );
}

#[test]
fn trap_48_resources_are_found_wherever_a_result_brings_them() {
    let document = document(
        r#"{"content":[{"type":"text","text":"x"},{"type":"resource","resource":{"uri":"a:","mimeType":"text/plain","text":"t"}},{"type":"resource_link","uri":"b:","name":"n"}],
            "messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"c:","blob":""}}},{"role":"user","content":[{"type":"resource_link","uri":"d:"}]}],
            "contents":[{"uri":"e:","text":"t"}]}"#,
    );
    let found: Vec<_> = resources(document.root())
        .into_iter()
        .map(|found| (found.uri.into_owned(), found.embedded))
        .collect();
    let expected = [
        ("a:", true),
        ("b:", false),
        ("c:", true),
        ("d:", false),
        ("e:", true),
    ];
    assert_eq!(
        found,
        expected.map(|(uri, embedded)| (uri.to_owned(), embedded))
    );
}

#[test]
fn an_elicitation_of_an_unknown_mode_is_none() {
    let mode = |text: &str| {
        let document = document(text.to_owned());
        match Elicitation::of(document.root()) {
            Some(Elicitation::Form { schema }) => format!("form {}", schema.is_some()),
            Some(Elicitation::Url { url }) => format!("url {url}"),
            None => "none".into(),
        }
    };
    for (text, expected) in [
        (r#"{"message":"m","requestedSchema":{}}"#, "form true"),
        (r#"{"mode":"form"}"#, "form false"),
        (r#"{"mode":"url","url":"https://a"}"#, "url https://a"),
        (r#"{"mode":"url"}"#, "none"),
        (r#"{"mode":"voice"}"#, "none"),
        (r#"{"mode":1}"#, "none"),
    ] {
        assert_eq!(mode(text), expected, "{text}");
    }
}

#[test]
fn trap_41_a_subscription_id_is_typed() {
    let holder = |id: &str| {
        document(format!(
            r#"{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#
        ))
    };
    let of = |document: &Document| subscription(document.root());
    assert_eq!(of(&holder("1")), Some(Id::integer(1)));
    assert_eq!(of(&holder(r#""1""#)), Some(Id::text("1")));
    assert_eq!(of(&document("{}")), None);
}

#[test]
fn only_true_is_a_tools_error() {
    let said = |text: &str| is_tool_error(document(text.to_owned()).root());
    assert!(said(r#"{"isError":true}"#));
    assert!(!said(r#"{"isError":"true"}"#) && !said("{}"));
}

#[test]
fn a_result_is_a_node_of_its_document() {
    let document = response(r#"{"content":[]}"#);
    let message = Message::parse(&document).unwrap();
    assert_eq!(message.id(), Some(&Id::integer(7)));
    assert_eq!(
        message.node().get("result").map(Node::raw),
        Some(&br#"{"content":[]}"#[..])
    );
}
