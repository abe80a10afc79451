//! A held call: it asks for approval, waits as its client can wait, is judged again, and runs at most once.
//!
//! Nothing here decides whether an approval counts; the desk does. What this room keeps is the order: judged again
//! before the grant is used, the use durable before a byte goes to the server (laws 19 to 22).

use std::sync::Arc;
use std::time::Duration;

use sallyport_policy::approval::{Claim, ConsumeRefusal};
use sallyport_policy::decide::{ApprovalNeeded, Decision, Denial, DenyReason, Slot};
use sallyport_policy::json::Document;
use sallyport_policy::mcp::answer::{Answer as Told, Asked, Unapproved};
use sallyport_policy::mcp::call::Call;
use sallyport_policy::mcp::message::{Id, Message};
use sallyport_policy::mcp::method::Direction;
use sallyport_policy::mcp::progress::Waiting;
use sallyport_policy::name::{Digest, RequestId};
use sallyport_policy::record::event::Outcome;
use sallyport_policy::sse::{self, Item};
use sallyport_policy::time::UnixMillis;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::asking::{ask, claim};
use super::minutes::{consumed_by, decided, requested};
use super::send::{STATE_PREFIX, send};
use super::{Answer, denied, note};
use crate::answer::catalog::ToolEntry;
use crate::answer::{Departure, own};
use crate::hold::{AskError, ConsumeError, Consumed, Desk, Status, Ticket};
use crate::inbound::context::Context;
use crate::trail::Trail;

/// Legs of one held call in the newest revision (law 20).
const MOST_LEGS: u32 = 8;
/// How often a waiting client hears of it.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// A call that a rule holds.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) needed: ApprovalNeeded,
    pub(super) trail: Trail,
    pub(super) slot: Slot,
}

/// Who keeps approvals, and what this call claims of them.
#[derive(Debug)]
struct Plea {
    desk: Desk,
    claim: Claim,
}

/// What the waiting came to.
enum Waited {
    /// Approved, and taken: it may be judged again and run.
    Taken(Consumed),
    Not {
        request: RequestId,
        why: Unapproved,
        reason: Option<String>,
    },
    StillPending {
        request: RequestId,
        expires: UnixMillis,
    },
    /// The client cancelled, or its session ended.
    Left,
    Refused(DenyReason),
}

/// Holds one call to its end.
pub(super) async fn hold(
    context: &Context,
    document: &Document,
    call: &Call<'_>,
    tool: Option<&Arc<ToolEntry>>,
    held: Held,
) -> Answer {
    let Some(desk) = context.gateway.desk.clone() else {
        return denied(
            context,
            call,
            held.trail,
            &Denial::new(DenyReason::ApprovalsUnavailable),
        )
        .await;
    };
    let claim = match claim(context, call, tool, &held.needed) {
        Ok(claim) => claim,
        Err(reason) => return denied(context, call, held.trail, &Denial::new(reason)).await,
    };
    let plea = Plea { desk, claim };
    let streams = context.may_wait && context.accepts_events && call.progress_token.is_some();
    if streams {
        return hold_streaming(context, document, call, tool, held, plea).await;
    }
    let Held {
        needed,
        mut trail,
        slot,
    } = held;
    let waited = wait(context, call, &plea, &needed, &mut trail, None).await;
    resolve(
        context,
        document,
        call,
        tool,
        waited,
        Departure {
            trail,
            slot,
            grant: None,
            progress: None,
        },
    )
    .await
}

/// Commits to a stream at once, so that the client hears progress while it waits.
async fn hold_streaming(
    context: &Context,
    document: &Document,
    call: &Call<'_>,
    tool: Option<&Arc<ToolEntry>>,
    held: Held,
    plea: Plea,
) -> Answer {
    let (sender, items) = mpsc::channel(crate::answer::pump::QUEUE);
    let token = call.progress_token.clone();
    let (context, document, tool) = (context.clone(), document.clone(), tool.cloned());
    tokio::spawn(async move {
        // The call borrows the document, so it is made again from the same bytes.
        let Ok(message) = Message::parse(&document) else {
            return;
        };
        let Ok(call) = Call::of(&message, Direction::ToServer, context.revision) else {
            return;
        };
        let Held {
            needed,
            mut trail,
            slot,
        } = held;
        let mut progress = token.map(Waiting::new);
        let stream = progress.as_mut().map(|progress| (progress, &sender));
        let waited = wait(&context, &call, &plea, &needed, &mut trail, stream).await;
        let departure = Departure {
            trail,
            slot,
            grant: None,
            progress,
        };
        let answer = resolve(&context, &document, &call, tool.as_ref(), waited, departure).await;
        pour(answer, &sender).await;
    });
    Answer::Stream {
        session: None,
        items,
    }
}

