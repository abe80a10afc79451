//! Tools that go on as tasks where the client knows tasks.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ClientCapabilities, CreateTaskResult};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskOptions};
use serde_json::{Value, json};

use crate::asking::{Asked, ask, confirmation, form};
use crate::call::{Answer, Call, missing, said};
use crate::catalog::model;
use crate::material::text;

/// The longest that anybody can make this server work.
const LONGEST: f64 = 120.0;
const POLL_MS: u64 = 200;

/// None: no tool of this module.
pub(crate) async fn answer(call: &Call<'_>) -> Option<Answer> {
    Some(match call.name() {
        "greet" => match call.words("name") {
            Some(name) => said(&format!("Hello, {name}!")),
            None => missing("name"),
        },
        "slow_compute" => slow(call).await,
        "failing_job" => begun(call, |_| {
            Box::pin(async {
                result(json!({ "content": [text("the job did not work out")], "isError": true }))
            })
        }),
        "protocol_error_job" => begun(call, |_| {
            Box::pin(async {
                Err(TaskExit::Error(ErrorData::internal_error(
                    "the job broke",
                    None,
                )))
            })
        }),
        "confirm_delete" => begun(call, |task| Box::pin(confirmed(task))),
        "multi_input" => begun(call, |task| Box::pin(two_answers(task))),
        "test_tool_with_task" => named(call).await,
        _ => return None,
    })
}

/// A task, or the error for a client that cannot take one.
fn begun(call: &Call<'_>, work: impl FnOnce(TaskContext) -> TaskFuture) -> Answer {
    if !call.capabilities().supports_tasks() {
        let required = ClientCapabilities::builder().enable_tasks().build();
        return Err(ErrorData::missing_required_client_capability(required));
    }
    let options = TaskOptions::new().with_poll_interval_ms(POLL_MS);
    Ok(CreateTaskResult::new(call.fixture.shared.tasks.spawn(options, work)).into())
}

async fn slow(call: &Call<'_>) -> Answer {
    let seconds = call.number("seconds").unwrap_or_default();
    let pause = Duration::from_secs_f64(seconds.clamp(0.0, LONGEST));
    let words = format!("{} is done", call.words("label").unwrap_or("it"));
    if call.capabilities().supports_tasks() && !pause.is_zero() {
        return begun(call, move |task| {
            Box::pin(async move {
                tokio::select! {
                    () = tokio::time::sleep(pause) => spoken(&words),
                    () = task.cancelled() => Err(TaskExit::Cancelled),
                }
            })
        });
    }
    tokio::time::sleep(pause).await;
    said(&words)
}

async fn confirmed(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let question = model(confirmation("Really delete it?", "confirm"))?;
    let answer = task.request_input("confirm", question).await?;
    let sure = answer.pointer("/content/confirm").and_then(Value::as_bool);
    spoken(if sure == Some(true) {
        "deleted"
    } else {
        "kept"
    })
}

async fn two_answers(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let (first, second) = (
        model(form("Who is there?", "name"))?,
        model(confirmation("Go on?", "confirm"))?,
    );
    let (name, sure) = tokio::join!(
        task.request_input("name", first),
        task.request_input("confirm", second)
    );
    spoken(&format!("{} and {}", name?, sure?))
}

/// Asks first, and only then becomes a task.
async fn named(call: &Call<'_>) -> Answer {
    match ask(call, json!({ "user_name": form("Who is there?", "name") })).await {
        Asked::Said(answers) => {
            let name = answers
                .get("user_name")
                .and_then(|answer| answer.pointer("/content/name"));
            let words = format!(
                "a task for {}",
                name.and_then(Value::as_str).unwrap_or("nobody")
            );
            begun(call, move |_| Box::pin(async move { spoken(&words) }))
        }
        Asked::Else(answer) => answer,
    }
}

fn spoken(words: &str) -> Result<CallToolResult, TaskExit> {
    result(json!({ "content": [text(words)] }))
}

fn result(value: Value) -> Result<CallToolResult, TaskExit> {
    Ok(model(value)?)
}
