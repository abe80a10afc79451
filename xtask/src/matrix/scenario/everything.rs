//! The steps before `server-everything`, and before the servers that have tools of the same names.

use serde_json::{Value, json};

use super::super::rows::Row;
use super::super::servers::Server;
use super::{Expect, FORBIDDEN, Hidden, Step, call, held, list, no_such_tool, step};

/// Tools that no rule allows.
const HIDDEN_TOOLS: &[&str] = &[
    "toggle-simulated-logging",
    "toggle-subscriber-updates",
    "get-annotated-message",
    "get-resource-links",
    "get-resource-reference",
    "simulate-research-query",
    // Offered only to clients with roots, and no rule lets the server ask for those (law 1).
    "get-roots-list",
];

/// What rules allow of the fixture's tools, most of which are the conformance suite's.
const OF_THE_FIXTURE: &[&str] = &[
    "echo",
    "get-sum",
    "get-structured-content",
    "get-env",
    "get-tiny-image",
    "trigger-long-running-operation",
    "trigger-elicitation-request",
    "trigger-sampling-request",
    "test_trigger_tool_change",
];

const DOCUMENT: &str = "demo://resource/static/document/architecture.md";

pub(super) fn steps(row: &Row) -> Vec<Step> {
    let mut steps = lists(row.server);
    steps.extend(plain());
    steps.extend(longer(row));
    steps.extend(policed());
    steps
}

fn lists(server: Server) -> Vec<Step> {
    let tools = if server == Server::Rmcp {
        Hidden::AllBut(OF_THE_FIXTURE)
    } else {
        Hidden::These(HIDDEN_TOOLS)
    };
    let templates = &["demo://resource/dynamic/text/{resourceId}"];
    let prompts = &["simple-prompt", "completable-prompt"];
    vec![
        list("tools", "listTools", "name", tools),
        list(
            "resources",
            "listResources",
            "uri",
            Hidden::AllBut(&[DOCUMENT]),
        ),
        list("prompts", "listPrompts", "name", Hidden::AllBut(prompts)),
        list(
            "templates",
            "listTemplates",
            "uriTemplate",
            Hidden::AllBut(templates),
        ),
    ]
}

fn plain() -> Vec<Step> {
    let hello = json!({ "message": "hello, \u{1F980} \"quoted\"" });
    let argument = json!({
        "ref": { "type": "ref/prompt", "name": "completable-prompt" },
        "argument": { "name": "department", "value": "E" },
    });
    let chicago = json!({ "location": "Chicago" });
    let prompt = json!({ "name": "simple-prompt" });
    vec![
        call("call", "echo", &hello, Expect::Same),
        call("tool-error", "echo", &json!({}), Expect::Same),
        call(
            "structured",
            "get-structured-content",
            &chicago,
            Expect::Same,
        ),
        call("image", "get-tiny-image", &json!({}), Expect::Same),
        step("resource", "read", json!({ "uri": DOCUMENT }), Expect::Same),
        step("prompt", "prompt", prompt, Expect::Same),
        step("completion", "complete", argument, Expect::Same),
    ]
}

/// What takes more than one message and its answer.
fn longer(row: &Row) -> Vec<Step> {
    // JavaScript writes 60.0 as 60, so that whole numbers are whole here.
    let long = |duration: Value, steps: u32| {
        json!({
            "name": "trigger-long-running-operation",
            "arguments": { "duration": duration, "steps": steps },
            "progress": true,
        })
    };
    let elicitation = if row.knows_elicitation() {
        Expect::Same
    } else {
        Expect::NotInRevision
    };
    let elicit = "trigger-elicitation-request";
    let sample = json!({ "prompt": "hi" });
    vec![
        step("progress", "call", long(json!(0.6), 3), Expect::Same),
        call("elicitation", elicit, &json!({}), elicitation),
        call(
            "sampling",
            "trigger-sampling-request",
            &sample,
            Expect::Same,
        ),
        step(
            "cancellation",
            "cancel",
            long(json!(6), 12),
            Expect::Cancelled,
        ),
        step("list-changed", "change", changes(row.server), Expect::Same),
    ]
}

/// A call upon which the server says that a list has changed: the reference server's lists change only by this one.
fn changes(server: Server) -> Value {
    match server.straight() {
        Server::EverythingHttp => json!({
            "list": "resources",
            "name": "gzip-file-as-resource",
            "arguments": { "name": "packed", "data": "data:text/plain,hello", "outputType": "resourceLink" },
        }),
        Server::Rmcp => {
            json!({ "list": "tools", "name": "test_trigger_tool_change", "arguments": {} })
        }
        Server::EverythingSse
        | Server::EverythingStdio
        | Server::Handler
        | Server::Python
        | Server::Git
        | Server::Time => {
            json!({ "list": "tools", "name": "trigger-list-changed", "arguments": {} })
        }
    }
}

fn policed() -> Vec<Step> {
    let forbidden = json!({ "message": "a FORBIDDEN word" });
    let startup = json!({ "uri": "demo://resource/static/document/startup.md" });
    let oslo = json!({ "name": "args-prompt", "arguments": { "city": "Oslo" } });
    let hidden = "toggle-simulated-logging";
    let mut steps = vec![
        call("denied", "echo", &forbidden, FORBIDDEN),
        call("hidden-tool", hidden, &json!({}), Expect::UnknownTool),
        no_such_tool(),
        step("hidden-resource", "read", startup, Expect::Absent),
        step("hidden-prompt", "prompt", oslo, Expect::Absent),
        call("masked", "get-env", &json!({}), Expect::Masked),
    ];
    steps.extend(held("get-sum", |third| json!({ "a": 100 + third, "b": 1 })));
    steps
}
