//! Asking the client something, the way of its era: a request of ours while it waits, or an answer that says what is
//! missing, to which it comes back with more.

#![expect(
    deprecated,
    reason = "sampling and roots are deprecated in the newest revision, and still have to work"
)]

use rmcp::model::{
    ClientCapabilities, InputRequest, InputRequests, InputRequiredResult, InputResponses,
};
use rmcp::{ErrorData, Peer, RoleServer};
use serde::Serialize;
use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::catalog::model;

/// What came of asking.
pub(crate) enum Asked {
    /// Every question has an answer.
    Said(InputResponses),
    /// The call ends here for now, or for good.
    Else(Answer),
}

/// A form with one line of text to fill in.
pub(crate) fn form(message: &str, field: &str) -> Value {
    json!({ "method": "elicitation/create", "params": {
        "message": message,
        "requestedSchema": { "type": "object", "properties": { field: { "type": "string" } }, "required": [field] },
    } })
}

/// A form with one box to tick.
pub(crate) fn confirmation(message: &str, field: &str) -> Value {
    json!({ "method": "elicitation/create", "params": {
        "message": message,
        "requestedSchema": { "type": "object", "properties": { field: { "type": "boolean" } }, "required": [field] },
    } })
}

pub(crate) fn sample(prompt: &str, tokens: u32) -> Value {
    json!({ "method": "sampling/createMessage", "params": {
        "messages": [{ "role": "user", "content": { "type": "text", "text": prompt } }],
        "maxTokens": tokens,
    } })
}

pub(crate) fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

/// Asks everything in `questions`, an object of requests by key.
pub(crate) async fn ask(call: &Call<'_>, questions: Value) -> Asked {
    let questions: InputRequests = match model(questions) {
        Ok(questions) => questions,
        Err(error) => return Asked::Else(Err(error)),
    };
    if let Some(lacking) = lacking(&questions, &call.capabilities()) {
        return Asked::Else(Err(lacking));
    }
    if call.modern() {
        let open = unanswered(questions, call.params.input_responses.as_ref());
        return match open {
            None => Asked::Said(call.params.input_responses.clone().unwrap_or_default()),
            Some(open) => Asked::Else(Ok(InputRequiredResult::from_input_requests(open).into())),
        };
    }
    match request_each(&call.context.peer, questions).await {
        Ok(answers) => Asked::Said(answers),
        Err(error) => Asked::Else(Err(error)),
    }
}

/// The questions without an answer of the right kind; None where there are none. Answers to no question are ignored.
pub(crate) fn unanswered(
    mut questions: InputRequests,
    given: Option<&InputResponses>,
) -> Option<InputRequests> {
    questions
        .retain(|key, _| !given.is_some_and(|given| given.get(key).is_some_and(Value::is_object)));
    (!questions.is_empty()).then_some(questions)
}

/// The error for a client that said it cannot do what it would be asked.
pub(crate) fn lacking(questions: &InputRequests, can: &ClientCapabilities) -> Option<ErrorData> {
    let (mut elicitation, mut sampling, mut roots) = (false, false, false);
    for question in questions.values() {
        match question {
            InputRequest::Elicitation(_) => elicitation |= can.elicitation.is_none(),
            InputRequest::CreateMessage(_) => sampling |= can.sampling.is_none(),
            InputRequest::ListRoots(_) => roots |= can.roots.is_none(),
            // The SDK's enum may grow; nothing here asks what is not listed above.
            _ => {}
        }
    }
    let mut required = serde_json::Map::new();
    for (name, wanted) in [
        ("elicitation", elicitation),
        ("sampling", sampling),
        ("roots", roots),
    ] {
        if wanted {
            required.insert(name.into(), json!({}));
        }
    }
    if required.is_empty() {
        return None;
    }
    match model(Value::Object(required)) {
        Ok(required) => Some(ErrorData::missing_required_client_capability(required)),
        Err(error) => Some(error),
    }
}

async fn request_each(
    peer: &Peer<RoleServer>,
    questions: InputRequests,
) -> Result<InputResponses, ErrorData> {
    let mut answers = InputResponses::new();
    for (key, question) in questions {
        let answer = match question {
            InputRequest::Elicitation(request) => {
                shown(peer.create_elicitation(request.params).await)
            }
            InputRequest::CreateMessage(request) => {
                shown(peer.create_message(request.params).await)
            }
            InputRequest::ListRoots(_) => shown(peer.list_roots().await),
            _ => continue,
        };
        answers.insert(key, answer?);
    }
    Ok(answers)
}

fn shown<T: Serialize, E: std::fmt::Display>(answer: Result<T, E>) -> Result<Value, ErrorData> {
    let answer = answer.map_err(|error| {
        ErrorData::internal_error(format!("the client did not answer: {error}"), None)
    })?;
    serde_json::to_value(answer).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}
