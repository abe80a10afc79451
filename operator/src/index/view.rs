//! What one reconciliation needs, taken out of the index at one moment, so that no lock is held while anything is awaited.

use std::collections::BTreeMap;
use std::sync::Arc;

use sallyport_crds::{McpAccessPolicy, McpGateway, McpGuardrail};
use sallyport_policy::bundle::shards::SHARDS;
use sallyport_policy::source::{Named, Sources};

use super::objects::Kind;
use super::select::{Choice, guard_of, may_guard};
use super::{BundleMap, Index, ObjectName, Pod, Stored};
use crate::distribute::names;

/// A gateway with everything that bears on it.
#[derive(Clone, Debug)]
pub struct View {
    pub name: ObjectName,
    /// None where it is gone, or going.
    pub gateway: Option<Arc<Stored<McpGateway>>>,
    /// What it is compiled from.
    pub sources: Sources,
    /// What bears on it and cannot be read; then everything is denied (law 7).
    pub unreadable: Vec<String>,
    /// What lies in the cluster under its name.
    pub maps: [Option<Arc<BundleMap>>; SHARDS],
    /// Pods that run and are the gateway's own to guard.
    pub selected: Vec<Arc<Pod>>,
    /// Pods whose sidecar was injected for a gateway of this name, whatever its uid; also those that have ended.
    pub bound: Vec<Arc<Pod>>,
    /// Pods that it selects and an older gateway keeps, with that one's name.
    pub lost: Vec<(String, String)>,
}

/// A policy with the gateways that it names.
#[derive(Clone, Debug)]
pub struct PolicyView {
    pub policy: Arc<Stored<McpAccessPolicy>>,
    pub targets: Vec<ObjectName>,
    pub missing: Vec<String>,
    /// The policy alone, and the gateways that give its tests their issuers.
    pub sources: Sources,
}

/// A guardrail with the gateways under it.
#[derive(Clone, Debug)]
pub struct GuardrailView {
    pub guardrail: Arc<Stored<McpGuardrail>>,
    pub under: Vec<ObjectName>,
}

impl Index {
    #[must_use]
    pub fn view(&self, name: &ObjectName) -> View {
        let gateway = self.gateways.find(name).filter(|found| !found.is_going());
        let (sources, unreadable) = self.sources_of(name, gateway);
        let mut view = View {
            name: name.clone(),
            gateway: gateway.cloned(),
            sources,
            unreadable,
            maps: std::array::from_fn(|number| {
                let map = ObjectName::new(&name.namespace, &names::config_map(&name.name, number));
                self.bundles.find(&map).cloned()
            }),
            selected: Vec::new(),
            bound: Vec::new(),
            lost: Vec::new(),
        };
        for pod in self.pods.within(&name.namespace) {
            self.add_pod(pod, &mut view);
        }
        view
    }

    fn add_pod(&self, pod: &Arc<Pod>, view: &mut View) {
        let binding = pod.binding.as_ref();
        if binding.is_some_and(|binding| ObjectName::from(&binding.gateway) == view.name) {
            view.bound.push(Arc::clone(pod));
        }
        let concerned = view
            .gateway
            .as_ref()
            .is_some_and(|gateway| may_guard(gateway, pod.labels(), pod.annotations()));
        if pod.ended || !concerned {
            return;
        }
        let gateways = self.gateways.within(&view.name.namespace);
        match guard_of(gateways, pod.labels(), pod.annotations()) {
            Choice::Guarded { keeper, losers } => {
                if ObjectName::of(&*keeper) == view.name {
                    view.selected.push(Arc::clone(pod));
                } else if losers
                    .iter()
                    .any(|loser| ObjectName::of(&**loser) == view.name)
                {
                    let pod = pod.metadata.name.clone().unwrap_or_default();
                    view.lost.push((pod, ObjectName::of(&*keeper).name));
                }
            }
            Choice::Nobody | Choice::Missing(_) | Choice::Unsettled(_) => {}
        }
    }

    fn sources_of(
        &self,
        name: &ObjectName,
        gateway: Option<&Arc<Stored<McpGateway>>>,
    ) -> (Sources, Vec<String>) {
        let mut unreadable = Vec::new();
        let policies = self.policies.within(&name.namespace).filter(|policy| {
            policy
                .targets()
                .is_none_or(|mut all| all.any(|target| target == name.name))
        });
        let mut sources = Sources {
            gateways: named(gateway.into_iter(), &mut unreadable),
            policies: named(policies, &mut unreadable),
            guardrails: named(self.guardrails.all(), &mut unreadable),
            namespaces: BTreeMap::new(),
        };
        let labels = self.labels_of(&name.namespace);
        sources.namespaces.insert(name.namespace.clone(), labels);
        (sources, unreadable)
    }

    #[must_use]
    pub fn policy_view(&self, name: &ObjectName) -> Option<PolicyView> {
        let policy = self.policies.find(name)?;
        let named_gateways: Vec<ObjectName> = policy
            .targets()
            .into_iter()
            .flatten()
            .map(|target| ObjectName::new(&name.namespace, target))
            .collect();
        let (targets, missing): (Vec<_>, Vec<_>) = named_gateways.into_iter().partition(|target| {
            self.gateways
                .find(target)
                .is_some_and(|found| !found.is_going())
        });
        let gateways = targets
            .iter()
            .filter_map(|target| self.gateways.find(target));
        let mut ignored = Vec::new();
        Some(PolicyView {
            sources: Sources {
                gateways: named(gateways, &mut ignored),
                policies: named([policy].into_iter(), &mut ignored),
                guardrails: Vec::new(),
                namespaces: BTreeMap::new(),
            },
            policy: Arc::clone(policy),
            missing: missing.into_iter().map(|name| name.name).collect(),
            targets,
        })
    }

    #[must_use]
    pub fn guardrail_view(&self, name: &ObjectName) -> Option<GuardrailView> {
        let guardrail = self.guardrails.find(name)?;
        let is_under = |gateway: &&ObjectName| match &guardrail.spec {
            Ok(spec) => spec.namespace_selector.as_ref().is_none_or(|selector| {
                let mut labels = self.labels_of(&gateway.namespace);
                labels.insert(
                    "kubernetes.io/metadata.name".to_owned(),
                    gateway.namespace.clone(),
                );
                selector.matches(&labels)
            }),
            Err(_) => true,
        };
        Some(GuardrailView {
            guardrail: Arc::clone(guardrail),
            under: self.gateways.names().filter(is_under).cloned().collect(),
        })
    }
}

/// The specs that can be read; of the others, who they are and what is wrong.
fn named<'o, K: Kind>(
    objects: impl Iterator<Item = &'o Arc<Stored<K>>>,
    unreadable: &mut Vec<String>,
) -> Vec<Named<K::Spec>> {
    let mut found = Vec::new();
    for object in objects {
        let name = ObjectName::of(&**object);
        match &object.spec {
            Ok(spec) => found.push(Named {
                namespace: name.namespace,
                name: name.name,
                spec: spec.clone(),
            }),
            Err(wrong) => unreadable.push(format!("{} {name}: {}", K::kind(&()), wrong.error)),
        }
    }
    found
}
