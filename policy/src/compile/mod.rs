//! Sources to bundle, or all their mistakes at once.
//!
//! The webhook, the controller, the command line and the tests compile by this one function. What it accepts,
//! activation accepts; what authors wrote is never dropped in silence. Stored objects that no longer compile keep
//! their effect against the caller (law 7).

pub mod call;
mod diff;
mod gateway;
mod guardrail;
mod lint;
mod masking;
mod mistake;
mod probe;
mod rules;
mod run;
#[cfg(test)]
mod tests;

pub use call::{OwnedCall, TestFacts};
pub use diff::{Difference, Found, diff};
pub use lint::orphans;
pub use mistake::{Mistake, ObjectId};
pub use probe::{Probe, boundary_probes};
pub use run::{TestResult, run_tests};

use crate::bundle::{BundleContent, FORMAT, ObjectContent, Settings};
use crate::decide::DenyReason;
use crate::name::{GatewayName, RuleSource};
use crate::source::consistency::Disagreement;
use crate::source::policy::AccessPolicySpec;
use crate::source::settings::Enforcement;
use crate::source::{GatewaySpec, GuardrailSpec, Named, Sources, consistency};

/// What came out of compiling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    pub content: BundleContent,
    /// Why the gateway is below a guardrail; then the content denies everything (law 6).
    pub below: Vec<Mistake>,
    /// What no longer compiles and how that is told in conditions; only from [`compile_stored`].
    pub mistakes: Vec<Mistake>,
    /// What compiles and looks wrong.
    pub warnings: Vec<Mistake>,
}

/// Compiles what is about to be accepted: any mistake in a concerned object refuses the whole.
pub fn compile(sources: &Sources, gateway: &GatewayName) -> Result<Compiled, Vec<Mistake>> {
    let mut compiled = compile_stored(sources, gateway)?;
    if compiled.mistakes.is_empty() {
        return Ok(compiled);
    }
    compiled.mistakes.sort();
    Err(compiled.mistakes)
}

/// Compiles what is already stored (law 7): what no longer compiles restricts everything and grants nothing. An
/// error only where there is no such gateway.
pub fn compile_stored(sources: &Sources, gateway: &GatewayName) -> Result<Compiled, Vec<Mistake>> {
    let object = ObjectId::gateway(&gateway.namespace, &gateway.name);
    let Some(named) = sources.gateway(gateway) else {
        return Err(vec![Mistake::new(
            &object,
            "metadata.name",
            "a McpGateway of this name",
            "none",
        )]);
    };
    let mut assembly = Assembly::new(named, object);
    assembly.add_guardrails(sources, gateway);
    assembly.add_policies(sources, gateway);
    Ok(assembly.finish(gateway))
}

/// What the output schemas of tools, by name, say about the masking in force on a gateway (law 27): warnings.
#[must_use]
pub fn unmaskable(
    sources: &Sources,
    gateway: &GatewayName,
    schemas: &[(String, serde_json::Value)],
) -> Vec<Mistake> {
    let object = ObjectId::gateway(&gateway.namespace, &gateway.name);
    let own = sources.gateway(gateway).into_iter();
    let own = own.map(|named| (object.clone(), &named.spec.masking));
    let policies = policies_of(sources, gateway).into_iter().map(|policy| {
        let object = ObjectId::policy(&policy.namespace, &policy.name);
        (object, &policy.spec.masking)
    });
    let floors = guardrails_of(sources, &gateway.namespace).into_iter();
    let floors = floors.map(|floor| (ObjectId::guardrail(&floor.name), &floor.spec.masking));
    own.chain(policies)
        .chain(floors)
        .flat_map(|(object, masking)| masking::unmaskable(&object, masking, schemas))
        .collect()
}

/// The guardrails over a namespace, by name.
fn guardrails_of<'s>(sources: &'s Sources, namespace: &str) -> Vec<&'s Named<GuardrailSpec>> {
    let labels = sources.labels_of(namespace);
    let selects = |guardrail: &&Named<GuardrailSpec>| {
        let selector = guardrail.spec.namespace_selector.as_ref();
        selector.is_none_or(|selector| selector.matches(&labels))
    };
    let mut found: Vec<_> = sources.guardrails.iter().filter(selects).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The policies attached to a gateway, by name.
fn policies_of<'s>(
    sources: &'s Sources,
    gateway: &GatewayName,
) -> Vec<&'s Named<AccessPolicySpec>> {
    let attached = |policy: &&Named<AccessPolicySpec>| {
        policy.namespace == gateway.namespace
            && policy
                .spec
                .target_refs
                .iter()
                .any(|target| target.name == gateway.name)
    };
    let mut found: Vec<_> = sources.policies.iter().filter(attached).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// A bundle while its parts are read.
struct Assembly<'s> {
    spec: &'s GatewaySpec,
    gateway: ObjectId,
    settings: Settings,
    objects: Vec<ObjectContent>,
    below: Vec<Mistake>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    /// The gateway's own spec does not compile, so nothing can be relied upon.
    gateway_broken: bool,
}

