//! What an approval of one call is asked for and bound to (law 19), and what its approvers are shown of it (law 23).

use std::sync::Arc;

use bytes::Bytes;
use sallyport_policy::approval::{Binding, Claim, Requester};
use sallyport_policy::decide::{ApprovalNeeded, DenyReason, Preview};
use sallyport_policy::json::{Document, Limits, Node, Splice};
use sallyport_policy::mcp::call::{Call, Target};

use crate::answer::catalog::ToolEntry;
use crate::hold::Ask;
use crate::inbound::context::Context;

/// What is asked for, as approvers and the desk will know it.
pub(super) fn ask(
    context: &Context,
    call: &Call<'_>,
    claim: &Claim,
    needed: &ApprovalNeeded,
) -> Ask {
    let preview = preview(context, call, needed);
    Ask {
        digest: claim.digest,
        gateway: claim.gateway.clone(),
        requester: Requester::of(context.principal()),
        email: context.principal().email.clone(),
        method: call.method.name.to_owned(),
        target: target(call).map(str::to_owned),
        pin: claim.pin,
        preview,
        rules: needed.rules.clone(),
        revision: claim.revision,
        reason: None,
        when_holds: claim.when_holds,
        settings: context.policy.bundle.settings().approvals.clone(),
    }
}

/// What approvers will see of the call: as little as the most reserved of its rules says.
fn preview(context: &Context, call: &Call<'_>, needed: &ApprovalNeeded) -> Option<String> {
    let reserved = needed
        .rules
        .iter()
        .any(|rule| rule.preview == Preview::Metadata);
    let masker = &context.policy.masker;
    let acted_on = ActedOn::by(call);
    let node = acted_on.node()?;
    let shown = if reserved {
        masker.outline(node)
    } else {
        masker.preview(node)
    };
    Some(shown.json)
}

/// The claim that this call has on grants: what it is bound to (law 19).
pub(super) fn claim(
    context: &Context,
    call: &Call<'_>,
    tool: Option<&Arc<ToolEntry>>,
    needed: &ApprovalNeeded,
) -> Result<Claim, DenyReason> {
    let gateway = context.policy.bundle.gateway().clone();
    let caller = context.principal().key();
    let listed = tool;
    let pin = tool.map(|tool| tool.digest());
    let rules = needed.digests();
    let headers = context.forwarded();
    let acted_on = ActedOn::by(call);
    let binding = Binding {
        gateway: &gateway,
        caller: &caller,
        method: call.method.name,
        target: target(call),
        arguments: acted_on.node(),
        headers: &headers,
        meta: call.meta,
        pin,
        rules: &rules,
    };
    let digest = binding
        .digest(&context.gateway.binding)
        .map_err(|_| DenyReason::ConditionError)?;
    let revision = context.policy.bundle.revision();
    let tool = call.tool().map(str::to_owned);
    let operation = call.operation();
    let when_holds = context.with_facts(listed.map(|tool| tool.facts()), |facts| {
        needed
            .rules
            .iter()
            .all(|rule| rule.grant_covers(&operation, facts))
    });
    Ok(Claim {
        gateway,
        caller,
        digest,
        tool,
        pin,
        rules,
        revision,
        when_holds,
    })
}

fn target<'c>(call: &'c Call<'_>) -> Option<&'c str> {
    match &call.target {
        Target::Tool { name, .. } | Target::Prompt { name, .. } => Some(name),
        Target::Resource { uri } => Some(uri),
        Target::Open
        | Target::List(_)
        | Target::Listen(_)
        | Target::Task { .. }
        | Target::Method { .. }
        | Target::Relayed => None,
    }
}

/// What the server acts on: the arguments of tools and prompts, the parameters of everything else.
enum ActedOn<'d> {
    Arguments(Option<Node<'d>>),
    Parameters(Document),
}

/// Members of `params` that differ between two sendings of one call: `_meta` is bound apart, the others belong to a
/// call's next leg.
const CARRIERS: [&str; 3] = ["_meta", "requestState", "inputResponses"];

impl<'d> ActedOn<'d> {
    fn by(call: &Call<'d>) -> Self {
        match &call.target {
            Target::Tool { arguments, .. } | Target::Prompt { arguments, .. } => {
                Self::Arguments(*arguments)
            }
            Target::Open
            | Target::List(_)
            | Target::Listen(_)
            | Target::Task { .. }
            | Target::Method { .. }
            | Target::Relayed
            | Target::Resource { .. } => {
                let bare = call.params.and_then(bare);
                bare.map_or(Self::Arguments(call.params), Self::Parameters)
            }
        }
    }

    fn node(&self) -> Option<Node<'_>> {
        match self {
            Self::Arguments(node) => *node,
            Self::Parameters(document) => Some(document.root()),
        }
    }
}

/// None where the parameters are no object, which has no such members.
fn bare(params: Node<'_>) -> Option<Document> {
    let whole = Document::parse(Bytes::copy_from_slice(params.raw()), Limits::REQUEST).ok()?;
    let mut splice = Splice::new();
    for member in CARRIERS {
        splice.remove_member(whole.root(), member);
    }
    Document::parse(splice.apply(&whole), Limits::REQUEST).ok()
}
