//! The definitions on a real API server: it takes them, takes what the documents show, and refuses what they refuse.

use anyhow::Result;
use serde_json::json;

use crate::bed::Bed;
use crate::stage::Stage;

const DEFINITIONS: [&str; 5] = [
    include_str!("../../../crds/mcpgateways.yaml"),
    include_str!("../../../crds/mcpaccesspolicies.yaml"),
    include_str!("../../../crds/mcpguardrails.yaml"),
    include_str!("../../../crds/mcpaccessrequests.yaml"),
    include_str!("../../../crds/mcpaccessreviews.yaml"),
];

/// Objects in full, as the documents and the quick start show them.
const SHOWN: [(&str, &str); 6] = [
    (
        "a gateway",
        include_str!("../../../crds/tests/examples/gateway.yaml"),
    ),
    (
        "a policy",
        include_str!("../../../crds/tests/examples/policy.yaml"),
    ),
    (
        "a guardrail",
        include_str!("../../../crds/tests/examples/guardrail.yaml"),
    ),
    (
        "a request and a review",
        include_str!("../../../crds/tests/examples/approvals.yaml"),
    ),
    (
        "the quick start's gateways",
        include_str!("../../../examples/quickstart/gateway.yaml"),
    ),
    (
        "the quick start's policies",
        include_str!("../../../examples/quickstart/policies.yaml"),
    ),
];

/// Fields of a policy's spec, and whether the API server takes them without any webhook of ours.
const SPECS: [(&str, &str, bool); 9] = [
    (
        "a claim of several types",
        "subjects: [{ claims: { level: [1, true, a] } }]",
        true,
    ),
    ("a subject who is nobody", "subjects: [{}]", false),
    (
        "values of several types",
        "rules: [{ name: a, effect: Deny, tools: [a], when: [{ argument: $.a, operator: In, values: [1.5, true, a] }] }]",
        true,
    ),
    (
        "an operator without its values",
        "rules: [{ name: a, effect: Deny, tools: [a], when: [{ argument: $.a, operator: In }] }]",
        false,
    ),
    (
        "an operator with values that it cannot use",
        "rules: [{ name: a, effect: Deny, tools: [a], when: [{ argument: $.a, operator: Exists, values: [1] }] }]",
        false,
    ),
    (
        "a condition with two operands",
        "rules: [{ name: a, effect: Deny, tools: [a], when: [{ argument: $.a, principal: b, operator: Exists }] }]",
        false,
    ),
    (
        "a header in Allow",
        "rules: [{ name: a, effect: Allow, tools: [a], when: [{ header: x, operator: Exists }] }]",
        false,
    ),
    (
        "an approval that nobody can give",
        "rules: [{ name: a, effect: RequireApproval, tools: [a] }]",
        false,
    ),
    (
        "a rule about nothing",
        "rules: [{ name: a, effect: Deny }]",
        false,
    ),
];

pub(super) fn run(stage: &mut Stage, bed: &Bed) -> Result<()> {
    let namespace = bed.namespace("shop")?;
    let kubectl = &namespace.kubectl;
    for definition in DEFINITIONS {
        kubectl.good(
            &["apply", "--server-side", "--force-conflicts", "-f", "-"],
            definition,
        )?;
    }
    let all = ["crd", "--all"];
    kubectl.wait(
        "condition=Established",
        &all,
        std::time::Duration::from_secs(30),
    )?;
    stage.check("the API server takes all five definitions", true);
    let dry = ["apply", "--dry-run=server", "-f", "-"];
    for (name, text) in SHOWN {
        let said = kubectl.ask(&dry, text)?;
        stage.check_in(&format!("it takes {name}"), said.good, &json!(said.stderr));
    }
    for (name, spec, taken) in SPECS {
        let text = format!(
            "apiVersion: sallyport.dev/v1alpha1\nkind: McpAccessPolicy\nmetadata: {{ name: tried }}\nspec: {{ targetRefs: [{{ kind: McpGateway, name: a }}], {spec} }}\n"
        );
        let said = kubectl.ask(&dry, &text)?;
        let verb = if taken { "takes" } else { "refuses" };
        // Refused by the definition, and not because nobody could be asked.
        let as_said = said.good == taken && (taken || said.stderr.contains("is invalid"));
        stage.check_in(&format!("it {verb} {name}"), as_said, &json!(said.stderr));
    }
    Ok(())
}
