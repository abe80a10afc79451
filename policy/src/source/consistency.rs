//! What a schema says only with CEL: how fields of one section agree.
//!
//! The API server evaluates the rules in the schemas; files are judged here, with the same words. Each sentence is
//! written once, and a test in `crds` shows for every rule of the schemas that this module refuses the same.

use super::access::AccessRequestSpec;
use super::authentication::{Authentication, TokenIssuer};
use super::gateway::{GatewaySpec, Server, Transport};
use super::guardrail::GuardrailSpec;
use super::policy::{AccessPolicySpec, PolicyTest, Subject, Validity};
use super::rule::{Condition, Effect, GrantScope, GrantSpec, Operator, Rule};
use super::selector::{LabelOperator, LabelSelector};

pub const KEYS_ONCE: &str = "expected jwksUri or jwks, not both";
pub const ANONYMOUS_SAID: &str = "expected dangerouslyAllow: true, or no such section";
pub const STDIO_COMMAND: &str =
    "expected a command with transport Stdio, and with no other transport";
pub const PORT_OR_SOCKET: &str = "expected port or socketPath, not both";
pub const ONE_TARGET: &str = "expected exactly one of header and env";
pub const ONE_ORIGIN: &str = "expected exactly one of secretKeyRef and platformSecretRef";
pub const HOST_OR_CIDR: &str = "expected exactly one of host and cidr";
pub const LABEL_VALUES: &str =
    "expected values with In and NotIn, and none with Exists and DoesNotExist";
pub const PROTECTED_LABELS: &str = "expected only kubernetes.io/metadata.name and sallyport.dev/* labels: others can be changed by the namespace's own editors";
pub const NO_ALLOW: &str = "expected Deny or RequireApproval: a guardrail only narrows";
pub const SOME_SUBJECT: &str =
    "expected at least one of users, groups, serviceAccounts, claims and issuer";
pub const BEFORE_AFTER: &str = "expected notBefore to be earlier than notAfter";
pub const WINDOW_LENGTH: &str = "expected from and to to differ; a whole day needs no window";
pub const ONE_CALL: &str = "expected exactly one of tool, prompt, resource and method";
pub const SOME_TARGET: &str = "expected at least one of tools, resources, prompts and methods";
pub const APPROVAL_GIVEN: &str =
    "expected approval with effect RequireApproval, and with no other effect";
pub const SCOPES_ALLOW: &str = "expected scopes only with effect Allow";
pub const HEADER_NEVER_ALLOWS: &str =
    "expected no header condition with effect Allow: a header proves nothing";
pub const ONE_OPERAND: &str =
    "expected exactly one of argument, principal, source, tool and header";
pub const OPERATOR_VALUES: &str =
    "expected no values with Exists and DoesNotExist, and at least one with every other operator";
pub const TOOL_GRANT: &str = "expected maxUses and when only with scope Tool: a call runs once";
pub const ANY_CLIENT_TOOL: &str = "expected anyClient only with scope Tool, and no client with it";
pub const IMMUTABLE_REQUEST: &str = "expected no change: a request is immutable; open another one";
pub const IMMUTABLE_REVIEW: &str = "expected no change: a review is immutable; write another one";

/// A section whose fields do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Where, such as `spec.rules[2].when[0]`.
    pub path: String,
    /// One of the sentences of this module.
    pub message: &'static str,
}

/// Collects disagreements under a path.
#[derive(Debug, Default)]
struct Findings(Vec<Disagreement>);

impl Findings {
    fn demand(&mut self, holds: bool, path: &str, message: &'static str) {
        if !holds {
            self.0.push(Disagreement {
                path: path.to_owned(),
                message,
            });
        }
    }
}

#[must_use]
pub fn of_gateway(spec: &GatewaySpec) -> Vec<Disagreement> {
    let mut found = Findings::default();
    if let Some(selector) = &spec.selector {
        selector_agrees(selector, "spec.selector", &mut found);
    }
    server_agrees(&spec.server, &mut found);
    authentication_agrees(&spec.authentication, &mut found);
    for (index, credential) in spec.credentials.iter().enumerate() {
        let path = format!("spec.credentials[{index}]");
        found.demand(credential.target().is_some(), &path, ONE_TARGET);
        found.demand(credential.origin().is_some(), &path, ONE_ORIGIN);
    }
    for (index, destination) in spec.egress.allow.iter().enumerate() {
        let one = destination.host.is_some() != destination.cidr.is_some();
        found.demand(one, &format!("spec.egress.allow[{index}]"), HOST_OR_CIDR);
    }
    found.0
}

#[must_use]
pub fn of_policy(spec: &AccessPolicySpec) -> Vec<Disagreement> {
    let mut found = Findings::default();
    subjects_agree(&spec.subjects, "spec.subjects", &mut found);
    if let Some(validity) = &spec.validity {
        validity_agrees(validity, &mut found);
    }
    for (index, rule) in spec.rules.iter().enumerate() {
        rule_agrees(rule, &format!("spec.rules[{index}]"), &mut found);
    }
    for (index, test) in spec.tests.iter().enumerate() {
        let path = format!("spec.tests[{index}].call");
        found.demand(calls_one_thing(test), &path, ONE_CALL);
    }
    found.0
}