impl<'s> Assembly<'s> {
    fn new(named: &'s Named<GatewaySpec>, gateway: ObjectId) -> Self {
        let mistakes = gateway::mistakes(&gateway, &named.spec);
        let (masking, unreadable) = masking::readable(&named.spec.masking);
        let mut settings = Settings::of(&GatewaySpec {
            masking,
            ..named.spec.clone()
        });
        settings.unreadable_masking.add(unreadable);
        Self {
            spec: &named.spec,
            settings,
            objects: Vec::new(),
            below: Vec::new(),
            warnings: lint::gateway(&gateway, &named.spec),
            gateway_broken: !mistakes.is_empty(),
            mistakes,
            gateway,
        }
    }

    fn add_guardrails(&mut self, sources: &Sources, gateway: &GatewayName) {
        for guardrail in guardrails_of(sources, &gateway.namespace) {
            let object = ObjectId::guardrail(&guardrail.name);
            let spec = &guardrail.spec;
            let disagreements = consistency::of_guardrail(spec);
            let mut mistakes = masking::mistakes(&object, &spec.masking);
            mistakes.extend(gateway::budget_mistakes(&object, &spec.limits));
            mistakes.extend(gateway::floor_mistakes(&object, &spec.require));
            // A floor that cannot be read is no floor: nothing passes. Its rules hold by themselves (law 7).
            let elsewhere = disagreements
                .iter()
                .any(|d| !d.path.starts_with("spec.rules"));
            self.gateway_broken |= elsewhere || !mistakes.is_empty();
            let rules = rules::compile(&object, &spec.rules, &disagreements, &mut mistakes);
            tell(&object, &disagreements, &mut mistakes);
            self.objects.push(ObjectContent {
                source: RuleSource::Guardrail,
                name: guardrail.name.clone(),
                enforcement: Enforcement::Enforce,
                subjects: Vec::new(),
                clients: Vec::new(),
                validity: None,
                broken: false,
                rules,
            });
            self.mistakes.extend(mistakes);
            let narrowing = guardrail::Narrowing {
                spec: self.spec,
                gateway: &self.gateway,
                guardrail: &guardrail.name,
            };
            let (masking, unreadable) = masking::readable(&spec.masking);
            self.settings.unreadable_masking.add(unreadable);
            narrowing.apply(spec, &masking, &mut self.settings, &mut self.below);
        }
    }

    fn add_policies(&mut self, sources: &Sources, gateway: &GatewayName) {
        let floors = guardrails_of(sources, &gateway.namespace);
        for policy in policies_of(sources, gateway) {
            let object = ObjectId::policy(&policy.namespace, &policy.name);
            let (content, mistakes) = policy_content(&object, policy);
            self.objects.push(content);
            self.mistakes.extend(mistakes);
            let (masking, unreadable) = masking::readable(&policy.spec.masking);
            self.settings.add_masking(&masking);
            self.settings.unreadable_masking.add(unreadable);
            guardrail::check_policy(&floors, &object, &policy.spec, &mut self.below);
            self.warnings.extend(lint::policy(&object, &policy.spec));
        }
    }

    fn finish(mut self, gateway: &GatewayName) -> Compiled {
        self.warnings
            .extend(lint::unreachable(&gateway.namespace, &self.objects));
        let refusal = if !self.below.is_empty() {
            Some(DenyReason::BelowGuardrail)
        } else if self.gateway_broken {
            Some(DenyReason::NoPolicy)
        } else if self.settings.unreadable_masking.everything {
            Some(DenyReason::MaskingUnreadable)
        } else {
            None
        };
        Compiled {
            content: BundleContent {
                format: FORMAT,
                gateway: gateway.clone(),
                refusal,
                settings: self.settings,
                objects: self.objects,
            },
            below: self.below,
            mistakes: self.mistakes,
            warnings: self.warnings,
        }
    }
}

/// One policy as the bundle holds it, and its mistakes.
fn policy_content(
    object: &ObjectId,
    policy: &Named<AccessPolicySpec>,
) -> (ObjectContent, Vec<Mistake>) {
    let spec = &policy.spec;
    let mut mistakes = rules::subject_mistakes(object, spec);
    mistakes.extend(rules::validity_mistakes(object, spec));
    let disagreements = consistency::of_policy(spec);
    let about_whom = ["spec.subjects", "spec.validity"];
    let broken = !mistakes.is_empty()
        || disagreements
            .iter()
            .any(|d| about_whom.iter().any(|part| d.path.starts_with(part)));
    mistakes.extend(masking::mistakes(object, &spec.masking));
    let rules = rules::compile(object, &spec.rules, &disagreements, &mut mistakes);
    tell(object, &disagreements, &mut mistakes);
    let content = ObjectContent {
        source: RuleSource::Policy,
        name: policy.name.clone(),
        enforcement: spec.enforcement.unwrap_or(Enforcement::Enforce),
        subjects: spec.subjects.clone(),
        clients: spec.clients.clone(),
        validity: spec.validity.clone(),
        broken,
        rules,
    };
    (content, mistakes)
}

/// Adds disagreements of fields, in place of what compiling would tell of them again less clearly.
fn tell(object: &ObjectId, disagreements: &[Disagreement], mistakes: &mut Vec<Mistake>) {
    mistakes.retain(|mistake| {
        let told = |other: &Disagreement| {
            mistake.path.starts_with(&other.path) && mistake.found.is_empty()
        };
        !disagreements.iter().any(told)
    });
    mistakes.extend(
        disagreements
            .iter()
            .map(|found| Mistake::of_disagreement(object, found)),
    );
}
