//! Windows that somebody asks for ahead (`scope: Tool`, law 22).

use std::fmt::Debug;
use std::sync::Arc;

use sallyport_policy::approval::{Names, Requester, Scope, Terms, Window};
use sallyport_policy::bundle::ApprovalSettings;
use sallyport_policy::decide::HoldRule;
use sallyport_policy::name::{Digest, GatewayName, Revision};
use sallyport_policy::principal::CallerKey;
use sallyport_policy::time::UnixMillis;

use crate::hold::protocol::AskedWindow;

/// What rules a window asked for ahead would have to satisfy; the guard knows, from the policy in force.
pub trait WindowBook: Debug + Send + Sync {
    /// Err: why there is no such window, in words for whoever asked.
    fn terms(&self, asked: &AskedWindow) -> Result<WindowTerms, String>;
}

/// What the guard adds to a window that somebody asked for.
#[derive(Clone, Debug)]
pub struct WindowTerms {
    pub gateway: GatewayName,
    /// The asker as calls will show it.
    pub key: CallerKey,
    /// Every rule that can hold a call of the tool.
    pub rules: Vec<Arc<HoldRule>>,
    pub pin: Option<Digest>,
    pub revision: Revision,
    pub settings: ApprovalSettings,
}

/// The terms of the request that this opens at `now`; Err: why not.
pub(super) fn window_terms(
    asked: AskedWindow,
    known: WindowTerms,
    now: UnixMillis,
) -> Result<Terms, &'static str> {
    let reasoned = asked
        .reason
        .as_ref()
        .is_some_and(|reason| !reason.trim().is_empty());
    if !reasoned && known.rules.iter().any(|rule| rule.reason_required) {
        return Err("this tool's rules ask for a reason; give one with `--reason`");
    }
    let names = [Some(asked.by.as_str()), Some(known.key.subject.as_str())]
        .into_iter()
        .chain([asked.client.as_deref(), known.key.actor.as_deref()]);
    Ok(Terms {
        gateway: known.gateway,
        requester: Requester {
            names: Names::new(names.flatten()),
            key: known.key,
        },
        email: None,
        method: "tools/call".to_owned(),
        target: Some(asked.tool),
        pin: known.pin,
        scope: Scope::Tool(Window {
            any_client: asked.client.is_none(),
            max_uses: narrowest(asked.max_uses, &known.rules),
            when: known
                .rules
                .iter()
                .flat_map(|rule| rule.grant.when.clone())
                .collect(),
        }),
        rules: known.rules.iter().map(|rule| (&**rule).into()).collect(),
        revision: known.revision,
        reason: asked.reason,
        preview: None,
        opened: now,
        expires: now.after(known.settings.request_ttl),
        window: asked.duration.get().min(known.settings.max_grant),
    })
}

/// The asker's wish, unless a rule that gives windows gives fewer uses.
fn narrowest(wished: Option<u32>, rules: &[Arc<HoldRule>]) -> Option<u32> {
    let given = rules.iter().filter_map(|rule| rule.grant.max_uses);
    given.chain(wished).min()
}