#[must_use]
pub fn of_guardrail(spec: &GuardrailSpec) -> Vec<Disagreement> {
    let mut found = Findings::default();
    if let Some(selector) = &spec.namespace_selector {
        let path = "spec.namespaceSelector";
        let protected =
            |key: &str| key == "kubernetes.io/metadata.name" || key.starts_with("sallyport.dev/");
        found.demand(selector.keys().all(protected), path, PROTECTED_LABELS);
        selector_agrees(selector, path, &mut found);
    }
    for (index, rule) in spec.rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        found.demand(rule.effect != Effect::Allow, &path, NO_ALLOW);
        rule_agrees(rule, &path, &mut found);
    }
    for (index, issuer) in spec.defaults.issuers.iter().enumerate() {
        issuer_agrees(
            issuer,
            &format!("spec.defaults.issuers[{index}]"),
            &mut found,
        );
    }
    found.0
}

#[must_use]
pub fn of_request(spec: &AccessRequestSpec) -> Vec<Disagreement> {
    let mut found = Findings::default();
    let for_tool = spec.grant.scope == Some(GrantScope::Tool) && spec.client.is_none();
    found.demand(!spec.any_client || for_tool, "spec", ANY_CLIENT_TOOL);
    grant_agrees(&spec.grant, "spec.grant", &mut found);
    for (index, rule) in spec.rules.iter().enumerate() {
        let path = format!("spec.rules[{index}].approvers");
        subjects_agree(&rule.approvers, &path, &mut found);
    }
    found.0
}

fn selector_agrees(selector: &LabelSelector, path: &str, found: &mut Findings) {
    for (index, part) in selector.match_expressions.iter().enumerate() {
        let takes_values = matches!(part.operator, LabelOperator::In | LabelOperator::NotIn);
        let agrees = takes_values != part.values.is_empty();
        found.demand(
            agrees,
            &format!("{path}.matchExpressions[{index}]"),
            LABEL_VALUES,
        );
    }
}

fn server_agrees(server: &Server, found: &mut Findings) {
    let stdio = server.transport == Some(Transport::Stdio);
    found.demand(
        stdio != server.command.is_empty(),
        "spec.server",
        STDIO_COMMAND,
    );
    let one = server.port.is_none() || server.socket_path.is_none();
    found.demand(one, "spec.server", PORT_OR_SOCKET);
}

fn authentication_agrees(authentication: &Authentication, found: &mut Findings) {
    for (index, issuer) in authentication.issuers.iter().enumerate() {
        let path = format!("spec.authentication.issuers[{index}]");
        issuer_agrees(issuer, &path, found);
    }
    if let Some(anonymous) = &authentication.anonymous {
        let path = "spec.authentication.anonymous";
        found.demand(anonymous.dangerously_allow, path, ANONYMOUS_SAID);
    }
}

fn issuer_agrees(issuer: &TokenIssuer, path: &str, found: &mut Findings) {
    let one = issuer.jwks_uri.is_none() || issuer.jwks.is_none();
    found.demand(one, path, KEYS_ONCE);
}

fn subjects_agree(subjects: &[Subject], path: &str, found: &mut Findings) {
    for (index, subject) in subjects.iter().enumerate() {
        found.demand(
            !subject.is_empty(),
            &format!("{path}[{index}]"),
            SOME_SUBJECT,
        );
    }
}

fn validity_agrees(validity: &Validity, found: &mut Findings) {
    if let (Some(before), Some(after)) = (validity.not_before, validity.not_after) {
        found.demand(before < after, "spec.validity", BEFORE_AFTER);
    }
    for (index, window) in validity.windows.iter().enumerate() {
        let path = format!("spec.validity.windows[{index}]");
        found.demand(window.from != window.to, &path, WINDOW_LENGTH);
    }
}

fn rule_agrees(rule: &Rule, path: &str, found: &mut Findings) {
    let targets = [&rule.tools, &rule.resources, &rule.prompts, &rule.methods];
    let some = targets.iter().any(|globs| !globs.is_empty());
    found.demand(some, path, SOME_TARGET);
    let holds = rule.effect == Effect::RequireApproval;
    found.demand(holds == rule.approval.is_some(), path, APPROVAL_GIVEN);
    let allows = rule.effect == Effect::Allow;
    found.demand(allows || rule.scopes.is_empty(), path, SCOPES_ALLOW);
    let by_header = rule.when.iter().any(|part| part.header.is_some());
    found.demand(!allows || !by_header, path, HEADER_NEVER_ALLOWS);
    conditions_agree(&rule.when, &format!("{path}.when"), found);
    if let Some(approval) = &rule.approval {
        subjects_agree(
            &approval.approvers,
            &format!("{path}.approval.approvers"),
            found,
        );
        grant_agrees(&approval.grant, &format!("{path}.approval.grant"), found);
    }
}

fn conditions_agree(conditions: &[Condition], path: &str, found: &mut Findings) {
    for (index, condition) in conditions.iter().enumerate() {
        let path = format!("{path}[{index}]");
        found.demand(condition.operand().is_some(), &path, ONE_OPERAND);
        let bare = matches!(
            condition.operator,
            Operator::Exists | Operator::DoesNotExist
        );
        found.demand(bare == condition.values.is_empty(), &path, OPERATOR_VALUES);
    }
}

fn grant_agrees(grant: &GrantSpec, path: &str, found: &mut Findings) {
    let for_tool = grant.scope == Some(GrantScope::Tool);
    let plain = grant.max_uses.is_none() && grant.when.is_empty();
    found.demand(for_tool || plain, path, TOOL_GRANT);
    conditions_agree(&grant.when, &format!("{path}.when"), found);
}

fn calls_one_thing(test: &PolicyTest) -> bool {
    let call = &test.call;
    let given = [&call.tool, &call.prompt, &call.resource, &call.method];
    given.iter().filter(|name| name.is_some()).count() == 1
}
