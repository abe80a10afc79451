//! The definitions on a real API server: it takes them, takes what the documents show, and refuses what they refuse.

use std::time::Duration;

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

const ESTABLISHED: Duration = Duration::from_secs(30);

pub(super) fn run(stage: &mut Stage, bed: &Bed) -> Result<()> {
    let namespace = bed.namespace("shop")?;
    let kubectl = &namespace.kubectl;
    let dry = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "-f",
        "-",
    ];
    for definition in DEFINITIONS {
        kubectl.good(&dry, definition)?;
    }
    stage.check("the API server takes all five definitions", true);
    // A chart that is installed owns its definitions; only without one they are put there from here.
    if !kubectl
        .ask(&["get", "crd", "mcpgateways.sallyport.dev"], "")?
        .good
    {
        for definition in DEFINITIONS {
            kubectl.good(&["apply", "--server-side", "-f", "-"], definition)?;
        }
        kubectl.wait("condition=Established", &["crd", "--all"], ESTABLISHED)?;
    }
    let dry = ["apply", "--dry-run=server", "-f", "-"];
    for (name, text) in SHOWN {
        let said = kubectl.ask(&dry, text)?;
        let taken = said.good || for_its_author_alone(&said.stderr);
        stage.check_in(&format!("it takes {name}"), taken, &json!(said.stderr));
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

/// Requests and reviews have the right form, but where Sallyport is installed not everybody may write them.
fn for_its_author_alone(complaint: &str) -> bool {
    let mut lines = complaint
        .lines()
        .filter(|line| line.starts_with("Error"))
        .peekable();
    lines.peek().is_some() && lines.all(|line| line.contains("denied request: sallyport: "))
}
