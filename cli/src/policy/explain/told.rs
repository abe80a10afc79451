//! What is told of one decision: verdict, rules, and what goes with it.

use std::time::Duration;

use sallyport_policy::bundle::{Bundle, Settings};
use sallyport_policy::condition::glob::{Glob, GlobKind};
use sallyport_policy::decide::{
    Decision, Explanation, Facts, HoldRule, Operation, Outcome, Verdict,
};
use sallyport_policy::source::rule::GrantScope;
use sallyport_policy::source::{GoDuration, Subject};
use serde::Serialize;

use crate::output::{Failure, put};
use crate::policy::problem::counted;
use crate::policy::verdict;

use super::CallArgs;

/// Everything that is told of one decision.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explained {
    gateway: String,
    revision: String,
    at: String,
    caller: Caller,
    call: String,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_scopes: Vec<String>,
    /// Whether lists show it to this caller; none where no list has such entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    listed: Option<bool>,
    looked_at: Vec<Rule>,
    /// Rules about other calls.
    other_rules: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<String>,
    /// What must happen before, while and after it runs.
    obligations: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Caller {
    issuer: String,
    subject: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    rule: String,
    matched: bool,
    outcome: String,
    observed: bool,
}

pub(super) fn explained(
    bundle: &Bundle,
    operation: &Operation<'_>,
    facts: &Facts<'_>,
    args: &CallArgs,
    decision: &Decision,
) -> Explained {
    let looked_at = looked(decision.explanation());
    let denial = match decision {
        Decision::Deny(denial, _) => Some(denial),
        Decision::Allow(..) | Decision::Hold(..) => None,
    };
    Explained {
        gateway: bundle.gateway().to_string(),
        revision: bundle.revision().to_string(),
        at: facts.now.to_string(),
        caller: Caller {
            issuer: facts.principal.issuer.to_string(),
            subject: facts.principal.subject.to_string(),
        },
        call: described(operation),
        verdict: verdict::word(decision.verdict()),
        rule: decision.rule().map(ToString::to_string),
        reason: denial.map(|denial| denial.reason.code()),
        message: denial.map(|denial| denial.text().to_owned()),
        missing_scopes: denial
            .map(|denial| denial.missing_scopes.clone())
            .unwrap_or_default(),
        listed: args.listed().map(|listed| bundle.visible(&listed, facts)),
        other_rules: bundle.rule_count().saturating_sub(looked_at.len()),
        looked_at,
        shadow: decision
            .explanation()
            .shadow
            .as_ref()
            .map(ToString::to_string),
        obligations: obligations(bundle.settings(), args.tool.as_deref(), decision),
    }
}

fn described(operation: &Operation<'_>) -> String {
    match operation {
        Operation::Tool { name, .. } => format!("tool `{name}`"),
        Operation::Prompt { name, .. } => format!("prompt `{name}`"),
        Operation::Resource { uri } => format!("resource `{uri}`"),
        Operation::Method { method } => format!("method `{method}`"),
        Operation::Open { method } => format!("method `{method}`, which needs no rule"),
    }
}

fn looked(explanation: &Explanation) -> Vec<Rule> {
    let rules = explanation.looked.iter().map(|looked| Rule {
        rule: looked.rule.to_string(),
        matched: looked.outcome == Outcome::Matched,
        outcome: looked.outcome.to_string(),
        observed: looked.observed,
    });
    rules.collect()
}

/// What goes with the verdict beside letting the call through or not.
fn obligations(settings: &Settings, tool: Option<&str>, decision: &Decision) -> Vec<String> {
    let mut found = Vec::new();
    if let Decision::Hold(needed, _) = decision {
        found.extend(needed.rules.iter().map(|rule| approval(rule)));
        let (hold, ttl) = (
            span(settings.approvals.hold),
            span(settings.approvals.request_ttl),
        );
        found.push(format!(
            "the caller waits {hold}, then hears \"pending\"; the request stays open for {ttl}"
        ));
    }
    found.push(format!(
        "recording: {:?}, payloads {:?}",
        settings.recording.mode, settings.recording.payloads
    ));
    if decision.verdict() == Verdict::Deny {
        return found;
    }
    let masking = &settings.masking;
    let detectors = masking.detectors.as_deref().unwrap_or_default().join(", ");
    let patterns: Vec<&str> = masking
        .patterns
        .iter()
        .map(|pattern| pattern.name.as_str())
        .collect();
    let more = if patterns.is_empty() {
        String::new()
    } else {
        format!("; patterns {}", patterns.join(", "))
    };
    found.push(format!("the answer is masked: {detectors}{more}"));
    if let Some(tool) = tool {
        let fields = masking
            .fields
            .iter()
            .filter(|field| fits(&field.tool, tool));
        found.extend(fields.map(|field| {
            let action = field
                .action
                .or(masking.action)
                .map(|action| format!(" ({action:?})"));
            format!(
                "field {} of the answer is masked{}",
                field.path,
                action.unwrap_or_default()
            )
        }));
        let budgets = settings.limits.budgets.iter();
        let budgets = budgets.filter(|budget| budget.tools.iter().any(|glob| fits(glob, tool)));
        found.extend(budgets.map(|budget| {
            format!(
                "budget: {} calls per {} by {:?}",
                budget.calls,
                span(budget.per),
                budget.by
            )
        }));
    }
    found
}

