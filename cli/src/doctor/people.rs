//! Who could do what two people should do: call and approve, or run the guard and approve.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sallyport_policy::source::policy::AccessPolicySpec;
use sallyport_policy::source::{Effect, Named, Subject};
use sallyport_sidecar::hold::protocol::SOCKET;

use crate::policy;

use super::Line;

/// Whether approvals come from another account than the guard's (law 24).
pub(super) fn approvals(state: &Path) -> Option<Line> {
    let what = "approvals";
    let facts = std::fs::metadata(state.join(SOCKET)).ok()?;
    let mode = facts.mode() & 0o777;
    let line = match mode & 0o077 {
        0 => Line::warn(
            what,
            "the account that runs the guard approves as well, so an agent of that account could approve its own calls",
            "give approvers a group of their own: `sallyport up --approver-group GID`",
        ),
        0o060 => Line::ok(what, format!("by the accounts of group {}", facts.gid())),
        _ => Line::bad(
            what,
            format!("the socket is open to every account (mode {mode:o})"),
            format!("chmod 600 '{}'", state.join(SOCKET).display()),
        ),
    };
    Some(line)
}

/// Subjects that call and approve under the same rule. Nobody approves their own call, but two of them approve each
/// other's.
pub(super) fn of_policies(files: &[PathBuf]) -> Vec<Line> {
    let Ok(loaded) = policy::read(files) else {
        return Vec::new();
    };
    let mut lines: Vec<Line> = loaded.sources.policies.iter().flat_map(both).collect();
    let holds = loaded
        .sources
        .policies
        .iter()
        .flat_map(|policy| &policy.spec.rules);
    if lines.is_empty()
        && holds
            .clone()
            .any(|rule| rule.effect == Effect::RequireApproval)
    {
        lines.push(Line::ok(
            "separation of duties",
            "no rule names its callers as approvers",
        ));
    }
    lines
}

fn both(policy: &Named<AccessPolicySpec>) -> Vec<Line> {
    let what = "separation of duties";
    let mut lines = Vec::new();
    for rule in &policy.spec.rules {
        let approvers = rule
            .approval
            .as_ref()
            .map(|approval| approval.approvers.as_slice())
            .unwrap_or_default();
        let shared: Vec<String> = approvers
            .iter()
            .flat_map(|approver| {
                policy
                    .spec
                    .subjects
                    .iter()
                    .flat_map(|caller| common(caller, approver))
            })
            .collect();
        if shared.is_empty() {
            continue;
        }
        let found = format!(
            "{} may call and approve under {}/{} rule `{}`",
            shared.join(", "),
            policy.namespace,
            policy.name,
            rule.name
        );
        lines.push(Line::warn(
            what,
            found,
            "name approvers who do not call; nobody approves their own call, but colleagues do",
        ));
    }
    lines
}

/// What both items name.
fn common(caller: &Subject, approver: &Subject) -> Vec<String> {
    let groups = caller
        .groups
        .iter()
        .filter(|group| approver.groups.contains(group));
    let users = caller
        .users
        .iter()
        .filter(|user| approver.users.contains(user));
    groups
        .map(|group| format!("group {group}"))
        .chain(users.map(|user| format!("user {user}")))
        .collect()
}
