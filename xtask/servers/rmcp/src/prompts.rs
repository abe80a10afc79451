//! Prompts, and how their arguments are completed.

use rmcp::model::{
    CompleteRequestParams, CompleteResult, GetPromptRequestParams, GetPromptResponse,
    GetPromptResult, InputRequests, InputRequiredResult,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use crate::asking::{form, lacking, unanswered};
use crate::catalog::{complete as ended, model};
use crate::material::{embedded, picture, text};

pub(crate) fn get(
    params: &GetPromptRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name: &str| {
        let value = params
            .arguments
            .as_ref()
            .and_then(|all| all.get(name))
            .and_then(Value::as_str);
        value.ok_or_else(|| {
            ErrorData::invalid_params(format!("the argument `{name}` is missing"), None)
        })
    };
    match params.name.as_str() {
        "test_simple_prompt" => messages(vec![text("a prompt that asks for nothing")]),
        "test_prompt_with_arguments" => {
            let words = format!("first {}, then {}", argument("arg1")?, argument("arg2")?);
            messages(vec![text(&words)])
        }
        "test_prompt_with_embedded_resource" => {
            let note = embedded(argument("resourceUri")?, "a note inside a prompt");
            messages(vec![note, text("Read the note.")])
        }
        "test_prompt_with_image" => messages(vec![picture(), text("Look at the picture.")]),
        "test_input_required_result_prompt" => with_context(params, context),
        "simple-prompt" => messages(vec![text("This is a simple prompt without arguments.")]),
        "args-prompt" => messages(vec![text(&format!(
            "What's weather in {}?",
            argument("city")?
        ))]),
        "completable-prompt" => messages(vec![text(&format!(
            "Promote somebody in {}",
            argument("department")?
        ))]),
        other => Err(ErrorData::invalid_params(
            format!("Unknown prompt: {other}"),
            None,
        )),
    }
}

fn messages(blocks: Vec<Value>) -> Result<GetPromptResponse, ErrorData> {
    let messages: Vec<Value> = blocks
        .into_iter()
        .map(|block| json!({ "role": "user", "content": block }))
        .collect();
    ended::<GetPromptResult>(json!({ "messages": messages })).map(GetPromptResponse::from)
}

fn with_context(
    params: &GetPromptRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    let questions: InputRequests =
        model(json!({ "user_context": form("What is it about?", "context") }))?;
    let can = context.client_capabilities().unwrap_or_default();
    if let Some(error) = lacking(&questions, &can) {
        return Err(error);
    }
    if let Some(open) = unanswered(questions, params.input_responses.as_ref()) {
        return Ok(InputRequiredResult::from_input_requests(open).into());
    }
    let given = params
        .input_responses
        .as_ref()
        .and_then(|all| all.get("user_context"));
    let about = given
        .and_then(|answer| answer.pointer("/content/context"))
        .and_then(Value::as_str);
    messages(vec![text(&format!(
        "It is about {}.",
        about.unwrap_or("nothing")
    ))])
}

pub(crate) fn complete(params: &CompleteRequestParams) -> Result<CompleteResult, ErrorData> {
    let known = ["Engineering", "Sales", "Marketing", "Support"];
    let values: Vec<&str> = known
        .into_iter()
        .filter(|name| name.starts_with(&params.argument.value))
        .collect();
    ended(json!({ "completion": { "values": values, "total": values.len(), "hasMore": false } }))
}