fn approval(rule: &HoldRule) -> String {
    let who: Vec<String> = rule.approvers.iter().map(people).collect();
    let reason = if rule.reason_required {
        "; a reason is required"
    } else {
        ""
    };
    let uses = rule
        .grant
        .max_uses
        .map(|uses| format!(", at most {uses} times"))
        .unwrap_or_default();
    let gives = match rule.grant.scope {
        GrantScope::Call => "this call once",
        GrantScope::Tool => "the tool",
    };
    format!(
        "{}: {} of {} must approve{reason}; that grants {gives} within {}{uses}",
        rule.id,
        rule.required,
        who.join(" or "),
        span(rule.grant.duration),
    )
}

fn people(subject: &Subject) -> String {
    let named = |word: &str, names: &[String]| {
        (!names.is_empty()).then(|| format!("{word} {}", names.join(", ")))
    };
    let parts = [
        named("groups", &subject.groups),
        named("users", &subject.users),
    ];
    let mut parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.extend(
        subject
            .service_accounts
            .iter()
            .map(|account| format!("{}/{}", account.namespace, account.name)),
    );
    parts.extend(subject.claims.keys().map(|claim| format!("claim {claim}")));
    parts.join(" with ")
}

fn span(duration: Duration) -> String {
    GoDuration::of(duration).to_string()
}

fn fits(glob: &str, name: &str) -> bool {
    Glob::new(glob, GlobKind::Name).matches(name)
}

pub(super) fn tell(explained: &Explained) -> Result<(), Failure> {
    let mut verdict = explained.verdict.to_owned();
    if let Some(rule) = &explained.rule {
        verdict.push_str(&format!(" by {rule}"));
    }
    if let Some(reason) = explained.reason {
        verdict.push_str(&format!(" ({reason})"));
    }
    put(&verdict)?;
    if let Some(message) = &explained.message {
        put(&format!("  told to the caller: {message}"))?;
    }
    if !explained.missing_scopes.is_empty() {
        put(&format!(
            "  missing scopes: {}",
            explained.missing_scopes.join(" ")
        ))?;
    }
    tell_call(explained)?;
    tell_rules(explained)?;
    put("\nobligations")?;
    explained
        .obligations
        .iter()
        .try_for_each(|line| put(&format!("  {line}")))
}

fn tell_call(explained: &Explained) -> Result<(), Failure> {
    put("")?;
    put(&format!("call      {}", explained.call))?;
    put(&format!(
        "caller    {} of {}",
        explained.caller.subject, explained.caller.issuer
    ))?;
    put(&format!(
        "gateway   {}, revision {}",
        explained.gateway, explained.revision
    ))?;
    put(&format!("at        {}", explained.at))?;
    match explained.listed {
        Some(true) => put("in lists  shown to this caller"),
        Some(false) => put("in lists  hidden from this caller"),
        None => Ok(()),
    }
}

fn tell_rules(explained: &Explained) -> Result<(), Failure> {
    put("\nrules looked at")?;
    for rule in &explained.looked_at {
        let mark = if rule.matched { '+' } else { '-' };
        let observed = if rule.observed {
            " (observed only)"
        } else {
            ""
        };
        put(&format!(
            "  {mark} {}{observed}: {}",
            rule.rule, rule.outcome
        ))?;
    }
    if explained.looked_at.is_empty() {
        put("  none is about such a call")?;
    }
    if explained.other_rules > 0 {
        put(&format!(
            "  {} about other calls or other callers",
            counted(explained.other_rules, "rule")
        ))?;
    }
    match &explained.shadow {
        Some(shadow) => put(&format!("  {shadow}")),
        None => Ok(()),
    }
}