/// An answer into a stream that is open already.
pub(crate) async fn pour(answer: Answer, out: &mpsc::Sender<Item>) {
    let body = match answer {
        Answer::Json { body, .. } => body,
        Answer::Reply(reply) => reply.body,
        Answer::Stream { mut items, .. } => {
            while let Some(item) = items.recv().await {
                if out.send(item).await.is_err() {
                    return; // dropping the items ends what feeds them
                }
            }
            return;
        }
        Answer::Accepted | Answer::Challenge(_) => return,
    };
    if out
        .send(Item::Event(sse::Event::message(body)))
        .await
        .is_err()
    {
        tracing::debug!("the client left before its answer");
    }
}

/// Judges again what was approved, and runs it; or tells the client how things stand.
async fn resolve(
    context: &Context,
    document: &Document,
    call: &Call<'_>,
    tool: Option<&Arc<ToolEntry>>,
    waited: Waited,
    mut departure: Departure,
) -> Answer {
    match waited {
        Waited::Taken(consumed) => run(context, document, call, tool, consumed, departure).await,
        Waited::Left => {
            departure
                .trail
                .end(Outcome::Cancelled, Some("cancelled_while_held"), None)
                .await;
            Answer::Accepted
        }
        Waited::Refused(reason) => {
            let mut denial = Denial::new(reason);
            if reason == DenyReason::TooManyPending {
                // As long as a held call would wait; a decision may come sooner.
                denial.retry_after = Some(context.policy.bundle.settings().approvals.hold);
            }
            denied(context, call, departure.trail, &denial).await
        }
        Waited::StillPending { request, expires } => {
            pending(context, call, departure, &request, expires).await
        }
        Waited::Not {
            request,
            why,
            reason,
        } => {
            let code = unapproved_code(why);
            let answer = match Asked::by(call) {
                Some(asked) => {
                    let told = Told::Unapproved {
                        request: request.as_str(),
                        why,
                        reason: reason.as_deref(),
                    };
                    own(&asked, &told)
                }
                None => Answer::Accepted,
            };
            departure.trail.line.masked = 0;
            departure
                .trail
                .end(Outcome::Denied, Some(code), Some(200))
                .await;
            answer
        }
    }
}

/// The grant is used up, durably; now the call is judged by the policy of this moment and sent (laws 11, 19, 21).
async fn run(
    context: &Context,
    document: &Document,
    call: &Call<'_>,
    tool: Option<&Arc<ToolEntry>>,
    consumed: Consumed,
    mut departure: Departure,
) -> Answer {
    let context = context.renewed();
    if context
        .policy
        .verifier
        .still_valid(&context.verified)
        .is_err()
    {
        return denied(
            &context,
            call,
            departure.trail,
            &Denial::new(DenyReason::GrantMismatch),
        )
        .await;
    }
    let facts = tool.map(|tool| tool.facts());
    let operation = call.operation();
    let decision = context.with_facts(facts, |facts| {
        context
            .policy
            .bundle
            .decide_granted(&operation, facts, consumed.grant())
    });
    note(&mut departure.trail, &decision, &context);
    match decision {
        Decision::Allow(permit, _) => {
            departure.grant = Some(consumed);
            detached(&context, document, tool, permit, departure).await
        }
        Decision::Hold(..) => {
            denied(
                &context,
                call,
                departure.trail,
                &Denial::new(DenyReason::GrantMismatch),
            )
            .await
        }
        Decision::Deny(denial, _) => denied(&context, call, departure.trail, &denial).await,
    }
}

/// An approved call is followed to its end even if its client leaves: how it ended must be written down.
async fn detached(
    context: &Context,
    document: &Document,
    tool: Option<&Arc<ToolEntry>>,
    permit: sallyport_policy::decide::Permit,
    departure: Departure,
) -> Answer {
    let (context, document, tool) = (context.clone(), document.clone(), tool.cloned());
    let running = tokio::spawn(async move {
        let message = Message::parse(&document).ok()?;
        let call = Call::of(&message, Direction::ToServer, context.revision).ok()?;
        let sending = send(&context, &document, &call, tool.as_ref(), permit, departure);
        Some(Box::pin(sending).await)
    });
    match running.await {
        Ok(Some(answer)) => answer,
        Ok(None) | Err(_) => Answer::Accepted,
    }
}

