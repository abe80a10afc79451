//! Objects of our kinds, judged alone: admission of one never depends on another, so any order of apply converges.
//!
//! One parser and one compiler: what is refused here is what `sallyport policy check` tells of the same file.

use std::time::{Duration, Instant};

use sallyport_crds::yaml::{self, Input};
use sallyport_policy::compile::{self, Mistake, TestResult, run_tests};
use sallyport_policy::source::policy::AccessPolicySpec;
use sallyport_policy::source::{GatewaySpec, Named, Sources};
use serde_json::Value;

use super::review::{Review, Verdict};

/// How long the tests of one policy may take before the rest is left to the controller.
const TESTS: Duration = Duration::from_millis(500);
/// Most mistakes that one answer tells.
const TOLD: usize = 16;

pub(super) fn validate(review: &Review) -> Verdict {
    let (object, old) = (review.object(), review.old_object());
    let unchanged = review.operation() == "UPDATE" && object.get("spec") == old.get("spec");
    let going = object
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|time| !time.is_null());
    // A finalizer must be removable from what no longer compiles, and a status written.
    if !matches!(review.operation(), "CREATE" | "UPDATE")
        || !review.subresource().is_empty()
        || unchanged
        || going
    {
        return Verdict::allow();
    }
    if kind(object) == Some("McpAccessReview")
        && let Some(foreign) = foreign_word(review)
    {
        return foreign;
    }
    let input = Input::Text {
        name: kind(object).unwrap_or("object").to_owned(),
        text: bare(object).to_string(),
    };
    match yaml::load(&[input]) {
        Ok(loaded) => judge(&loaded.sources),
        Err(mistakes) => wrong(mistakes.into_iter().map(|mistake| yaml::Mistake {
            place: None,
            object: None,
            ..mistake
        })),
    }
}

/// What is only the API server's own, and may be long.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

/// Nobody speaks in another's name. The rest of a review is judged where it is counted.
fn foreign_word(review: &Review) -> Option<Verdict> {
    let by = review
        .object()
        .pointer("/spec/by/username")
        .and_then(Value::as_str);
    (by != Some(review.username())).then(|| Verdict::Deny {
        reason: "ForeignStamp",
        message: format!(
            "sallyport: `spec.by.username` must be `{}`, who makes this review; leave `by` to `kubectl sallyport approve`",
            review.username()
        ),
    })
}

fn judge(sources: &Sources) -> Verdict {
    let (mut mistakes, mut warnings) = (Vec::new(), Vec::new());
    for gateway in &sources.gateways {
        compiled(sources, gateway, "McpGateway", &mut mistakes, &mut warnings);
    }
    for policy in &sources.policies {
        let (with, gateway) = beside_default(policy);
        compiled(
            &with,
            &gateway,
            "McpAccessPolicy",
            &mut mistakes,
            &mut warnings,
        );
        tested(&with, &mut mistakes, &mut warnings);
    }
    for guardrail in &sources.guardrails {
        // It is compiled over a gateway of defaults: what it demands of gateways is no mistake of its own.
        let mut alone = guardrail.clone();
        alone.spec.namespace_selector = None;
        let gateway = defaults("default", "any");
        let with = Sources {
            gateways: vec![gateway.clone()],
            guardrails: vec![alone],
            ..Sources::default()
        };
        compiled(
            &with,
            &gateway,
            "McpGuardrail",
            &mut mistakes,
            &mut warnings,
        );
    }
    if mistakes.is_empty() {
        let warnings = warnings.iter().map(told).collect();
        return Verdict::Allow { warnings };
    }
    wrong(mistakes.iter().map(told))
}

