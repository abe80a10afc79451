//! Tools with the names and answers of the reference server, so that one scenario of the client matrix serves both.

use std::time::Duration;

use serde_json::{Value, json};

use crate::asking::{Asked, ask};
use crate::asking::{form, sample};
use crate::call::{Answer, Call, content, failed, missing, result, said};
use crate::material::{picture, text};
use crate::tools::report;

/// None: no tool of this module.
pub(crate) async fn answer(call: &Call<'_>) -> Option<Answer> {
    Some(match call.name() {
        "echo" => match call.words("message") {
            Some(message) => said(&format!("Echo: {message}")),
            None => missing("message"),
        },
        "get-sum" => match (call.number("a"), call.number("b")) {
            (Some(a), Some(b)) => said(&format!("The sum of {a} and {b} is {}.", a + b)),
            _ => missing("a` or `b"),
        },
        "get-structured-content" => match call.words("location") {
            Some(place) => weather(place),
            None => missing("location"),
        },
        "get-env" => environment(),
        "get-tiny-image" => content(&json!([
            text("Here is a picture:"),
            picture(),
            text("It is small.")
        ])),
        "toggle-simulated-logging" => said("toggled"),
        "trigger-long-running-operation" => long(call).await,
        "trigger-elicitation-request" => name(call).await,
        "trigger-sampling-request" => words(call).await,
        _ => return None,
    })
}

fn weather(place: &str) -> Answer {
    let found = json!({ "temperature": 36, "conditions": format!("Light rain in {place}"), "humidity": 82 });
    result(json!({ "content": [text(&found.to_string())], "structuredContent": found }))
}

fn environment() -> Answer {
    let all: serde_json::Map<String, Value> = std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                json!(value.to_string_lossy()),
            )
        })
        .collect();
    said(&format!("{:#}", Value::Object(all)))
}

async fn long(call: &Call<'_>) -> Answer {
    let seconds = call.number("duration").unwrap_or(10.0).clamp(0.0, 120.0);
    let steps = call
        .argument("steps")
        .and_then(Value::as_u64)
        .unwrap_or(5)
        .clamp(1, 100);
    let steps = u32::try_from(steps).unwrap_or(1);
    for step in 1..=steps {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(seconds / f64::from(steps))) => {}
            () = call.context.ct.cancelled() => return failed("cancelled"),
        }
        report(call, f64::from(step), f64::from(steps)).await;
    }
    said(&format!(
        "Long running operation completed. Duration: {seconds} seconds, Steps: {steps}."
    ))
}

async fn name(call: &Call<'_>) -> Answer {
    let question = form("Please provide inputs for the following fields:", "name");
    match ask(call, json!({ "asked": question })).await {
        Asked::Said(answers) => {
            let name = answers
                .get("asked")
                .and_then(|answer| answer.pointer("/content/name"));
            said(&format!(
                "User inputs: {}",
                name.and_then(Value::as_str).unwrap_or("nothing")
            ))
        }
        Asked::Else(answer) => answer,
    }
}

async fn words(call: &Call<'_>) -> Answer {
    let Some(prompt) = call.words("prompt") else {
        return missing("prompt");
    };
    let question = sample(
        &format!("Resource trigger-sampling-request context: {prompt}"),
        10,
    );
    match ask(call, json!({ "asked": question })).await {
        Asked::Said(answers) => {
            let said_words = answers
                .get("asked")
                .and_then(|answer| answer.pointer("/content/text"));
            said(&format!(
                "LLM sampling result: {}",
                said_words.and_then(Value::as_str).unwrap_or("nothing")
            ))
        }
        Asked::Else(answer) => answer,
    }
}
