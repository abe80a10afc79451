//! Words for verdicts, the same in every command of the workbench.

use sallyport_policy::decide::{DenyReason, Verdict};
use sallyport_policy::name::RuleId;
use sallyport_policy::source::Effect;

/// A verdict in the word that policies use for it.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "Allow",
        Verdict::Hold => "RequireApproval",
        Verdict::Deny => "Deny",
    }
}

/// What a test expects, in the same words.
pub(super) fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "Allow",
        Effect::RequireApproval => "RequireApproval",
        Effect::Deny => "Deny",
    }
}

/// `Deny by stock-clerks/never-drop (denied_by_rule)`.
pub(super) fn whole(verdict: Verdict, rule: Option<&RuleId>, reason: Option<DenyReason>) -> String {
    let mut text = word(verdict).to_owned();
    if let Some(rule) = rule {
        text.push_str(&format!(" by {rule}"));
    }
    if let Some(reason) = reason {
        text.push_str(&format!(" ({})", reason.code()));
    }
    text
}
