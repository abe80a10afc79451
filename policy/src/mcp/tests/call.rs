//! Calls: what is judged, of every method, and what makes a message no call.

use super::*;
use crate::json::Kind;
use crate::mcp::call::CallError;
use crate::mcp::{Id, Target};

const NEWEST: Revision = Revision::NEWEST;
const LEGACY: Revision = Revision::V2025_11_25;

fn told(call: &Call<'_>) -> String {
    let has = |arguments: &Option<crate::json::Node<'_>>| match arguments {
        Some(node) => String::from_utf8(node.raw().to_vec()).unwrap(),
        None => "-".to_owned(),
    };
    match &call.target {
        Target::Open => "open".into(),
        Target::List(surface) => format!("list {}", surface.member()),
        Target::Tool { name, arguments } => format!("tool {name} {}", has(arguments)),
        Target::Prompt { name, arguments } => format!("prompt {name} {}", has(arguments)),
        Target::Resource { uri } => format!("resource {uri}"),
        Target::Listen(listen) => format!("listen {:?} {:?}", listen.uris, listen.task_ids),
        Target::Task { id } => format!("task {id}"),
        Target::Method { method } => format!("method {method}"),
        Target::Relayed => "relayed".into(),
    }
}

const TARGETS: &[(&str, &str, Revision, &str)] = &[
    ("initialize", r#"{"capabilities":{}}"#, LEGACY, "open"),
    ("ping", "{}", LEGACY, "open"),
    ("server/discover", "{}", NEWEST, "open"),
    ("tools/list", "{}", NEWEST, "list tools"),
    (
        "resources/templates/list",
        "{}",
        LEGACY,
        "list resourceTemplates",
    ),
    ("tasks/list", "{}", LEGACY, "list tasks"),
    (
        "tools/call",
        r#"{"name":"t","arguments":{"a":1}}"#,
        NEWEST,
        r#"tool t {"a":1}"#,
    ),
    ("tools/call", r#"{"name":"t"}"#, LEGACY, "tool t -"),
    (
        "tools/call",
        r#"{"name":"t","arguments":null}"#,
        LEGACY,
        "tool t -",
    ),
    (
        "tools/call",
        r#"{"n\u0061me":"\u0074"}"#,
        LEGACY,
        "tool t -",
    ),
    (
        "prompts/get",
        r#"{"name":"p","arguments":{"a":"1"}}"#,
        NEWEST,
        r#"prompt p {"a":"1"}"#,
    ),
    (
        "resources/read",
        r#"{"uri":"docs://a/b"}"#,
        NEWEST,
        "resource docs://a/b",
    ),
    (
        "resources/subscribe",
        r#"{"uri":"docs://a"}"#,
        LEGACY,
        "resource docs://a",
    ),
    (
        "logging/setLevel",
        r#"{"level":"debug"}"#,
        LEGACY,
        "method logging/setLevel",
    ),
    ("tasks/get", r#"{"taskId":"1"}"#, LEGACY, "task 1"),
    (
        "subscriptions/listen",
        r#"{"notifications":{"resourceSubscriptions":["a:","b:"],"taskIds":["1"]}}"#,
        NEWEST,
        r#"listen ["a:", "b:"] ["1"]"#,
    ),
];

#[test]
fn each_method_is_judged_by_what_it_names() {
    for (method, params, revision, expected) in TARGETS {
        let document = request(method, params);
        assert_eq!(
            told(&call(&document, *revision)),
            *expected,
            "{method} {params}"
        );
    }
}

#[test]
fn a_request_about_a_task_is_only_for_clients_that_say_they_know_tasks() {
    let knows = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
    let others = r#"{"extensions":{"io.modelcontextprotocol/ui":{}}}"#;
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let document = request(method, &modern(r#""taskId":"1""#, knows));
        assert_eq!(told(&call(&document, NEWEST)), "task 1", "{method}");
        for capabilities in ["{}", others] {
            let document = request(method, &modern(r#""taskId":"1""#, capabilities));
            let message = Message::parse(&document).unwrap();
            let expected = CallError::MissingCapability {
                path: &["extensions", "io.modelcontextprotocol/tasks"],
            };
            assert_eq!(
                Call::of(&message, Direction::ToServer, NEWEST).unwrap_err(),
                expected,
                "{method} {capabilities}"
            );
        }
    }
}

#[test]
fn trap_14_a_completion_is_judged_as_the_prompt_or_template_it_refers_to() {
    for (reference, expected) in [
        (r#"{"type":"ref/prompt","name":"p"}"#, "prompt p -"),
        (
            r#"{"type":"ref/resource","uri":"docs://{id}"}"#,
            "resource docs://{id}",
        ),
    ] {
        let params = format!(r#"{{"ref":{reference},"argument":{{"name":"id","value":"a"}}}}"#);
        let document = request("completion/complete", &params);
        assert_eq!(told(&call(&document, NEWEST)), expected);
    }
}

const WRONG: &[(&str, &str, Revision, &str)] = &[
    ("tools/call", "{}", NEWEST, "name"),
    ("tools/call", r#"{"name":null}"#, NEWEST, "name"),
    ("tools/call", r#"{"name":["t"]}"#, NEWEST, "name"),
    (
        "tools/call",
        r#"{"name":"t","arguments":[1]}"#,
        NEWEST,
        "arguments",
    ),
    (
        "tools/call",
        r#"{"name":"t","arguments":"{}"}"#,
        NEWEST,
        "arguments",
    ),
    (
        "tools/call",
        r#"{"name":"t","requestState":1}"#,
        NEWEST,
        "requestState",
    ),
    (
        "tools/call",
        r#"{"name":"t","inputResponses":[]}"#,
        NEWEST,
        "inputResponses",
    ),
    ("tools/call", r#"{"name":"t","task":true}"#, LEGACY, "task"),
    (
        "tools/call",
        r#"{"name":"t","_meta":{"progressToken":1.5}}"#,
        LEGACY,
        "progressToken",
    ),
    ("prompts/get", "{}", NEWEST, "name"),
    ("resources/read", r#"{"uri":1}"#, NEWEST, "uri"),
    (
        "resources/read",
        r#"{"uri":"docs://a/../b"}"#,
        NEWEST,
        "uri",
    ),
    (
        "resources/subscribe",
        r#"{"uri":"docs://a/%2e%2e/b"}"#,
        LEGACY,
        "uri",
    ),
    ("completion/complete", "{}", NEWEST, "type"),
    (
        "completion/complete",
        r#"{"ref":{"type":"ref/tool","name":"t"}}"#,
        NEWEST,
        "ref",
    ),
    ("subscriptions/listen", "{}", NEWEST, "notifications"),
    (
        "subscriptions/listen",
        r#"{"notifications":{"resourceSubscriptions":[1]}}"#,
        NEWEST,
        "resourceSubscriptions",
    ),
    ("tasks/get", "{}", NEWEST, "taskId"),
    (
        "initialize",
        r#"{"capabilities":[]}"#,
        LEGACY,
        "capabilities",
    ),
];

#[test]
fn trap_09_what_is_missing_or_of_the_wrong_kind_is_refused() {
    let refused = |method: &str, params: &str, revision| {
        let document = request(method, params);
        let message = Message::parse(&document).unwrap();
        match Call::of(&message, Direction::ToServer, revision) {
            Err(CallError::InvalidParams { field, .. }) => field,
            other => panic!("{method} {params}: {other:?}"),
        }
    };
    for (method, params, revision, field) in WRONG {
        assert_eq!(
            refused(method, params, *revision),
            *field,
            "{method} {params}"
        );
    }
}

#[test]
fn what_the_table_does_not_know_in_this_direction_and_revision_is_no_call() {
    for (method, direction, revision) in [
        ("vendor/do", Direction::ToServer, LEGACY),
        ("initialize", Direction::ToServer, NEWEST),
        ("server/discover", Direction::ToServer, LEGACY),
        ("sampling/createMessage", Direction::ToServer, LEGACY),
        ("sampling/createMessage", Direction::ToClient, NEWEST),
        (
            "elicitation/create",
            Direction::ToClient,
            Revision::V2025_03_26,
        ),
        ("tools/call", Direction::ToClient, LEGACY),
        ("tasks/get", Direction::ToClient, NEWEST),
    ] {
        let document = request(method, r#"{"name":"t","taskId":"1"}"#);
        let message = Message::parse(&document).unwrap();
        let expected = CallError::MethodNotFound {
            method: method.to_owned(),
        };
        assert_eq!(
            Call::of(&message, direction, revision).unwrap_err(),
            expected
        );
    }
}

#[test]
fn what_means_something_in_one_revision_only_is_read_in_that_one_only() {
    let params = modern(
        r#""name":"t","requestState":"s","inputResponses":{"k":{}},"task":{"ttl":1}"#,
        r#"{"roots":{}}"#,
    );
    let document = request("tools/call", &params);
    let newest = call(&document, NEWEST);
    assert_eq!(newest.request_state.as_deref(), Some("s"));
    assert!(newest.input_responses.is_some() && newest.task.is_none());
    assert!(newest.declares(&["roots"]));
    let legacy = call(&document, LEGACY);
    assert!(legacy.request_state.is_none() && legacy.input_responses.is_none());
    assert!(legacy.client_capabilities.is_none());
    assert_eq!(legacy.task.unwrap().kind(), Kind::Object);
    assert!(call(&document, Revision::V2025_06_18).task.is_none());
}

#[test]
fn an_elicitation_capability_without_modes_means_forms() {
    for (capabilities, form, url) in [
        (r#"{"elicitation":{}}"#, true, false),
        (r#"{"elicitation":{"form":{}}}"#, true, false),
        (r#"{"elicitation":{"url":{}}}"#, false, true),
        (r#"{"elicitation":{"form":{},"url":{}}}"#, true, true),
        (r#"{"elicitation":null}"#, false, false),
        ("{}", false, false),
    ] {
        let document = request("tools/list", &modern("", capabilities));
        let call = call(&document, NEWEST);
        assert_eq!(
            call.declares(&["elicitation", "form"]),
            form,
            "{capabilities}"
        );
        assert_eq!(
            call.declares(&["elicitation", "url"]),
            url,
            "{capabilities}"
        );
    }
}

#[test]
fn a_cancellation_names_a_typed_id() {
    let document = document(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"7"}}"#,
    );
    let call = call(&document, LEGACY);
    assert_eq!(call.cancelled(), Some(Id::text("7")));
    assert_eq!(call.id, None);
}

#[test]
fn trap_42_a_progress_token_is_typed_and_read_where_each_message_has_it() {
    let asked = request(
        "tools/call",
        r#"{"name":"t","_meta":{"progressToken":"1"}}"#,
    );
    assert_eq!(call(&asked, LEGACY).progress_token, Some(Id::text("1")));
    let told = document(
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":0.5}}"#,
    );
    let message = Message::parse(&told).unwrap();
    let call = Call::of(&message, Direction::ToClient, NEWEST).unwrap();
    assert_eq!(call.progress_token, Some(Id::integer(1)));
}

#[test]
fn logs_are_wanted_only_where_the_newest_revision_asks_for_them() {
    let params = r#"{"_meta":{"io.modelcontextprotocol/logLevel":"info"}}"#;
    let document = request("tools/list", params);
    assert!(call(&document, NEWEST).wants_logs);
    assert!(!call(&request("tools/list", "{}"), NEWEST).wants_logs);
}
