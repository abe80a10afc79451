//! The plain tools of the conformance suite, and those that ask the client on the way.

#![expect(
    deprecated,
    reason = "logging is deprecated in the newest revision, and still has to work"
)]

use std::sync::PoisonError;
use std::time::Duration;

use rmcp::model::{LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam};
use serde_json::{Value, json};

use crate::asking::{Asked, ask, form, sample};
use crate::call::{Answer, Call, content, failed, missing, said};
use crate::changes::Change;
use crate::material::{embedded, picture, sound, text};

/// Between two of several reports, so that a client can see them come one by one.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a call works whose stream breaks off meanwhile.
const LONG: Duration = Duration::from_millis(600);

/// None: no tool of this module.
pub(crate) async fn answer(call: &Call<'_>) -> Option<Answer> {
    Some(match call.name() {
        "test_simple_text" => said("plain words, as the fixture says them"),
        "test_image_content" => content(&json!([picture()])),
        "test_audio_content" => content(&json!([sound()])),
        "test_embedded_resource" => content(&json!([note()])),
        "test_multiple_content_types" => content(&json!([text("three kinds"), picture(), note()])),
        "test_error_handling" => failed("this tool never succeeds"),
        "test_tool_with_progress" => progress(call).await,
        "test_tool_with_logging" | "test_logging_tool" => log(call).await,
        "test_reconnection" => {
            tokio::time::sleep(LONG).await;
            said("the answer after the break")
        }
        "test_mirrored_header" => match call.words("region") {
            Some(region) => said(&format!("region: {region}")),
            None => missing("region"),
        },
        "json_schema_2020_12_tool" => said("only its schema matters"),
        "test_trigger_tool_change" => tell(call, Change::Tools),
        "test_trigger_prompt_change" => tell(call, Change::Prompts),
        "test_trigger_resource_update" => {
            tell(call, Change::Resource("test://watched-resource".into()))
        }
        "test_sampling" => match call.words("prompt") {
            Some(prompt) => tells(call, sample(prompt, 100)).await,
            None => missing("prompt"),
        },
        "test_elicitation" => match call.words("message") {
            Some(message) => tells(call, form(message, "username")).await,
            None => missing("message"),
        },
        "test_missing_capability" => tells(call, sample("anything at all", 10)).await,
        "test_streaming_elicitation" => tells(call, form("in the middle of it", "word")).await,
        "test_elicitation_sep1034_defaults" => tells(call, defaults()).await,
        "test_elicitation_sep1330_enums" => tells(call, choices()).await,
        _ => return None,
    })
}

fn note() -> Value {
    embedded("test://embedded-resource", "a note inside an answer")
}

fn tell(call: &Call<'_>, change: Change) -> Answer {
    call.fixture.shared.changes.tell(change);
    said("told")
}

/// Asks one thing, and says what the client said.
pub(crate) async fn tells(call: &Call<'_>, question: Value) -> Answer {
    match ask(call, json!({ "asked": question })).await {
        Asked::Said(answers) => {
            let answer = answers.get("asked").cloned().unwrap_or_default();
            said(&format!("the client said: {}", summary(&answer)))
        }
        Asked::Else(answer) => answer,
    }
}

/// A form's answer by the names of its fields: what people enter may be what masking looks for.
fn summary(answer: &Value) -> String {
    let action = answer.get("action").and_then(Value::as_str);
    match (action, answer.get("content")) {
        (Some(action), Some(Value::Object(fields))) => {
            let names: Vec<&str> = fields.keys().map(String::as_str).collect();
            format!("{action} {}", names.join(", "))
        }
        _ => answer.to_string(),
    }
}

async fn progress(call: &Call<'_>) -> Answer {
    for step in [0.0, 50.0, 100.0] {
        if step > 0.0 {
            tokio::time::sleep(PAUSE).await;
        }
        report(call, step, 100.0).await;
    }
    said("three reports, if they were wanted")
}

/// Reports progress if the request asked for it.
pub(crate) async fn report(call: &Call<'_>, done: f64, of: f64) {
    if let Some(token) = call.context.meta.get_progress_token() {
        let report = ProgressNotificationParam::new(token, done).with_total(of);
        // A client that has gone hears no progress, and its call ends by itself.
        call.context.peer.notify_progress(report).await.ok();
    }
}

async fn log(call: &Call<'_>) -> Answer {
    for words in ["it begins", "it goes on", "it ends"] {
        if wanted(call) {
            let line = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(words));
            call.context.peer.notify_logging_message(line).await.ok();
        }
        tokio::time::sleep(PAUSE).await;
    }
    said("three lines, if they were wanted")
}

/// A request of the newer era says for itself whether it wants log lines; a session of the older one was told.
fn wanted(call: &Call<'_>) -> bool {
    let level = if call.modern() {
        call.context.meta.log_level()
    } else {
        Some(
            *call
                .fixture
                .level
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    };
    matches!(level, Some(LoggingLevel::Debug | LoggingLevel::Info))
}

fn defaults() -> Value {
    json!({ "method": "elicitation/create", "params": {
        "message": "Is this right?",
        "requestedSchema": { "type": "object", "required": [], "properties": {
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
            "verified": { "type": "boolean", "default": true },
        } },
    } })
}

fn choices() -> Value {
    let titled = json!([
        { "const": "value1", "title": "The first" },
        { "const": "value2", "title": "The second" },
        { "const": "value3", "title": "The third" },
    ]);
    json!({ "method": "elicitation/create", "params": {
        "message": "Which of them?",
        "requestedSchema": { "type": "object", "required": [], "properties": {
            "untitledSingle": { "type": "string", "enum": ["option1", "option2", "option3"] },
            "titledSingle": { "type": "string", "oneOf": titled },
            "legacyEnum": { "type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"] },
            "untitledMulti": { "type": "array", "items": { "type": "string", "enum": ["option1", "option2", "option3"] } },
            "titledMulti": { "type": "array", "items": { "anyOf": titled } },
        } },
    } })
}
