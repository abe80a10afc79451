//! What is written down about a held call: what was asked, what people decided and who they were, and the use.

use sallyport_policy::approval::{Assurance, Claim};
use sallyport_policy::decide::ApprovalNeeded;
use sallyport_policy::name::RequestId;
use sallyport_policy::record::event::{
    ApprovalConsumed, ApprovalDecided, ApprovalRequested, ApprovalVerdict, Event, Voice,
};
use sallyport_policy::time::UnixMillis;

use crate::hold::{Consumed, Status, Ticket};
use crate::inbound::context::Context;
use crate::trail::Trail;

pub(super) fn requested(
    trail: &mut Trail,
    claim: &Claim,
    needed: &ApprovalNeeded,
    ticket: &Ticket,
) {
    let expires_at = match ticket.status() {
        Status::Pending { expires, .. } => expires,
        Status::Approved { ends, .. } => ends,
        Status::Denied { until, .. } => until,
        Status::Expired | Status::Withdrawn | Status::Used { .. } | Status::Revoked { .. } => {
            UnixMillis(0)
        }
    };
    let event = |call| {
        Event::ApprovalRequested(ApprovalRequested {
            call,
            request: ticket.request().clone(),
            digest: claim.digest,
            rules: needed.rules.iter().map(|rule| (*rule.id).clone()).collect(),
            required: needed
                .rules
                .iter()
                .map(|rule| rule.required)
                .max()
                .unwrap_or(1),
            expires_at,
            joined: ticket.joined(),
        })
    };
    trail.note(event, Vec::new());
    tracing::info!(
        target: "sallyport::approval", request = %ticket.request(),
        "{:<9} {} waits for approval: sallyport approve {}", "held", trail.line.target, ticket.request()
    );
}

/// Writes down what people decided, and who they were.
pub(super) fn decided(trail: &mut Trail, request: &RequestId, status: &Status) {
    let named = |user: &str| vec![voice(user, "Asserted", None)];
    let (verdict, by, reason) = match status {
        Status::Approved { by, .. } => {
            let reason = by.iter().find_map(|spoken| spoken.reason.clone());
            let by = by
                .iter()
                .map(|spoken| voice(&spoken.user, assurance(spoken.assurance), spoken.uid));
            (ApprovalVerdict::Approved, by.collect(), reason)
        }
        Status::Denied { by, reason, .. } => (ApprovalVerdict::Denied, named(by), reason.clone()),
        Status::Revoked { by, reason } => (ApprovalVerdict::Revoked, named(by), reason.clone()),
        Status::Expired => (ApprovalVerdict::Expired, Vec::new(), None),
        Status::Withdrawn => (ApprovalVerdict::Withdrawn, Vec::new(), None),
        Status::Pending { .. } | Status::Used { .. } => return,
    };
    let event = |call| {
        Event::ApprovalDecided(ApprovalDecided {
            call: Some(call),
            request: request.clone(),
            verdict,
            by,
            reason,
        })
    };
    trail.note(event, Vec::new());
}

pub(super) fn consumed_by(context: &Context, trail: &mut Trail, consumed: &Consumed) {
    let event = |call| {
        Event::ApprovalConsumed(ApprovalConsumed {
            call,
            request: consumed.request().clone(),
            asked_under: consumed.opened_under(),
            used_under: context.policy.bundle.revision(),
        })
    };
    trail.note(event, Vec::new());
}

fn voice(user: &str, assurance: &str, uid: Option<u32>) -> Voice {
    Voice {
        user: user.to_owned(),
        assurance: assurance.to_owned(),
        uid,
    }
}

fn assurance(assurance: Assurance) -> &'static str {
    match assurance {
        Assurance::Asserted => "Asserted",
        Assurance::Authenticated => "Authenticated",
    }
}
