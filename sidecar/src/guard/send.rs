//! From a permit to the server and back: what is sent is what was judged, except for what is spliced here.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use sallyport_policy::decide::{Decision, Denial, DenyReason, Listed, Operation, Permit};
use sallyport_policy::json::{Document, JsonError, Limits, Splice};
use sallyport_policy::mcp::agreement;
use sallyport_policy::mcp::answer::{self, Asked};
use sallyport_policy::mcp::call::{Call, Target};
use sallyport_policy::mcp::list::{self, Watched};
use sallyport_policy::mcp::message::Id;
use sallyport_policy::mcp::refusal::{Refusal as Malformed, refusal};
use sallyport_policy::mcp::rewrite;
use sallyport_policy::record::event::{Event, Forwarded, Outcome};

use super::{Answer, denied};
use crate::answer::catalog::ToolEntry;
use crate::answer::{Departure, Flight, land_reply, told_status};
use crate::inbound::context::Context;
use crate::trail::Trail;
use crate::upstream::{Expects, Outbound, Reply, UpstreamError};

/// Prefix of a `requestState` that is ours; it carries no authority, only the leg's number.
pub(super) const STATE_PREFIX: &str = "sallyport.v1.";

/// Sends a permitted call and judges what comes back.
pub(super) async fn send(
    context: &Context,
    document: &Document,
    call: &Call<'_>,
    tool: Option<&Arc<ToolEntry>>,
    permit: Permit,
    departure: Departure,
) -> Answer {
    let Departure {
        mut trail,
        slot,
        grant,
        progress,
    } = departure;
    if let Target::Task { id } = &call.target
        && !context
            .gateway
            .tasks
            .owned_by(id, &context.principal().key())
    {
        let denial = Denial::new(DenyReason::NoRule);
        return denied(context, call, trail, &denial).await;
    }
    if cancels_a_waiting_call(context, call) {
        trail
            .end(Outcome::Succeeded, Some("cancelled_while_held"), Some(202))
            .await;
        return Answer::Accepted;
    }
    let body = match outbound_body(context, document, call) {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "a rewritten message does not parse; this is a defect");
            return unavailable(call, trail, "internal").await;
        }
    };
    let outbound = outbound(context, call, &body);
    forwarded(&mut trail, &outbound);
    if let Err(error) = trail.settle().await {
        tracing::error!(%error, "a call is refused because it cannot be recorded");
        return unavailable(call, trail, DenyReason::RecordingUnavailable.code()).await;
    }
    let Some(id) = call.id.clone() else {
        return one_way(context, permit, outbound, trail, None).await;
    };
    let departure = Departure {
        trail,
        slot,
        grant,
        progress,
    };
    let flight = Flight::new(context, call, id, tool.cloned(), departure);
    follow(context, call, permit, outbound, flight).await
}

/// Waits for the answer as the revision's clients do.
async fn follow(
    context: &Context,
    call: &Call<'_>,
    permit: Permit,
    outbound: Outbound,
    flight: Flight,
) -> Answer {
    // Boxed: it is large, and a task is moved several times before it runs.
    let exchange = Box::pin(exchange(permit, outbound, flight));
    if context.revision.is_modern() {
        // A client that leaves drops this, and that cancels the call at the server.
        return exchange.await;
    }
    // In the older revisions leaving does not cancel, so the call is followed to its end by a task of its own.
    match tokio::spawn(exchange).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%error, "a call ended badly; this is a defect");
            Answer::Reply(internal(call))
        }
    }
}

fn outbound(context: &Context, call: &Call<'_>, body: &Document) -> Outbound {
    let expects = match &call.id {
        Some(id) => Expects::Answer { id: id.clone() },
        None => Expects::Nothing,
    };
    Outbound {
        body: body.bytes().clone(),
        headers: context.outbound_headers(),
        lane: context.lane(),
        expects,
    }
}

/// Written before the first byte goes upstream; names of headers, never values.
fn forwarded(trail: &mut Trail, outbound: &Outbound) {
    let bytes = u64::try_from(outbound.body.len()).unwrap_or(u64::MAX);
    let headers = outbound.headers.keys().map(ToString::to_string).collect();
    let event = |call| {
        Event::Forwarded(Forwarded {
            call,
            bytes,
            headers,
        })
    };
    trail.note(event, Vec::new());
}

