//! The only caller of `policy::decide`, and the only place where a permit becomes a send.
//!
//! A message comes in judged as JSON and as MCP; what leaves this room is an [`Answer`] for the client. Every request
//! and every notification of a client gets exactly one terminal record, whichever way it leaves (rule 5, law 30).

mod asking;
mod held;
mod minutes;
mod payload;
mod reply;
mod send;
mod windows;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use sallyport_policy::decide::{Decision, Denial, DenyReason, Explanation, Listed, Verdict};
use sallyport_policy::json::Document;
use sallyport_policy::mcp::answer::{self, Asked, Reply, Surplus};
use sallyport_policy::mcp::call::{Call, CallError, Target};
use sallyport_policy::mcp::headers::{HeaderError, Mirror};
use sallyport_policy::mcp::message::{Id, Message, Response};
use sallyport_policy::mcp::method::Direction;
use sallyport_policy::mcp::refusal::{Refusal as Malformed, refusal};
use sallyport_policy::mcp::revision::Revision;
use sallyport_policy::name::CallId;
use sallyport_policy::record::event::{self, CallRequested, Decided, Event, Outcome, Shadow};
use sallyport_policy::sse::Item;
use tokio::sync::mpsc;

use crate::answer::Departure;
use crate::answer::catalog::ToolEntry;
use crate::identity::Challenge;
use crate::inbound::context::Context;
use crate::journal::Recording;
use crate::record::CallRecord;
use crate::trail::{Line, Trail, Uses};
use crate::upstream::UpstreamError;

pub(crate) use held::pour;
pub use send::{ask_for_list, end_session, open_stream, refuse_server};
pub use windows::Windows;

/// When a place among the running calls may be free again.
const A_MOMENT: Duration = Duration::ZERO;

/// What the client gets for one message.
#[derive(Debug)]
pub enum Answer {
    /// Taken; nothing to say.
    Accepted,
    /// An answer of ours.
    Reply(Reply),
    /// The step-up challenge: a token with more scopes would do.
    Challenge(Challenge),
    /// The server's answer, judged and masked.
    Json {
        status: u16,
        body: Bytes,
        session: Option<String>,
    },
    /// What belongs to the call as it comes, its answer last.
    Stream {
        session: Option<String>,
        items: mpsc::Receiver<Item>,
    },
}

/// Judges one message of a client and does what the verdict says.
pub async fn pass(context: &Context, document: &Document, message: &Message<'_>) -> Answer {
    if let Message::Response(response) = message {
        return client_answer(context, document, message, response).await;
    }
    let call = match Call::of(message, Direction::ToServer, context.revision) {
        Ok(call) => call,
        Err(error) => return no_call(context, message, &error).await,
    };
    if let Err(error) = mirrored(context, &call) {
        let reply = refusal(&Malformed::Header {
            error: &error,
            id: call.id.as_ref(),
        });
        return refused(context, message, "header_mismatch", reply).await;
    }
    // What is refused whatever it asks for needs no definition, and nothing may be asked of the server for it.
    let tool = match call.tool().filter(|_| refused_anyway(context).is_none()) {
        Some(name) => match context.gateway.catalog.entry(context, name).await {
            Ok(tool) => tool,
            Err(error) => return unlisted(context, document, &call, &error).await,
        },
        None => None,
    };
    if let Err(error) = mirrored_arguments(context, &call, tool.as_ref()) {
        let reply = refusal(&Malformed::Header {
            error: &error,
            id: call.id.as_ref(),
        });
        return refused(context, message, "header_mismatch", reply).await;
    }
    let trail = open_trail(context, document, &call, tool.as_ref());
    // Held calls make this future large; it is moved once and then stays where it is.
    Box::pin(judge(context, document, &call, tool.as_ref(), trail)).await
}

