//! The world as the operator's own watches show it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sallyport_crds::{McpGateway, McpGuardrail};
use sallyport_policy::bundle::shards::{MANIFEST, Manifest};
use sallyport_policy::source::GuardrailSpec;
use sallyport_policy::source::gateway::{ObjectRef, Resources};

use super::world::{Guard, Keeper, World};
use crate::distribute::names;
use crate::index::{Choice, Index, ObjectName, Stored, guard_of};
use crate::inject::Platform;
use crate::watch::Shared;

/// What admission asks, out of the index that everybody shares.
#[derive(Clone, Debug)]
pub struct Watched {
    pub shared: Shared,
    /// Images, root key and flags of this installation.
    pub platform: Platform,
}

impl World for Watched {
    fn platform(&self) -> Option<Platform> {
        self.shared.is_synced().then(|| self.platform.clone())
    }

    fn labels_of(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        let index = self.shared.read();
        let found = index.namespaces.find(&ObjectName::new("", namespace))?;
        Some(found.metadata.labels.clone().unwrap_or_default())
    }

    fn guard_of(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Guard {
        let index = self.shared.read();
        let gateways = index.gateways.within(namespace);
        match guard_of(gateways, Some(labels), Some(annotations)) {
            Choice::Nobody => Guard::Nobody,
            Choice::Missing(name) => Guard::Missing(name),
            Choice::Unsettled(name) => Guard::Unsettled(name.name),
            Choice::Guarded { keeper, losers: _ } => match named(&index, namespace, &keeper) {
                Some(keeper) => Guard::By(Box::new(keeper)),
                None => Guard::Unsettled(ObjectName::of(&*keeper).name),
            },
        }
    }

    fn exemptions(&self, namespace: &str) -> Vec<Vec<String>> {
        let index = self.shared.read();
        over(&index, namespace)
            .flat_map(|guardrail| guardrail.exempt.iter())
            .map(|exemption| exemption.images.clone())
            .collect()
    }
}

/// Nothing where its spec cannot be read.
fn named(index: &Index, namespace: &str, gateway: &Stored<McpGateway>) -> Option<Keeper> {
    let name = ObjectName::of(gateway).name;
    let mut resources = Resources::default();
    let mut pull_secrets: Vec<ObjectRef> = Vec::new();
    for guardrail in over(index, namespace) {
        if resources == Resources::default() {
            resources = guardrail.defaults.resources.clone();
        }
        pull_secrets.extend(guardrail.defaults.image_pull_secrets.iter().cloned());
    }
    Some(Keeper {
        uid: gateway.uid().to_owned(),
        spec: gateway.spec.as_ref().ok()?.clone(),
        generation: generation(index, namespace, &name),
        default_resources: resources,
        default_pull_secrets: pull_secrets,
        name,
    })
}

/// Of the policy as it was last written; 0 where none was, or what lies there is not ours.
fn generation(index: &Index, namespace: &str, gateway: &str) -> u64 {
    let first = ObjectName::new(namespace, &names::config_map(gateway, 0));
    let map = index.bundles.find(&first);
    let manifest = map.and_then(|map| map.files.get(MANIFEST));
    manifest
        .and_then(|text| Manifest::read(text).ok())
        .map_or(0, |manifest| manifest.generation())
}

/// The guardrails over a namespace that can be read; one that cannot makes every bundle there deny everything.
pub(super) fn over<'i>(
    index: &'i Index,
    namespace: &str,
) -> impl Iterator<Item = &'i GuardrailSpec> {
    let mut labels = index.labels_of(namespace);
    labels.insert(
        "kubernetes.io/metadata.name".to_owned(),
        namespace.to_owned(),
    );
    let guardrails: Vec<&Arc<Stored<McpGuardrail>>> = index.guardrails.all().collect();
    guardrails
        .into_iter()
        .filter_map(|guardrail| guardrail.spec.as_ref().ok())
        .filter(move |spec| {
            let selector = spec.namespace_selector.as_ref();
            selector.is_none_or(|selector| selector.matches(&labels))
        })
}