/// Sends, unless the grant is taken back first, and judges what comes back.
async fn exchange(permit: Permit, outbound: Outbound, flight: Flight) -> Answer {
    let gateway = Arc::clone(&flight.context().gateway);
    let reply = {
        let sending = gateway.upstream.send(permit, outbound);
        tokio::select! {
            biased;
            () = flight.revoked() => Err(UpstreamError::Revoked),
            reply = sending => reply,
        }
    };
    land_reply(flight, reply).await
}

fn internal(call: &Call<'_>) -> answer::Reply {
    match Asked::by(call) {
        Some(asked) => answer::reply(&asked, &answer::Answer::Unavailable { reason: "internal" }),
        None => refusal(&Malformed::Notification),
    }
}

/// Sends what has no answer; `kind` is what its record says of it where it went well.
async fn one_way(
    context: &Context,
    permit: Permit,
    outbound: Outbound,
    trail: Trail,
    kind: Option<&str>,
) -> Answer {
    match context.gateway.upstream.send(permit, outbound).await {
        Ok(Reply::Refused { status, .. } | Reply::Json { status, .. }) if !status.is_success() => {
            if status == StatusCode::NOT_FOUND
                && let Some(session) = &context.session
            {
                context.gateway.sessions.close(&session.id);
            }
            let status = told_status(status.as_u16());
            trail
                .end(Outcome::Failed, Some("upstream_refused"), Some(status))
                .await;
            let mut reply = refusal(&Malformed::Notification);
            reply.http_status = status;
            Answer::Reply(reply)
        }
        Ok(_) => {
            trail.end(Outcome::Succeeded, kind, Some(202)).await;
            Answer::Accepted
        }
        Err(error) => {
            tracing::warn!(%error, "a message of the client did not reach the server");
            let status = if matches!(error, UpstreamError::SessionGone) {
                404
            } else {
                502
            };
            trail
                .end(Outcome::UpstreamFailed, Some("upstream"), Some(status))
                .await;
            let mut reply = refusal(&Malformed::Notification);
            reply.http_status = status;
            Answer::Reply(reply)
        }
    }
}

/// Forwards the client's answer to a request of the server; whether it may, was checked by the caller.
pub(super) async fn client_response(
    context: &Context,
    document: &Document,
    mut trail: Trail,
    kind: &'static str,
) -> Answer {
    let Some(permit) = open_permit(context, "response") else {
        let reply = refusal(&Malformed::Notification);
        let (code, status) = (DenyReason::NoPolicy.code(), Some(reply.http_status));
        trail.end(Outcome::Denied, Some(code), status).await;
        return Answer::Reply(reply);
    };
    let outbound = Outbound {
        body: document.bytes().clone(),
        headers: context.outbound_headers(),
        lane: context.lane(),
        expects: Expects::Nothing,
    };
    forwarded(&mut trail, &outbound);
    if let Err(error) = trail.settle().await {
        tracing::error!(%error, "a client's answer is refused because it cannot be recorded");
        let reply = refusal(&Malformed::Notification);
        let code = DenyReason::RecordingUnavailable.code();
        trail
            .end(Outcome::Denied, Some(code), Some(reply.http_status))
            .await;
        return Answer::Reply(reply);
    }
    one_way(context, permit, outbound, trail, Some(kind)).await
}

/// Tells the server that what it asked of the client is refused, on its own behalf.
pub async fn refuse_server(context: &Context, body: Bytes) {
    if context.revision.is_modern() {
        return; // no server may ask there, and no client may answer
    }
    let Some(permit) = open_permit(context, "response") else {
        return;
    };
    let headers = context.outbound_headers();
    let outbound = Outbound {
        body,
        headers,
        lane: context.lane(),
        expects: Expects::Nothing,
    };
    if let Err(error) = context.gateway.upstream.send(permit, outbound).await {
        tracing::debug!(%error, "the server could not be told of a refusal");
    }
}

