//! Every CEL rule of the schemas has its like in the reader of files, with the same sentence.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::collections::BTreeSet;

use sallyport_crds::generate;
use sallyport_crds::yaml::{Input, load};
use sallyport_policy::source::consistency as says;
use serde_json::Value;

/// A spec that breaks one rule, and the sentence that must come out.
const BROKEN: &[(&str, &str, &str)] = &[
    (
        says::KEYS_ONCE,
        "McpGateway",
        "{ authentication: { issuers: [{ issuer: a, jwksUri: 'https://a', jwks: {} }] } }",
    ),
    (
        says::ANONYMOUS_SAID,
        "McpGateway",
        "{ authentication: { anonymous: { dangerouslyAllow: false, user: guest } } }",
    ),
    (
        says::STDIO_COMMAND,
        "McpGateway",
        "{ server: { transport: Stdio } }",
    ),
    (
        says::STDIO_COMMAND,
        "McpGateway",
        "{ server: { command: [x] } }",
    ),
    (
        says::PORT_OR_SOCKET,
        "McpGateway",
        "{ server: { port: 1, socketPath: /run/x } }",
    ),
    (
        says::ONE_TARGET,
        "McpGateway",
        "{ credentials: [{ header: A, env: B, secretKeyRef: { name: a, key: b } }] }",
    ),
    (
        says::ONE_TARGET,
        "McpGateway",
        "{ credentials: [{ secretKeyRef: { name: a, key: b } }] }",
    ),
    (
        says::ONE_ORIGIN,
        "McpGateway",
        "{ credentials: [{ header: A }] }",
    ),
    (
        says::HOST_OR_CIDR,
        "McpGateway",
        "{ egress: { allow: [{}] } }",
    ),
    (
        says::LABEL_VALUES,
        "McpGateway",
        "{ selector: { matchExpressions: [{ key: a, operator: In }] } }",
    ),
    (
        says::LABEL_VALUES,
        "McpGateway",
        "{ selector: { matchExpressions: [{ key: a, operator: Exists, values: [b] }] } }",
    ),
    (
        says::PROTECTED_LABELS,
        "McpGuardrail",
        "{ namespaceSelector: { matchLabels: { team: a } } }",
    ),
    (
        says::PROTECTED_LABELS,
        "McpGuardrail",
        "{ namespaceSelector: { matchExpressions: [{ key: team, operator: Exists }] } }",
    ),
    (
        says::NO_ALLOW,
        "McpGuardrail",
        "{ rules: [{ name: a, effect: Allow, tools: [a] }] }",
    ),
    (says::SOME_SUBJECT, "McpAccessPolicy", "{ subjects: [{}] }"),
    (
        says::BEFORE_AFTER,
        "McpAccessPolicy",
        "{ validity: { notBefore: 2027-01-01T00:00:00Z, notAfter: 2026-01-01T00:00:00Z } }",
    ),
    (
        says::WINDOW_LENGTH,
        "McpAccessPolicy",
        "{ validity: { windows: [{ from: '07:00', to: '07:00' }] } }",
    ),
    (
        says::ONE_CALL,
        "McpAccessPolicy",
        "{ tests: [{ name: a, call: {}, expect: Deny }] }",
    ),
    (
        says::ONE_CALL,
        "McpAccessPolicy",
        "{ tests: [{ name: a, call: { tool: a, prompt: b }, expect: Deny }] }",
    ),
    (
        says::SOME_TARGET,
        "McpAccessPolicy",
        "{ rules: [{ name: a, effect: Allow }] }",
    ),
    (
        says::APPROVAL_GIVEN,
        "McpAccessPolicy",
        "{ rules: [{ name: a, effect: RequireApproval, tools: [a] }] }",
    ),
    (
        says::APPROVAL_GIVEN,
        "McpAccessPolicy",
        "{ rules: [{ name: a, effect: Deny, tools: [a], approval: { approvers: [{ groups: [g] }] } }] }",
    ),
    (
        says::SCOPES_ALLOW,
        "McpAccessPolicy",
        "{ rules: [{ name: a, effect: Deny, tools: [a], scopes: [s] }] }",
    ),
    (
        says::HEADER_NEVER_ALLOWS,
        "McpAccessPolicy",
        "{ rules: [{ name: a, effect: Allow, tools: [a], when: [{ header: X-A, operator: Exists }] }] }",
    ),
    (
        says::ONE_OPERAND,
        "McpAccessPolicy",
        "{ rules: [{ name: a, effect: Deny, tools: [a], when: [{ operator: Exists }] }] }",
    ),
    (
        says::ONE_OPERAND,
        "McpAccessPolicy",
        "{ rules: [{ name: a, effect: Deny, tools: [a], when: [{ argument: $.a, header: b, operator: Exists }] }] }",
    ),
    (
        says::OPERATOR_VALUES,
        "McpAccessPolicy",
        "{ rules: [{ name: a, effect: Deny, tools: [a], when: [{ argument: $.a, operator: Equals }] }] }",
    ),
    (
        says::OPERATOR_VALUES,
        "McpAccessPolicy",
        "{ rules: [{ name: a, effect: Deny, tools: [a], when: [{ argument: $.a, operator: Exists, values: [1] }] }] }",
    ),
    (
        says::TOOL_GRANT,
        "McpAccessPolicy",
        "{ rules: [{ name: a, effect: RequireApproval, tools: [a], approval: { approvers: [{ groups: [g] }], grant: { maxUses: 3 } } }] }",
    ),
];

/// Rules about kinds that are not read from files.
const NOT_IN_FILES: [&str; 3] = [
    says::ANY_CLIENT_TOOL,
    says::IMMUTABLE_REQUEST,
    says::IMMUTABLE_REVIEW,
];

#[test]
fn files_are_refused_for_what_cel_refuses_and_with_its_words() {
    for (sentence, kind, spec) in BROKEN {
        let spec = match *kind {
            "McpAccessPolicy" => {
                spec.replacen('{', "{ targetRefs: [{ kind: McpGateway, name: a }],", 1)
            }
            _ => (*spec).to_owned(),
        };
        let text = format!(
            "apiVersion: sallyport.dev/v1alpha1\nkind: {kind}\nmetadata: {{ name: a }}\nspec: {spec}\n"
        );
        let name = "test.yaml".to_owned();
        let mistakes = load(&[Input::Text { name, text }]).unwrap_err();
        let told: Vec<String> = mistakes
            .iter()
            .map(|mistake| format!("expected {}", mistake.expected))
            .collect();
        assert_eq!(told, [*sentence], "{spec}");
    }
}

/// Said by the schema's own words, because CEL does not see the fields: a value there may be of several types.
const WITHOUT_CEL: [&str; 2] = [says::SOME_SUBJECT, says::OPERATOR_VALUES];

#[test]
fn every_cel_rule_is_in_the_table_above() {
    let mut sentences = BTreeSet::new();
    for text in generate::files().unwrap().values() {
        collect(&serde_yaml::from_str(text).unwrap(), &mut sentences);
    }
    let table = BROKEN
        .iter()
        .map(|(sentence, ..)| *sentence)
        .filter(|sentence| !WITHOUT_CEL.contains(sentence));
    let known: BTreeSet<String> = table.chain(NOT_IN_FILES).map(str::to_owned).collect();
    assert_eq!(sentences, known);
}

fn collect(value: &Value, sentences: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for rule in fields
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                sentences.insert(rule["message"].as_str().unwrap().to_owned());
            }
            fields.values().for_each(|field| collect(field, sentences));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, sentences)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