/// The way of a call from here on.
async fn judge(
    context: &Context,
    document: &Document,
    call: &Call<'_>,
    tool: Option<&Arc<ToolEntry>>,
    mut trail: Trail,
) -> Answer {
    if let Some(denial) = quarantined(context, call, tool) {
        return denied(context, call, trail, &denial).await;
    }
    let limit = context.policy.bundle.settings().limits.concurrent_calls;
    let Some(slot) = context
        .gateway
        .budgets()
        .enter(usize::try_from(limit).unwrap_or(usize::MAX))
    else {
        let mut denial = Denial::new(DenyReason::TooManyCalls);
        denial.retry_after = Some(A_MOMENT);
        return denied(context, call, trail, &denial).await;
    };
    let decision = decide(context, call, tool);
    note(&mut trail, &decision, context);
    match decision {
        Decision::Allow(permit, _) => {
            let departure = Departure {
                trail,
                slot,
                grant: None,
                progress: None,
            };
            Box::pin(send::send(context, document, call, tool, permit, departure)).await
        }
        Decision::Hold(needed, _) => {
            held::hold(
                context,
                document,
                call,
                tool,
                held::Held {
                    needed,
                    trail,
                    slot,
                },
            )
            .await
        }
        Decision::Deny(denial, _) => denied(context, call, trail, &denial).await,
    }
}

/// One evaluation, on the policy that the context holds.
fn decide(context: &Context, call: &Call<'_>, tool: Option<&Arc<ToolEntry>>) -> Decision {
    let operation = call.operation();
    let facts = tool.map(|tool| tool.facts());
    let mut budgets = context.gateway.budgets();
    context.with_facts(facts, |facts| {
        context
            .policy
            .bundle
            .decide(&operation, facts, &mut budgets)
    })
}

/// A tool whose definition awaits review, or that the server lists nowhere, cannot be called (law 29).
fn quarantined(
    context: &Context,
    call: &Call<'_>,
    tool: Option<&Arc<ToolEntry>>,
) -> Option<Denial> {
    let Target::Tool { .. } = call.target else {
        return None;
    };
    if refused_anyway(context).is_some() {
        return None;
    }
    match tool {
        None => Some(Denial::new(DenyReason::UnknownTool)),
        Some(entry) if entry.is_quarantined(context.policy.pins) => {
            Some(Denial::new(DenyReason::ToolQuarantined))
        }
        Some(_) => None,
    }
}

fn refused_anyway(context: &Context) -> Option<DenyReason> {
    context.policy.bundle.standing_refusal(context.now())
}

/// The server's list cannot be read, so the call cannot be judged: nothing is sent (law 29).
async fn unlisted(
    context: &Context,
    document: &Document,
    call: &Call<'_>,
    error: &UpstreamError,
) -> Answer {
    let trail = open_trail(context, document, call, None);
    let reply = match (Asked::by(call), error) {
        (_, UpstreamError::SessionGone) => {
            if let Some(session) = &context.session {
                context.gateway.sessions.close(&session.id);
            }
            refusal(&Malformed::Session)
        }
        (Some(asked), UpstreamError::Unreachable(_)) => {
            let why = answer::Upstream::Unreachable;
            answer::reply(&asked, &answer::Answer::Upstream { why })
        }
        (Some(asked), UpstreamError::TooManyChildren(_)) => {
            let reason = "too_many_children";
            answer::reply(&asked, &answer::Answer::Unavailable { reason })
        }
        (Some(asked), _) => {
            let reason = "tools_not_listed";
            answer::reply(&asked, &answer::Answer::Unavailable { reason })
        }
        (None, _) => refusal(&Malformed::Notification),
    };
    context.gateway.metrics.refused("tools_not_listed");
    trail
        .end(
            Outcome::UpstreamFailed,
            Some("tools_not_listed"),
            Some(reply.http_status),
        )
        .await;
    Answer::Reply(reply)
}

