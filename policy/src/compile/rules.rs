//! Rules, subjects and validity of policies and guardrails: every mistake with its field path.

use std::collections::BTreeSet;

use super::mistake::{Mistake, ObjectId};
use crate::bundle::{ActiveSubject, ActiveValidity, RuleContent};
use crate::condition::{Predicate, uri};
use crate::source::consistency::Disagreement;
use crate::source::policy::AccessPolicySpec;
use crate::source::rule::{ApprovalRule, Condition};
use crate::source::{Effect, Rule, Subject};

/// The rules of one object; those with a mistake are kept and marked (law 7).
pub(super) fn compile(
    object: &ObjectId,
    rules: &[Rule],
    disagreements: &[Disagreement],
    mistakes: &mut Vec<Mistake>,
) -> Vec<RuleContent> {
    let mut names = BTreeSet::new();
    let mut compiled = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        let mut found = rule_mistakes(object, &path, rule);
        if !names.insert(&rule.name) {
            let expected = "a name that no other rule of this object has";
            found.push(Mistake::new(
                object,
                &format!("{path}.name"),
                expected,
                format!("`{}` again", rule.name),
            ));
        }
        // The bracket after the index keeps `rules[1]` apart from `rules[10]`.
        let disagrees = disagreements
            .iter()
            .any(|other| other.path.starts_with(&path));
        compiled.push(RuleContent {
            rule: rule.clone(),
            broken: disagrees || !found.is_empty(),
        });
        mistakes.extend(found);
    }
    compiled
}

fn rule_mistakes(object: &ObjectId, path: &str, rule: &Rule) -> Vec<Mistake> {
    let mut found = condition_mistakes(object, &format!("{path}.when"), &rule.when, rule.effect);
    found.extend(target_mistakes(object, path, rule));
    let approves = rule.effect == Effect::RequireApproval;
    match &rule.approval {
        Some(approval) if approves => found.extend(approval_mistakes(
            object,
            &format!("{path}.approval"),
            approval,
        )),
        Some(_) => found.push(Mistake::new(
            object,
            &format!("{path}.approval"),
            "no approval with another effect than RequireApproval",
            "",
        )),
        None if approves => found.push(Mistake::new(
            object,
            &format!("{path}.approval"),
            "an approval with effect RequireApproval",
            "",
        )),
        None => {}
    }
    if rule.effect != Effect::Allow && !rule.scopes.is_empty() {
        found.push(Mistake::new(
            object,
            &format!("{path}.scopes"),
            "scopes only with effect Allow",
            "",
        ));
    }
    found
}

fn target_mistakes(object: &ObjectId, path: &str, rule: &Rule) -> Vec<Mistake> {
    let mut found = Vec::new();
    let targets = [&rule.tools, &rule.resources, &rule.prompts, &rule.methods];
    if targets.iter().all(|globs| globs.is_empty()) {
        found.push(Mistake::new(
            object,
            path,
            "at least one of tools, resources, prompts and methods",
            "",
        ));
    }
    for (index, glob) in rule.resources.iter().enumerate() {
        if uri::plain_glob(glob).is_none() {
            let expected = "a URI in its normal form: what needs no percent-encoding has none";
            found.push(Mistake::new(
                object,
                &format!("{path}.resources[{index}]"),
                expected,
                format!("`{glob}`"),
            ));
        }
    }
    let on_arguments = rule.when.iter().position(|part| part.argument.is_some());
    if let Some(index) = on_arguments
        && rule.tools.is_empty()
        && rule.prompts.is_empty()
    {
        let expected = "conditions on arguments only in rules with tools or prompts";
        found.push(
            Mistake::new(
                object,
                &format!("{path}.when[{index}].argument"),
                expected,
                "",
            )
            .with_hint("resources and methods have no arguments to judge"),
        );
    }
    found
}

fn condition_mistakes(
    object: &ObjectId,
    path: &str,
    conditions: &[Condition],
    effect: Effect,
) -> Vec<Mistake> {
    let mut found = Vec::new();
    for (index, condition) in conditions.iter().enumerate() {
        if let Err(problems) = Predicate::compile(condition, effect) {
            let part = format!("{path}[{index}]");
            found.extend(
                problems
                    .into_iter()
                    .map(|problem| Mistake::of_problem(object, &part, problem)),
            );
        }
    }
    found
}

fn approval_mistakes(object: &ObjectId, path: &str, approval: &ApprovalRule) -> Vec<Mistake> {
    let mut found = subject_list(object, &format!("{path}.approvers"), &approval.approvers);
    if approval.approvers.is_empty() {
        found.push(Mistake::new(
            object,
            &format!("{path}.approvers"),
            "at least one approver",
            "none",
        ));
    }
    found.extend(condition_mistakes(
        object,
        &format!("{path}.grant.when"),
        &approval.grant.when,
        Effect::Allow,
    ));
    found
}

/// Subjects whose claim paths cannot be read; emptiness is told by the consistency check.
pub(super) fn subject_mistakes(object: &ObjectId, spec: &AccessPolicySpec) -> Vec<Mistake> {
    subject_list(object, "spec.subjects", &spec.subjects)
}

fn subject_list(object: &ObjectId, path: &str, subjects: &[Subject]) -> Vec<Mistake> {
    let mut found = Vec::new();
    for (index, subject) in subjects.iter().enumerate() {
        let part = format!("{path}[{index}]");
        if subject.is_empty() {
            found.push(Mistake::new(
                object,
                &part,
                "at least one of users, groups, serviceAccounts, claims and issuer",
                "",
            ));
        }
        if let Err(error) = ActiveSubject::new(subject) {
            found.push(Mistake::new(
                object,
                &format!("{part}.claims"),
                "a claim such as `department` or `realm_access.roles`",
                error.to_string(),
            ));
        }
    }
    found
}

pub(super) fn validity_mistakes(object: &ObjectId, spec: &AccessPolicySpec) -> Vec<Mistake> {
    let Some(Err(error)) = spec.validity.as_ref().map(ActiveValidity::new) else {
        return Vec::new();
    };
    let path = format!("spec.validity.windows[{}].timeZone", error.window);
    vec![Mistake::new(
        object,
        &path,
        "a time zone such as `Europe/London`",
        format!("`{}`", error.zone),
    )]
}