/// Asks, or takes what was granted already, and waits as long as the gateway's `hold` says.
async fn wait(
    context: &Context,
    call: &Call<'_>,
    plea: &Plea,
    needed: &ApprovalNeeded,
    trail: &mut Trail,
    stream: Option<(&mut Waiting, &mpsc::Sender<Item>)>,
) -> Waited {
    let Plea { desk, claim } = plea;
    if let Some(waited) = continued(context, call, desk, claim, trail).await {
        return waited;
    }
    match windows(context, desk, claim, trail).await {
        Ok(Some(consumed)) => return Waited::Taken(consumed),
        Ok(None) => {}
        Err(reason) => return Waited::Refused(reason),
    }
    let mut ticket = match desk.ask(ask(context, call, claim, needed)).await {
        Ok(ticket) => ticket,
        Err(AskError::TooManyPending { .. }) => return Waited::Refused(DenyReason::TooManyPending),
        Err(AskError::NoApprovers(_) | AskError::NothingToApprove | AskError::Store(_)) => {
            return Waited::Refused(DenyReason::ApprovalsUnavailable);
        }
    };
    requested(trail, claim, needed, &ticket);
    let cancel = match (&context.session, &call.id) {
        (Some(session), Some(id)) => session.wait(id),
        (None, _) | (_, None) => CancellationToken::new(),
    };
    let status = {
        let _waiting = WaitingHere::new(context, call);
        patience(context, &mut ticket, &cancel, stream).await
    };
    match status {
        Some(status) => settle(context, desk, claim, trail, &ticket, status).await,
        None => Waited::Left,
    }
}

/// A call that is counted as held, and known to its session, for as long as somebody waits for it: a client that
/// hangs up drops the waiting anywhere.
struct WaitingHere<'c> {
    context: &'c Context,
    id: Option<&'c Id>,
}

impl<'c> WaitingHere<'c> {
    fn new(context: &'c Context, call: &'c Call<'_>) -> Self {
        context.gateway.metrics.held.inc();
        Self {
            context,
            id: call.id.as_ref(),
        }
    }
}

impl Drop for WaitingHere<'_> {
    fn drop(&mut self) {
        self.context.gateway.metrics.held.dec();
        if let (Some(session), Some(id)) = (&self.context.session, self.id) {
            session.waited(id);
        }
    }
}

/// What the ticket's status means for this call.
async fn settle(
    context: &Context,
    desk: &Desk,
    claim: &Claim,
    trail: &mut Trail,
    ticket: &Ticket,
    status: Status,
) -> Waited {
    let request = ticket.request().clone();
    let not = |why, reason| Waited::Not {
        request: request.clone(),
        why,
        reason,
    };
    decided(trail, &request, &status);
    match status {
        Status::Pending { expires, .. } => Waited::StillPending { request, expires },
        Status::Approved { .. } => take(context, desk, &request, claim, trail).await,
        Status::Denied { reason, .. } => not(Unapproved::Denied, reason),
        Status::Expired => not(Unapproved::Expired, None),
        Status::Withdrawn => not(Unapproved::Withdrawn, None),
        Status::Revoked { reason, .. } => not(Unapproved::Revoked, reason),
        Status::Used { outcome } => not(used(outcome), None),
    }
}

fn used(outcome: Option<sallyport_policy::approval::Outcome>) -> Unapproved {
    match outcome {
        Some(sallyport_policy::approval::Outcome::Unknown) => Unapproved::UsedOutcomeUnknown,
        Some(
            sallyport_policy::approval::Outcome::Succeeded
            | sallyport_policy::approval::Outcome::Failed,
        )
        | None => Unapproved::Used,
    }
}

/// Uses the grant, once for all racing callers.
async fn take(
    context: &Context,
    desk: &Desk,
    request: &RequestId,
    claim: &Claim,
    trail: &mut Trail,
) -> Waited {
    match desk.consume(request, claim, &trail.id()).await {
        Ok(consumed) => {
            consumed_by(context, trail, &consumed);
            Waited::Taken(consumed)
        }
        Err(error) => not_taken(request, &error),
    }
}

fn not_taken(request: &RequestId, error: &ConsumeError) -> Waited {
    let not = |why| Waited::Not {
        request: request.clone(),
        why,
        reason: None,
    };
    match error {
        ConsumeError::NoSuchLeg => not(Unapproved::Used),
        ConsumeError::Refused(refusal) => not(refusal_of(*refusal)),
        ConsumeError::Unknown(_) => Waited::Refused(DenyReason::GrantMismatch),
        ConsumeError::Store(_) => Waited::Refused(DenyReason::ApprovalsUnavailable),
    }
}

/// The next leg of a call whose server asked back belongs to the use that began it (law 21).
async fn continued(
    context: &Context,
    call: &Call<'_>,
    desk: &Desk,
    claim: &Claim,
    trail: &mut Trail,
) -> Option<Waited> {
    let state = call
        .request_state
        .as_ref()
        .filter(|state| !state.starts_with(STATE_PREFIX))?;
    let digest = Digest::of(state.as_bytes());
    match desk.continuation(&digest, claim, &trail.id()).await {
        Ok(consumed) => {
            consumed_by(context, trail, &consumed);
            Some(Waited::Taken(consumed))
        }
        Err(error) => Some(not_taken(&RequestId::new("-"), &error)),
    }
}

