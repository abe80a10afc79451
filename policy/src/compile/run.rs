//! The tests that policies carry: each policy alone, enforced, at a time at which it is valid.

use super::call::{OwnedCall, TestFacts};
use super::{ObjectId, policy_content};
use crate::bundle::{ActiveValidity, Bundle, BundleContent, FORMAT, ObjectContent, Settings};
use crate::decide::{Budgets, Decision, DenyReason, Explanation, Verdict};
use crate::name::{GatewayName, Issuer, RuleId};
use crate::source::policy::{AccessPolicySpec, PolicyTest, TestCaller};
use crate::source::settings::Enforcement;
use crate::source::{Effect, GatewaySpec, Named, Sources};
use crate::time::UnixMillis;

/// Callers of a gateway without issuers come from here.
const TEST_ISSUER: &str = "urn:sallyport:policy-test";
/// Monday 2026-01-05 00:00 UTC: where the search for a valid time starts if the policy names no date.
const SOME_MONDAY: UnixMillis = UnixMillis(1_767_571_200_000);
const WEEK: i64 = 7 * 24 * 3_600_000;

/// How one test of one policy came out.
#[derive(Clone, Debug, PartialEq)]
pub struct TestResult {
    pub policy: ObjectId,
    /// Such as `spec.tests[0]`.
    pub path: String,
    pub name: String,
    pub expected: Effect,
    pub expected_rule: Option<String>,
    /// None where the test could not be run; `problem` says why.
    pub found: Option<Verdict>,
    pub rule: Option<RuleId>,
    pub reason: Option<DenyReason>,
    pub explanation: Explanation,
    pub problem: Option<String>,
}

impl TestResult {
    #[must_use]
    pub fn passed(&self) -> bool {
        let verdict = match self.expected {
            Effect::Allow => Verdict::Allow,
            Effect::RequireApproval => Verdict::Hold,
            Effect::Deny => Verdict::Deny,
        };
        let rule = self.rule.as_ref().map(|rule| &rule.rule);
        let by_rule = self.expected_rule.is_none() || self.expected_rule.as_ref() == rule;
        self.problem.is_none() && self.found == Some(verdict) && by_rule
    }
}

/// Runs the tests of every policy, in the order of the sources.
#[must_use]
pub fn run_tests(sources: &Sources) -> Vec<TestResult> {
    sources
        .policies
        .iter()
        .flat_map(|policy| run_policy(sources, policy))
        .collect()
}

fn run_policy(sources: &Sources, policy: &Named<AccessPolicySpec>) -> Vec<TestResult> {
    let object = ObjectId::policy(&policy.namespace, &policy.name);
    let bundle = alone(sources, policy, &object);
    let tests = policy.spec.tests.iter().enumerate();
    tests
        .map(|(index, test)| {
            let mut result = TestResult {
                policy: object.clone(),
                path: format!("spec.tests[{index}]"),
                name: test.name.clone(),
                expected: test.expect,
                expected_rule: test.rule.clone(),
                found: None,
                rule: None,
                reason: None,
                explanation: Explanation::default(),
                problem: None,
            };
            match &bundle {
                Ok(bundle) => run_one(bundle, &policy.spec, test, &mut result),
                Err(problem) => result.problem = Some(problem.clone()),
            }
            result
        })
        .collect()
}

/// The policy in a bundle of its own; its gateway matters only for what an issuer means.
fn alone(
    sources: &Sources,
    policy: &Named<AccessPolicySpec>,
    object: &ObjectId,
) -> Result<Bundle, String> {
    let gateway = GatewayName {
        namespace: policy.namespace.clone(),
        name: policy
            .spec
            .target_refs
            .first()
            .map(|target| target.name.clone())
            .unwrap_or_default(),
    };
    let (content, mistakes) = policy_content(object, policy);
    if let Some(mistake) = mistakes.first() {
        return Err(format!("the policy does not compile: {mistake}"));
    }
    let spec = GatewaySpec {
        authentication: sources
            .gateway(&gateway)
            .map(|named| named.spec.authentication.clone())
            .unwrap_or_default(),
        ..GatewaySpec::default()
    };
    let content = BundleContent {
        format: FORMAT,
        gateway,
        refusal: None,
        settings: Settings::of(&spec),
        objects: vec![ObjectContent {
            enforcement: Enforcement::Enforce,
            ..content
        }],
    };
    let bundle = Bundle::activate(content).map_err(|error| error.to_string())?;
    Ok(bundle.with_standalone_issuer(Issuer::new(TEST_ISSUER)))
}

fn run_one(bundle: &Bundle, spec: &AccessPolicySpec, test: &PolicyTest, result: &mut TestResult) {
    let call = match OwnedCall::read(&test.call) {
        Ok(Some(call)) => call,
        Ok(None) => {
            result.problem =
                Some("expected exactly one of tool, prompt, resource and method".to_owned());
            return;
        }
        Err(error) => {
            result.problem = Some(format!("the arguments would be refused: {error}"));
            return;
        }
    };
    let Some(now) = test
        .at
        .map(|stamp| stamp.get())
        .or_else(|| valid_time(spec))
    else {
        result.problem = Some("the policy is valid at no time; say `at`".to_owned());
        return;
    };
    let first = bundle.issuers().first.clone();
    let issuer = first.unwrap_or_else(|| Issuer::new(TEST_ISSUER));
    let scopes: Vec<_> = spec
        .rules
        .iter()
        .flat_map(|rule| rule.scopes.iter().cloned())
        .collect();
    let facts = TestFacts::read(&caller_of(test, spec), &issuer, &scopes);
    let decision = facts.with(&call, now, |operation, facts| {
        bundle.decide(operation, facts, &mut Budgets::new())
    });
    result.found = Some(decision.verdict());
    result.rule = decision.rule().cloned();
    result.explanation = decision.explanation().clone();
    result.reason = match decision {
        Decision::Deny(denial, _) => Some(denial.reason),
        Decision::Allow(..) | Decision::Hold(..) => None,
    };
}

/// The caller of a test. Who names no agent means one that the policy's `clients` let in: the test is about the rules.
fn caller_of(test: &PolicyTest, spec: &AccessPolicySpec) -> TestCaller {
    let mut caller = test.caller.clone();
    if caller.client.is_none() {
        caller.client = spec.clients.first().map(|glob| glob.replace('*', "x"));
    }
    caller
}

/// The first valid time at or after the policy's first date, or in the week before its last.
fn valid_time(spec: &AccessPolicySpec) -> Option<UnixMillis> {
    let Some(written) = &spec.validity else {
        return Some(SOME_MONDAY);
    };
    let validity = ActiveValidity::new(written).ok()?;
    let before_end = written
        .not_after
        .map(|end| UnixMillis(end.get().0.saturating_sub(WEEK)));
    let start = written
        .not_before
        .map(|start| start.get())
        .or(before_end)
        .unwrap_or(SOME_MONDAY);
    let edges = std::iter::successors(Some(start), |now| validity.next_edge(*now));
    // A week of windows has at most so many edges.
    edges.take(1024).find(|now| validity.holds(*now))
}
