//! What is written down of a client's answer to something that the server asked: of whom, to what, how it went, how
//! large it was and, masked, what it said. Older revisions send it as a message of its own, which has a record of its
//! own; the newest sends it inside the call that it continues.

use sallyport_policy::json::Document;
use sallyport_policy::mcp::call::Call;
use sallyport_policy::mcp::message::{Id, Message, Outcome as RpcOutcome, Response};
use sallyport_policy::name::CallId;
use sallyport_policy::record::event::{
    self, CallRequested, Capture, Decided, Event, PayloadKind, StreamEvent,
};

use super::{recording_of, trail_of};
use crate::inbound::context::Context;
use crate::trail::Trail;

/// What the record calls an answer to nothing that was asked.
pub(super) const UNASKED: &str = "response";

/// Begins the record of an answer to the server's request of method `asked`.
pub(super) fn open_trail(
    context: &Context,
    document: &Document,
    message: &Message<'_>,
    asked: &'static str,
) -> Trail {
    let method = format!("{UNASKED} to {asked}");
    let requested = |call| CallRequested {
        call,
        direction: event::Direction::ClientToServer,
        method: method.clone(),
        notification: false,
        id: message.id().map(Id::to_json),
        tool: None,
        resource: None,
        pin: None,
        protocol: Some(context.revision.to_string()),
        bytes: size(document.bytes().len()),
        source: Some(context.source),
        trace: None,
    };
    let payloads = match context.policy.recording.capture {
        Capture::Metadata => Vec::new(),
        Capture::Masked => vec![(
            PayloadKind::ServerRequest,
            context.policy.masker.mask_request(document),
        )],
    };
    let recording = recording_of(context, message);
    let terms = context.policy.recording;
    let record = context
        .gateway
        .recorder
        .open_call(&recording.session, terms, requested, payloads);
    trail_of(context, record, recording, method, String::new())
}

/// Whoever was asked may answer; the asking was judged by the rules.
pub(super) fn passed(context: &Context, call: CallId) -> Event {
    Event::Decided(Box::new(Decided {
        call,
        verdict: event::Verdict::Allow,
        rule: None,
        holds: Vec::new(),
        reason: Some("asked".to_owned()),
        revision: Some(context.policy.bundle.revision()),
        shadow: None,
    }))
}

/// How the client answered, as a stable code.
pub(super) fn kind(asked: &str, response: &Response<'_>) -> &'static str {
    let result = match &response.outcome {
        RpcOutcome::Error(_) => return "client_error",
        RpcOutcome::Result(result) => result,
    };
    let action = result.get("action").and_then(|action| action.as_str());
    match action.as_deref() {
        Some("accept") if asked == "elicitation/create" => "client_accepted",
        Some("decline") if asked == "elicitation/create" => "client_declined",
        Some("cancel") if asked == "elicitation/create" => "client_cancelled",
        Some(_) | None => "client_answered",
    }
}

/// Newest revision: each answer inside a call is told beside it; the words are in the call's own masked payload.
pub(super) fn note_input(trail: &mut Trail, call: &Call<'_>) {
    let Some(inputs) = call.input_responses else {
        return;
    };
    for (key, answer) in inputs.members() {
        let key = key.as_str().unwrap_or_default();
        let event = |call| {
            Event::StreamEvent(StreamEvent {
                call: Some(call),
                direction: event::Direction::ClientToServer,
                method: Some(UNASKED.to_owned()),
                event_id: Some(key.chars().take(128).collect()),
                bytes: size(answer.raw().len()),
                masks: std::collections::BTreeMap::new(),
            })
        };
        trail.note(event, Vec::new());
    }
}

fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