/// A window that somebody granted ahead (law 22).
async fn windows(
    context: &Context,
    desk: &Desk,
    claim: &Claim,
    trail: &mut Trail,
) -> Result<Option<Consumed>, DenyReason> {
    let grants = desk
        .grants_for(claim)
        .await
        .map_err(|_| DenyReason::ApprovalsUnavailable)?;
    for grant in grants {
        if let Ok(consumed) = desk.consume(&grant.request, claim, &trail.id()).await {
            consumed_by(context, trail, &consumed);
            return Ok(Some(consumed));
        }
    }
    Ok(None)
}

/// Waits until the request is settled, the gateway's patience ends, or the client goes. None: it went.
async fn patience(
    context: &Context,
    ticket: &mut Ticket,
    cancel: &CancellationToken,
    mut stream: Option<(&mut Waiting, &mpsc::Sender<Item>)>,
) -> Option<Status> {
    let now = ticket.status();
    if !matches!(now, Status::Pending { .. }) || !context.may_wait {
        return Some(now);
    }
    let until = tokio::time::sleep(context.policy.bundle.settings().approvals.hold);
    tokio::pin!(until);
    let mut tick = tokio::time::interval(PROGRESS_EVERY);
    loop {
        let left = async {
            match &stream {
                Some((_, out)) => out.closed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => return None,
            () = left => return None,
            status = ticket.settled() => return Some(status),
            () = &mut until => return Some(ticket.status()),
            // Told as pending, it is taken up again at whoever serves next.
            () = context.gateway.stop.cancelled() => return Some(ticket.status()),
            _ = tick.tick() => {}
        }
        if let Some((waiting, out)) = &mut stream {
            let told = waiting.say(&format!("waiting for approval of {}", ticket.request()));
            // A client that does not read its progress still gets its answer.
            if out
                .try_send(Item::Event(sse::Event::message(told)))
                .is_err()
            {
                tracing::debug!("progress of a held call was not read");
            }
        }
    }
}

/// Says how to repeat: by the protocol's own state in the newest revision, in words elsewhere (law 20).
async fn pending(
    context: &Context,
    call: &Call<'_>,
    departure: Departure,
    request: &RequestId,
    expires: UnixMillis,
) -> Answer {
    let leg = leg_of(call);
    let state = (context.revision.is_modern()
        && context.may_wait
        && call.method.may_ask_back()
        && leg < MOST_LEGS)
        .then(|| format!("{STATE_PREFIX}{request}.{}", leg.saturating_add(1)));
    let expires = expires.to_string();
    let answer = match Asked::by(call) {
        Some(asked) => {
            let told = Told::Pending {
                request: request.as_str(),
                expires_at: &expires,
                state: state.as_deref(),
            };
            own(&asked, &told)
        }
        None => Answer::Accepted,
    };
    departure
        .trail
        .end(Outcome::Pending, Some("approval_pending"), Some(200))
        .await;
    answer
}

/// Which leg of a held call this is; the state carries the number and no authority, so a wrong one costs nothing.
fn leg_of(call: &Call<'_>) -> u32 {
    call.request_state
        .as_ref()
        .and_then(|state| {
            state
                .strip_prefix(STATE_PREFIX)?
                .rsplit_once('.')?
                .1
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

fn unapproved_code(why: Unapproved) -> &'static str {
    match why {
        Unapproved::Denied => DenyReason::ApprovalDenied.code(),
        Unapproved::Expired | Unapproved::Withdrawn => DenyReason::ApprovalExpired.code(),
        Unapproved::Revoked => DenyReason::GrantRevoked.code(),
        Unapproved::Used | Unapproved::UsedOutcomeUnknown => DenyReason::GrantUsed.code(),
    }
}

fn refusal_of(refusal: ConsumeRefusal) -> Unapproved {
    match refusal {
        ConsumeRefusal::Denied => Unapproved::Denied,
        ConsumeRefusal::Withdrawn => Unapproved::Withdrawn,
        ConsumeRefusal::Revoked => Unapproved::Revoked,
        ConsumeRefusal::Used(outcome) => used(outcome),
        ConsumeRefusal::NoSuchLeg => Unapproved::Used,
        // Another racing call changed what this one saw: whoever repeats it asks anew.
        ConsumeRefusal::Pending | ConsumeRefusal::Expired | ConsumeRefusal::Misfit(_) => {
            Unapproved::Expired
        }
    }
}
