//! What compiles and yet is probably not what its author meant.

use super::mistake::{Mistake, ObjectId};
use crate::bundle::ObjectContent;
use crate::condition::glob::{Glob, GlobKind};
use crate::name::RuleSource;
use crate::source::policy::AccessPolicySpec;
use crate::source::settings::Enforcement;
use crate::source::{Effect, GatewaySpec, Literal, Operator, Rule, Sources};

/// Methods that have targets of their own, so that `methods` of an Allow says nothing about them.
const OWN_TARGETS: [&str; 3] = ["tools/call", "prompts/get", "resources/read"];

pub(super) fn gateway(object: &ObjectId, spec: &GatewaySpec) -> Vec<Mistake> {
    let mut found = Vec::new();
    if spec.enforcement == Some(Enforcement::Observe) {
        found.push(
            Mistake::new(
                object,
                "spec.enforcement",
                "`Enforce`, once the policies are right",
                "`Observe`",
            )
            .with_hint("verdicts of policies are only recorded"),
        );
    }
    if spec.authentication.anonymous.is_some() {
        found.push(
            Mistake::new(
                object,
                "spec.authentication.anonymous",
                "callers with tokens",
                "anonymous callers",
            )
            .with_hint("whoever reaches the port is let in"),
        );
    }
    found
}

pub(super) fn policy(object: &ObjectId, spec: &AccessPolicySpec) -> Vec<Mistake> {
    let mut found = Vec::new();
    if spec.rules.is_empty() {
        found.push(Mistake::new(
            object,
            "spec.rules",
            "at least one rule",
            "none",
        ));
    }
    if spec.enforcement == Some(Enforcement::Observe) {
        found.push(
            Mistake::new(
                object,
                "spec.enforcement",
                "`Enforce`, once the policy is right",
                "`Observe`",
            )
            .with_hint("its verdicts are only recorded"),
        );
    }
    let grants = spec.rules.iter().any(|rule| rule.effect != Effect::Deny);
    if spec.subjects.is_empty() && grants {
        found.push(
            Mistake::new(
                object,
                "spec.subjects",
                "whom the rules are about",
                "nobody",
            )
            .with_hint(
                "without subjects every authenticated principal may do what the rules allow",
            ),
        );
    }
    for (index, rule) in spec.rules.iter().enumerate() {
        found.extend(suspicious_rule(
            object,
            &format!("spec.rules[{index}]"),
            rule,
        ));
    }
    found
}

fn suspicious_rule(object: &ObjectId, path: &str, rule: &Rule) -> Vec<Mistake> {
    let mut found = Vec::new();
    if rule.effect != Effect::Allow {
        return found;
    }
    let says_more = |glob: &&String| {
        let glob = Glob::new(glob, GlobKind::Name);
        OWN_TARGETS.iter().any(|method| glob.matches(method))
    };
    if rule.methods.iter().any(|glob| says_more(&glob)) {
        found.push(Mistake::new(object, &format!("{path}.methods"), "tools, prompts or resources for what has targets of its own", "")
            .with_hint("`methods` of an Allow says nothing about tools/call, prompts/get and resources/read"));
    }
    for (index, part) in rule.when.iter().enumerate() {
        let loose = part.values.iter().find(|value| is_unanchored(value));
        if let (Operator::Matches, Some(Literal::Text(pattern))) = (part.operator, loose) {
            found.push(
                Mistake::new(
                    object,
                    &format!("{path}.when[{index}].values"),
                    "a pattern that begins with `^`",
                    format!("`{pattern}`"),
                )
                .with_hint("it allows whatever contains a match anywhere"),
            );
        }
    }
    found
}

fn is_unanchored(value: &Literal) -> bool {
    match value {
        Literal::Text(pattern) => {
            let flags = pattern
                .strip_prefix("(?")
                .and_then(|rest| rest.split_once(')'));
            let body = flags.map_or(pattern.as_str(), |(_, body)| body);
            !body.starts_with('^') && !body.starts_with("\\A")
        }
        Literal::Bool(_) | Literal::Number(_) => false,
    }
}

/// Rules that a Deny without conditions takes everything from.
pub(super) fn unreachable(namespace: &str, objects: &[ObjectContent]) -> Vec<Mistake> {
    let mut found = Vec::new();
    for object in objects
        .iter()
        .filter(|object| object.source == RuleSource::Policy)
    {
        for (index, content) in object.rules.iter().enumerate() {
            let rule = &content.rule;
            let taken = denies_over(objects, object).find(|(_, deny)| covers(deny, rule));
            if let (Effect::Allow | Effect::RequireApproval, Some((by, deny))) =
                (rule.effect, taken)
            {
                let id = ObjectId::policy(namespace, &object.name);
                found.push(
                    Mistake::new(
                        &id,
                        &format!("spec.rules[{index}]"),
                        "a rule that can take effect",
                        "",
                    )
                    .with_hint(format!("`{}` denies all of it", by.rule_id(deny))),
                );
            }
        }
    }
    found
}

/// Unconditional Deny rules that hold for everybody whom this object is about.
fn denies_over<'o>(
    objects: &'o [ObjectContent],
    object: &'o ObjectContent,
) -> impl Iterator<Item = (&'o ObjectContent, &'o Rule)> {
    let over = |other: &&ObjectContent| {
        let for_all =
            other.subjects.is_empty() && other.clients.is_empty() && other.validity.is_none();
        let same = other.source == object.source && other.name == object.name;
        same || (for_all && other.enforcement == Enforcement::Enforce)
    };
    objects.iter().filter(over).flat_map(|other| {
        let denies = other.rules.iter().map(|content| &content.rule);
        denies
            .filter(|rule| rule.effect == Effect::Deny && rule.when.is_empty())
            .map(move |rule| (other, rule))
    })
}

fn covers(deny: &Rule, rule: &Rule) -> bool {
    let all = |denied: &[String], globs: &[String], kind| {
        globs
            .iter()
            .all(|glob| denied.iter().any(|wide| glob_covers(wide, glob, kind)))
    };
    all(&deny.tools, &rule.tools, GlobKind::Name)
        && all(&deny.prompts, &rule.prompts, GlobKind::Name)
        && all(&deny.methods, &rule.methods, GlobKind::Name)
        && all(&deny.resources, &rule.resources, GlobKind::Path)
}

/// Whether every text that `glob` matches is surely matched by `wide`; may say no too often.
fn glob_covers(wide: &str, glob: &str, kind: GlobKind) -> bool {
    let wider = Glob::new(wide, kind);
    let narrow = Glob::new(glob, kind);
    match narrow.literal() {
        Some(name) => wider.matches(name),
        None => wide == glob || wider.covers_prefix(narrow.prefix()),
    }
}

/// Policies whose gateway is not there; no error, for objects may come in any order.
#[must_use]
pub fn orphans(sources: &Sources) -> Vec<Mistake> {
    let mut found = Vec::new();
    for policy in &sources.policies {
        for (index, target) in policy.spec.target_refs.iter().enumerate() {
            let there = |name: &str| {
                sources
                    .gateways
                    .iter()
                    .any(|gateway| gateway.namespace == policy.namespace && gateway.name == name)
            };
            if !there(&target.name) {
                let id = ObjectId::policy(&policy.namespace, &policy.name);
                let path = format!("spec.targetRefs[{index}].name");
                found.push(Mistake::new(
                    &id,
                    &path,
                    "a McpGateway of this namespace",
                    format!("`{}`", target.name),
                ));
            }
        }
    }
    found
}