/// Ends a call that policy refuses, in the shape that its revision understands.
async fn denied(context: &Context, call: &Call<'_>, mut trail: Trail, denial: &Denial) -> Answer {
    let reason = denial.reason.code();
    context.gateway.metrics.refused(reason);
    if matches!(
        denial.reason,
        DenyReason::ToolQuarantined | DenyReason::UnknownTool | DenyReason::TooManyCalls
    ) {
        // These were not decided by a rule, so nothing has been noted yet.
        trail.note(|call| undecided(context, call, reason), Vec::new());
    }
    trail.line.rule = denial.rule.as_deref().cloned();
    let answer = denial_answer(context, call, denial);
    let status = match &answer {
        Answer::Reply(reply) => Some(reply.http_status),
        Answer::Challenge(challenge) => Some(challenge.status.as_u16()),
        Answer::Accepted | Answer::Json { .. } | Answer::Stream { .. } => None,
    };
    trail.end(Outcome::Denied, Some(reason), status).await;
    answer
}

fn denial_answer(context: &Context, call: &Call<'_>, denial: &Denial) -> Answer {
    // A challenge answers a whole HTTP request, and an element of a batch is only a part of one.
    if denial.reason == DenyReason::InsufficientScope
        && context.may_wait
        && let Some(resource) = &context.resource
    {
        return Answer::Challenge(resource.insufficient_scope(&denial.missing_scopes));
    }
    let retry_after = denial
        .retry_after
        .map(|wait| wait.as_secs().saturating_add(1));
    let Some(asked) = Asked::by(call) else {
        let mut reply = refusal(&Malformed::Notification);
        if retry_after.is_some() {
            reply.http_status = StatusCode::TOO_MANY_REQUESTS.as_u16();
            reply.retry_after = retry_after;
        }
        return Answer::Reply(reply);
    };
    let told = match retry_after {
        Some(retry_after_secs) => answer::Answer::Limited {
            of: if denial.reason == DenyReason::TooManyPending {
                Surplus::Requests
            } else {
                Surplus::Calls
            },
            reason: denial.reason.code(),
            retry_after_secs,
        },
        None => answer::Answer::Denied {
            reason: denial.reason.code(),
            message: denial.message.as_deref(),
            visible: visible(context, call, denial),
        },
    };
    Answer::Reply(answer::reply(&asked, &told))
}

/// Whether the caller may know that what it asked for exists.
fn visible(context: &Context, call: &Call<'_>, denial: &Denial) -> bool {
    if matches!(
        denial.reason,
        DenyReason::UnknownTool | DenyReason::ToolQuarantined
    ) {
        return false;
    }
    // What refuses everything tells nothing about one tool; hidden, it would look as if the server had lost its tools.
    if refused_anyway(context) == Some(denial.reason) {
        return true;
    }
    let listed = match &call.target {
        Target::Tool { name, .. } => Listed::Tool { name },
        Target::Prompt { name, .. } => Listed::Prompt { name },
        Target::Resource { uri } => Listed::Resource { uri },
        Target::Open
        | Target::List(_)
        | Target::Listen(_)
        | Target::Task { .. }
        | Target::Method { .. }
        | Target::Relayed => {
            return true;
        }
    };
    context.with_facts(None, |facts| context.policy.bundle.visible(&listed, facts))
}

/// A client's answer to a request of the server: accepted once, from whom it was asked (trap 45).
async fn client_answer(
    context: &Context,
    document: &Document,
    message: &Message<'_>,
    response: &Response<'_>,
) -> Answer {
    let asked = match (&context.session, &response.id) {
        (Some(session), Some(id)) => session.answer(id),
        (None, _) | (_, None) => None,
    };
    let Some(asked) = asked else {
        let reply = refusal(&Malformed::Notification);
        return refused(context, message, "unasked_response", reply).await;
    };
    let mut trail = reply::open_trail(context, document, message, asked);
    trail.note(|call| reply::passed(context, call), Vec::new());
    send::client_response(context, document, trail, reply::kind(asked, response)).await
}