/// A request of our own to the server, in the caller's session: the tool list that pins are checked against.
pub async fn ask_for_list(context: &Context, id: Id, body: Bytes) -> Result<Reply, UpstreamError> {
    let Some(permit) = open_permit(context, "tools/list") else {
        return Err(UpstreamError::SessionGone);
    };
    let mut headers = context.outbound_headers();
    if context.revision.is_modern() {
        headers.insert("mcp-method", HeaderValue::from_static("tools/list"));
        headers.remove("mcp-name");
        let version = HeaderValue::from_static(context.revision.as_str());
        headers.insert("mcp-protocol-version", version);
    }
    let outbound = Outbound {
        body,
        headers,
        lane: context.lane(),
        expects: Expects::Answer { id },
    };
    context.gateway.upstream.send(permit, outbound).await
}

/// Opens, resumes or takes over the stream of messages that answer no request.
pub async fn open_stream(context: &Context) -> Result<Reply, UpstreamError> {
    let Some(permit) = open_permit(context, "stream") else {
        return Err(UpstreamError::SessionGone);
    };
    let mut headers = context.outbound_headers();
    headers.insert(
        http::header::ACCEPT,
        HeaderValue::from_static("text/event-stream"),
    );
    context
        .gateway
        .upstream
        .listen(permit, headers, &context.lane())
        .await
}

/// Tells the server that the session is over.
pub async fn end_session(context: &Context) -> Result<Reply, UpstreamError> {
    let Some(permit) = open_permit(context, "session end") else {
        return Err(UpstreamError::SessionGone);
    };
    context
        .gateway
        .upstream
        .end(permit, context.outbound_headers(), &context.lane())
        .await
}

/// A permit for what is open to every authenticated principal; none where no policy is in force.
fn open_permit(context: &Context, method: &str) -> Option<Permit> {
    let mut budgets = context.gateway.budgets();
    let operation = Operation::Open { method };
    let decision = context.with_facts(None, |facts| {
        context
            .policy
            .bundle
            .decide(&operation, facts, &mut budgets)
    });
    match decision {
        Decision::Allow(permit, _) => Some(permit),
        Decision::Hold(..) | Decision::Deny(..) => None,
    }
}

/// `cancelled` for a call that the server has never seen ends its waiting and goes no further (law 20).
fn cancels_a_waiting_call(context: &Context, call: &Call<'_>) -> bool {
    match (&context.session, call.cancelled()) {
        (Some(session), Some(id)) => session.cancel(&id),
        (None, _) | (_, None) => false,
    }
}

async fn unavailable(call: &Call<'_>, trail: Trail, reason: &str) -> Answer {
    let reply = match Asked::by(call) {
        Some(asked) => answer::reply(&asked, &answer::Answer::Unavailable { reason }),
        None => refusal(&Malformed::Notification),
    };
    trail
        .end(Outcome::Denied, Some(reason), Some(reply.http_status))
        .await;
    Answer::Reply(reply)
}

/// The judged bytes, with what the server must not see or need not know taken out by splices.
fn outbound_body(
    context: &Context,
    document: &Document,
    call: &Call<'_>,
) -> Result<Document, JsonError> {
    let mut body = document.clone();
    if call.client_capabilities.is_some() {
        let may_ask = |method: &str| context.server_may_ask(method);
        let cut = agreement::cut_client_capabilities(body.root(), context.features(), may_ask);
        if let Some(bytes) = cut {
            body = Document::parse(bytes, Limits::REQUEST)?;
        }
    }
    if let Target::Listen(_) = call.target
        && let Some(bytes) = list::narrow_listen(body.root(), |watched| may_watch(context, watched))
    {
        body = Document::parse(bytes, Limits::REQUEST)?;
    }
    if call
        .request_state
        .as_ref()
        .is_some_and(|state| state.starts_with(STATE_PREFIX))
        && let Some(params) = body.root().get("params")
    {
        let mut splice = Splice::new();
        splice.remove_member(params, "requestState");
        body = Document::parse(splice.apply(&body), Limits::REQUEST)?;
    }
    if let Some(bytes) = rewrite::without_our_marks(body.root()) {
        body = Document::parse(bytes, Limits::REQUEST)?;
    }
    Ok(body)
}

fn may_watch(context: &Context, watched: Watched<'_>) -> bool {
    match watched {
        Watched::Uri(uri) => {
            let listed = Listed::Resource { uri };
            context.with_facts(None, |facts| context.policy.bundle.visible(&listed, facts))
        }
        Watched::Task(id) => context
            .gateway
            .tasks
            .owned_by(id, &context.principal().key()),
    }
}
