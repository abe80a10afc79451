//! Tools that need several rounds: they answer with what they miss, and are called again with it.

use rmcp::ErrorData;
use rmcp::model::{InputRequests, InputRequiredResult};
use serde_json::{Map, Value, json};

use crate::asking::{Asked, ask, confirmation, form, roots, sample, unanswered};
use crate::call::{Answer, Call, said};
use crate::catalog::model;

/// None: no tool of this module.
pub(crate) async fn answer(call: &Call<'_>) -> Option<Answer> {
    let kind = call.name().strip_prefix("test_input_required_result_")?;
    Some(match kind {
        "elicitation" => greeting(call).await,
        "sampling" => {
            told(
                call,
                json!({ "capital_question": sample("What is the capital of Norway?", 100) }),
            )
            .await
        }
        "list_roots" => told(call, json!({ "client_roots": roots() })).await,
        "request_state" | "tampered_state" => {
            with_state(call, json!({ "confirm": confirmation("Go on?", "ok") }))
        }
        "multiple_inputs" => with_state(call, three()),
        "multi_round" => two_rounds(call),
        "capabilities" => told(call, whatever_it_can(call)).await,
        _ => return None,
    })
}

async fn greeting(call: &Call<'_>) -> Answer {
    match ask(call, json!({ "user_name": form("Who is there?", "name") })).await {
        Asked::Said(answers) => {
            let name = answers
                .get("user_name")
                .and_then(|answer| answer.pointer("/content/name"));
            said(&format!(
                "Hello, {}!",
                name.and_then(Value::as_str).unwrap_or("stranger")
            ))
        }
        Asked::Else(answer) => answer,
    }
}

async fn told(call: &Call<'_>, questions: Value) -> Answer {
    match ask(call, questions).await {
        Asked::Said(answers) => said(&format!("the client said: {}", json!(answers))),
        Asked::Else(answer) => answer,
    }
}

fn three() -> Value {
    json!({
        "user_name": form("Who is there?", "name"),
        "greeting": sample("Say something kind", 50),
        "client_roots": roots(),
    })
}

fn whatever_it_can(call: &Call<'_>) -> Value {
    let can = call.capabilities();
    let mut questions = Map::new();
    if can.sampling.is_some() {
        questions.insert("words".into(), sample("Say something", 20));
    }
    if can.elicitation.is_some() {
        questions.insert("name".into(), form("Who is there?", "name"));
    }
    if can.roots.is_some() {
        questions.insert("places".into(), roots());
    }
    Value::Object(questions)
}

/// Asks with a state, and takes the answers only with that state.
fn with_state(call: &Call<'_>, questions: Value) -> Answer {
    let seal = &call.fixture.shared.seal;
    let state = call.params.request_state.as_deref();
    if let Some(state) = state {
        opened(call, state, "asked")?;
    }
    let questions: InputRequests = model(questions)?;
    match unanswered(questions, call.params.input_responses.as_ref()) {
        None if state.is_some() => said("state-ok"),
        None => Err(ErrorData::invalid_params(
            "the answers come without their requestState",
            None,
        )),
        Some(open) => Ok(InputRequiredResult::new(Some(open), Some(seal.close("asked"))).into()),
    }
}

fn opened(call: &Call<'_>, state: &str, step: &str) -> Result<(), ErrorData> {
    if call.fixture.shared.seal.open(state)? == step {
        return Ok(());
    }
    Err(ErrorData::invalid_params(
        "this requestState is of another step",
        None,
    ))
}

fn two_rounds(call: &Call<'_>) -> Answer {
    let seal = &call.fixture.shared.seal;
    let step = match call.params.request_state.as_deref() {
        Some(state) => Some(seal.open(state)?),
        None => None,
    };
    let open = |questions| -> Result<_, ErrorData> {
        Ok(unanswered(
            model(questions)?,
            call.params.input_responses.as_ref(),
        ))
    };
    let first = json!({ "step1": form("First: who is there?", "name") });
    let second = json!({ "step2": form("And then: which colour?", "color") });
    let ask = |questions: InputRequests, step| {
        Ok(InputRequiredResult::new(Some(questions), Some(seal.close(step))).into())
    };
    match step {
        Some("second") => match open(second)? {
            None => said("both answers are here"),
            Some(questions) => ask(questions, "second"),
        },
        Some(_) => match open(first)? {
            None => ask(model(second)?, "second"),
            Some(questions) => ask(questions, "first"),
        },
        None => ask(model(first)?, "first"),
    }
}