/// A message that is no call of its revision: unknown method, wrong direction, wrong parameters.
async fn no_call(context: &Context, message: &Message<'_>, error: &CallError) -> Answer {
    let code = match error {
        CallError::MethodNotFound { .. } => "unknown_method",
        CallError::InvalidParams { .. } => "invalid_params",
        CallError::MissingCapability { .. } => "missing_capability",
        CallError::Response => "unasked_response",
    };
    let reply = refusal(&Malformed::Call {
        error,
        id: message.id(),
        revision: context.revision,
    });
    refused(context, message, code, reply).await
}

/// Refuses a message before there is a call to decide on; recorded all the same.
async fn refused(
    context: &Context,
    message: &Message<'_>,
    code: &'static str,
    reply: Reply,
) -> Answer {
    context.gateway.metrics.refused(code);
    let method = match message {
        Message::Response(_) => reply::UNASKED,
        Message::Request(_) | Message::Notification(_) => message.method().unwrap_or("-"),
    };
    let method: String = method.chars().take(128).collect();
    let bytes = u64::try_from(message.node().raw().len()).unwrap_or(u64::MAX);
    let requested = |call| CallRequested {
        call,
        direction: event::Direction::ClientToServer,
        method: method.clone(),
        notification: message.id().is_none() && message.method().is_some(),
        id: message.id().map(Id::to_json),
        tool: None,
        resource: None,
        pin: None,
        protocol: Some(context.revision.to_string()),
        bytes,
        source: Some(context.source),
        trace: None,
    };
    let recording = recording_of(context, message);
    let record = context.gateway.recorder.open_call(
        &recording.session,
        context.policy.recording,
        requested,
        Vec::new(),
    );
    let mut trail = trail_of(context, record, recording, method.clone(), String::new());
    trail.note(|call| undecided(context, call, code), Vec::new());
    trail
        .end(Outcome::Denied, Some(code), Some(reply.http_status))
        .await;
    Answer::Reply(reply)
}

fn mirrored(context: &Context, call: &Call<'_>) -> Result<(), HeaderError> {
    if !context.revision.is_modern() {
        return Ok(());
    }
    mirror(context)?.check(call)
}

fn mirrored_arguments(
    context: &Context,
    call: &Call<'_>,
    tool: Option<&Arc<ToolEntry>>,
) -> Result<(), HeaderError> {
    match (&call.target, tool) {
        (Target::Tool { arguments, .. }, Some(entry)) if context.revision.is_modern() => {
            mirror(context)?.check_params(entry.mirrored(), *arguments)
        }
        _ => Ok(()),
    }
}

fn mirror(context: &Context) -> Result<Mirror<'_>, HeaderError> {
    Mirror::read(
        context
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes())),
    )
}

fn recording_of(context: &Context, message: &Message<'_>) -> Recording {
    context.recording(|| claimed_client(message, context.revision))
}

/// The name that the client gives itself: told in the record, never used.
fn claimed_client(message: &Message<'_>, revision: Revision) -> Option<String> {
    let info = if revision.is_modern() {
        message
            .meta()?
            .get(sallyport_policy::mcp::era::META_CLIENT_INFO)?
    } else {
        message.params()?.get("clientInfo")?
    };
    Some(info.get("name")?.as_str()?.chars().take(128).collect())
}