/// The policy with one gateway that says nothing: the first that it names.
fn beside_default(policy: &Named<AccessPolicySpec>) -> (Sources, Named<GatewaySpec>) {
    let mut policy = policy.clone();
    policy.spec.target_refs.truncate(1);
    let name = policy
        .spec
        .target_refs
        .first()
        .map(|target| target.name.clone());
    let gateway = defaults(&policy.namespace, &name.unwrap_or_default());
    let sources = Sources {
        gateways: vec![gateway.clone()],
        policies: vec![policy],
        ..Sources::default()
    };
    (sources, gateway)
}

fn defaults(namespace: &str, name: &str) -> Named<GatewaySpec> {
    Named {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        spec: GatewaySpec::default(),
    }
}

/// Adds what the compiler says about objects of one kind; what it says about the gateway of defaults is nobody's fault.
fn compiled(
    sources: &Sources,
    gateway: &Named<GatewaySpec>,
    kind: &str,
    mistakes: &mut Vec<Mistake>,
    warnings: &mut Vec<Mistake>,
) {
    let of_kind = |mistake: &Mistake| mistake.object.kind == kind;
    match compile::compile_stored(sources, &gateway.gateway_name()) {
        Ok(compiled) => {
            mistakes.extend(compiled.mistakes.into_iter().filter(of_kind));
            warnings.extend(compiled.warnings.into_iter().filter(of_kind));
        }
        Err(told) => mistakes.extend(told.into_iter().filter(of_kind)),
    }
}

/// Runs the policy's tests one by one, while there is time.
fn tested(sources: &Sources, mistakes: &mut Vec<Mistake>, warnings: &mut Vec<Mistake>) {
    let began = Instant::now();
    for policy in &sources.policies {
        for index in 0..policy.spec.tests.len() {
            if began.elapsed() > TESTS {
                let rest = policy.spec.tests.len() - index;
                let object = compile::ObjectId::policy(&policy.namespace, &policy.name);
                let text = format!(
                    "{rest} that were not run now; the condition `TestsPassed` tells of them"
                );
                warnings.push(Mistake::new(
                    &object,
                    "spec.tests",
                    "tests that are done sooner",
                    text,
                ));
                return;
            }
            // One at a time, under its own number: the first tests are those that a long list is judged by.
            let mut alone = sources.clone();
            for copy in &mut alone.policies {
                copy.spec.tests = copy.spec.tests.drain(..).skip(index).take(1).collect();
            }
            let failed = run_tests(&alone)
                .into_iter()
                .filter(|result| !result.passed());
            mistakes.extend(failed.map(|result| failure(&result, index)));
        }
    }
}

fn failure(result: &TestResult, index: usize) -> Mistake {
    let found = match (&result.problem, &result.found) {
        (Some(problem), _) => problem.clone(),
        (None, Some(found)) => {
            let rule = result
                .rule
                .as_ref()
                .map(|rule| format!(" by `{}`", rule.rule));
            format!("{found:?}{}", rule.unwrap_or_default())
        }
        (None, None) => "no verdict".to_owned(),
    };
    let expected = format!(
        "test `{}` to come out as {:?}",
        result.name, result.expected
    );
    Mistake::new(
        &result.policy,
        &format!("spec.tests[{index}]"),
        expected,
        found,
    )
}

fn kind(object: &Value) -> Option<&str> {
    object.get("kind")?.as_str()
}

/// Without the object's name, which the person who applies it sees anyway.
fn told(mistake: &Mistake) -> String {
    let whole = mistake.to_string();
    let name = format!("{}: ", mistake.object);
    whole
        .strip_prefix(&name)
        .map_or(whole.clone(), str::to_owned)
}

fn wrong(mistakes: impl Iterator<Item = impl ToString>) -> Verdict {
    let all: Vec<String> = mistakes.map(|mistake| mistake.to_string()).collect();
    let more = all.len().saturating_sub(TOLD);
    let mut message = all.into_iter().take(TOLD).collect::<Vec<_>>().join("; ");
    if more > 0 {
        message.push_str(&format!("; and {more} more"));
    }
    Verdict::Deny {
        reason: "Invalid",
        message: format!("sallyport: {message}"),
    }
}