fn open_trail(
    context: &Context,
    document: &Document,
    call: &Call<'_>,
    tool: Option<&Arc<ToolEntry>>,
) -> Trail {
    let gateway = &context.gateway;
    let recording = match Message::of(call.message) {
        Ok(message) => recording_of(context, &message),
        Err(_) => context.recording(|| None), // cannot be: the call was made from this message
    };
    let (named, resource) = target_of(call);
    let target = named
        .clone()
        .or_else(|| resource.clone())
        .unwrap_or_default();
    let requested = |id| CallRequested {
        call: id,
        direction: event::Direction::ClientToServer,
        method: call.method.name.to_owned(),
        notification: call.id.is_none(),
        id: call.id.as_ref().map(Id::to_json),
        tool: named,
        resource,
        pin: tool.map(|tool| tool.digest()),
        protocol: Some(context.revision.to_string()),
        bytes: u64::try_from(document.bytes().len()).unwrap_or(u64::MAX),
        source: Some(context.source),
        trace: trace_of(context),
    };
    let payloads = payload::request(context, document, call);
    let record = gateway.recorder.open_call(
        &recording.session,
        context.policy.recording,
        requested,
        payloads,
    );
    let mut trail = trail_of(
        context,
        record,
        recording,
        call.method.name.to_owned(),
        target,
    );
    reply::note_input(&mut trail, call);
    trail
}

fn trail_of(
    context: &Context,
    record: CallRecord,
    recording: Recording,
    method: String,
    target: String,
) -> Trail {
    let principal = context.principal();
    let line = Line {
        caller: principal.subject.to_string(),
        client: principal
            .client
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        method,
        target,
        rule: None,
        masked: 0,
    };
    let gateway = &context.gateway;
    Trail::new(
        record,
        line,
        context.policy.recording.mode,
        gateway.metrics.clone(),
        Arc::clone(&gateway.clock),
        Uses {
            recording: recording.used,
            session: context
                .session
                .as_ref()
                .map(|session| session.begin(&gateway.clock)),
        },
    )
}

/// Tool or prompt, and resource, as the record names them.
fn target_of(call: &Call<'_>) -> (Option<String>, Option<String>) {
    let text = |target: &str| target.chars().take(1024).collect::<String>();
    match &call.target {
        Target::Tool { name, .. } | Target::Prompt { name, .. } => (Some(text(name)), None),
        Target::Resource { uri } => (None, Some(text(uri))),
        Target::Open
        | Target::List(_)
        | Target::Listen(_)
        | Target::Task { .. }
        | Target::Method { .. }
        | Target::Relayed => (None, None),
    }
}

fn trace_of(context: &Context) -> Option<String> {
    context
        .headers
        .get("traceparent")?
        .to_str()
        .ok()
        .map(|text| text.chars().take(128).collect())
}

/// Notes a verdict with the rule that caused it.
fn note(trail: &mut Trail, decision: &Decision, context: &Context) {
    let (reason, holds) = match decision {
        Decision::Allow(..) => (None, Vec::new()),
        Decision::Hold(needed, _) => (
            None,
            needed.rules.iter().map(|rule| (*rule.id).clone()).collect(),
        ),
        Decision::Deny(denial, _) => (Some(denial.reason.code().to_owned()), Vec::new()),
    };
    trail.line.rule = decision.rule().cloned();
    let decided = |call| Decided {
        call,
        verdict: verdict(decision.verdict()),
        rule: decision.rule().cloned(),
        holds,
        reason,
        revision: Some(context.policy.bundle.revision()),
        shadow: shadow(decision.explanation()),
    };
    trail.note(|call| Event::Decided(Box::new(decided(call))), Vec::new());
}

/// A refusal that no rule made.
fn undecided(context: &Context, call: CallId, reason: &str) -> Event {
    Event::Decided(Box::new(Decided {
        call,
        verdict: event::Verdict::Deny,
        rule: None,
        holds: Vec::new(),
        reason: Some(reason.to_owned()),
        revision: Some(context.policy.bundle.revision()),
        shadow: None,
    }))
}

fn shadow(explanation: &Explanation) -> Option<Shadow> {
    let shadow = explanation.shadow.as_ref()?;
    Some(Shadow {
        verdict: verdict(shadow.verdict),
        rule: shadow.rule.as_deref().cloned(),
    })
}

fn verdict(verdict: Verdict) -> event::Verdict {
    match verdict {
        Verdict::Allow => event::Verdict::Allow,
        Verdict::Hold => event::Verdict::Hold,
        Verdict::Deny => event::Verdict::Deny,
    }
}
