//! Which sources guard which gateway, and which gateway guards which pod. Pure: objects go in, concerned keys come out.
//!
//! One index for all of the process: reflectors fill it, controllers and admission read it. An event answers with what
//! it concerns, so that one changed object costs one compilation and not all of them. Whoever compiles asks
//! [`Index::is_synced`] first: half of the sources would make a smaller policy, and a smaller policy may lack a Deny.

pub mod objects;
mod room;
pub mod select;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::core::v1::Namespace;
use kube::Resource;
use kube::core::PartialObjectMeta;
use sallyport_crds::{McpAccessPolicy, McpGateway, McpGuardrail};
use sallyport_policy::name::GatewayName;

pub use objects::{BundleMap, Pod, Stored};
pub use room::Room;
pub use select::{Choice, guard_of};
pub use view::{GuardrailView, PolicyView, View};

use crate::distribute::names;

/// An object by namespace and name; cluster-scoped ones have an empty namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    pub namespace: String,
    pub name: String,
}

/// What is worked on as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Gateway(ObjectName),
    Policy(ObjectName),
    Guardrail(ObjectName),
}

/// Everything that is watched.
#[derive(Debug, Default)]
pub struct Index {
    pub gateways: Room<Stored<McpGateway>>,
    pub policies: Room<Stored<McpAccessPolicy>>,
    pub guardrails: Room<Stored<McpGuardrail>>,
    pub pods: Room<Pod>,
    pub namespaces: Room<PartialObjectMeta<Namespace>>,
    pub bundles: Room<BundleMap>,
}

/// A kind that the index holds.
pub trait Indexed: Resource<DynamicType = ()> + Clone + fmt::Debug + Send + Sync + 'static {
    fn room(index: &Index) -> &Room<Self>;
    fn room_mut(index: &mut Index) -> &mut Room<Self>;
    /// Takes out what nobody reads, so that memory and comparisons are about what matters.
    fn trim(&mut self) {
        let meta = self.meta_mut();
        meta.managed_fields = None;
        meta.resource_version = None;
    }
    /// Whether nothing that anybody reads differs.
    fn is_same(&self, other: &Self) -> bool;
    /// What must be looked at when `self` came, went, or took the place of `before`.
    fn concerned(&self, before: Option<&Self>, index: &Index, keys: &mut BTreeSet<Key>);
}

impl ObjectName {
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    #[must_use]
    pub fn of<K: Resource>(object: &K) -> Self {
        let meta = object.meta();
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }

    #[must_use]
    pub fn gateway(&self) -> GatewayName {
        GatewayName {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl From<&GatewayName> for ObjectName {
    fn from(name: &GatewayName) -> Self {
        Self::new(&name.namespace, &name.name)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(name) => write!(f, "McpGateway {name}"),
            Self::Policy(name) => write!(f, "McpAccessPolicy {name}"),
            Self::Guardrail(name) => write!(f, "McpGuardrail {name}"),
        }
    }
}

impl Index {
    /// Whether every kind was listed once.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.gateways.is_synced()
            && self.policies.is_synced()
            && self.guardrails.is_synced()
            && self.pods.is_synced()
            && self.namespaces.is_synced()
            && self.bundles.is_synced()
    }

    /// An object is there, new or changed.
    pub fn applied<K: Indexed>(&mut self, mut object: K) -> BTreeSet<Key> {
        object.trim();
        let before = K::room(self).find(&ObjectName::of(&object)).cloned();
        let mut keys = BTreeSet::new();
        if before
            .as_ref()
            .is_some_and(|before| before.is_same(&object))
        {
            return keys;
        }
        K::room_mut(self).put(object.clone());
        object.concerned(before.as_deref(), self, &mut keys);
        keys
    }

    /// An object is gone.
    pub fn deleted<K: Indexed>(&mut self, name: &ObjectName) -> BTreeSet<Key> {
        let mut keys = BTreeSet::new();
        if let Some(before) = K::room_mut(self).take(name) {
            before.concerned(None, self, &mut keys);
        }
        keys
    }

    /// These are all objects of a kind; what else was there has gone unseen.
    pub fn listed<K: Indexed>(&mut self, objects: Vec<K>) -> BTreeSet<Key> {
        let present: BTreeSet<_> = objects.iter().map(ObjectName::of).collect();
        let gone: Vec<_> = K::room(self)
            .names()
            .filter(|name| !present.contains(name))
            .cloned()
            .collect();
        let mut keys: BTreeSet<Key> = gone
            .iter()
            .flat_map(|name| self.deleted::<K>(name))
            .collect();
        for object in objects {
            keys.extend(self.applied(object));
        }
        K::room_mut(self).mark_synced();
        keys
    }

    /// Everything there is to work on.
    #[must_use]
    pub fn all(&self) -> BTreeSet<Key> {
        let gateways = self.gateways.names().cloned().map(Key::Gateway);
        let policies = self.policies.names().cloned().map(Key::Policy);
        let guardrails = self.guardrails.names().cloned().map(Key::Guardrail);
        // Bundles whose gateway is gone are taken away by whoever looks at the gateway.
        let left = self.bundles.all().filter_map(|map| map.gateway());
        gateways
            .chain(policies)
            .chain(guardrails)
            .chain(left.map(Key::Gateway))
            .collect()
    }

    /// The labels of a namespace.
    #[must_use]
    pub fn labels_of(&self, namespace: &str) -> std::collections::BTreeMap<String, String> {
        self.namespaces
            .find(&ObjectName::new("", namespace))
            .and_then(|found| found.metadata.labels.clone())
            .unwrap_or_default()
    }

    /// Nothing can be made in a namespace that goes; everything in it goes by itself.
    #[must_use]
    pub fn is_going(&self, namespace: &str) -> bool {
        let found = self.namespaces.find(&ObjectName::new("", namespace));
        found.is_some_and(|found| found.metadata.deletion_timestamp.is_some())
    }

    fn gateways_in<'i>(&'i self, namespace: &str) -> impl Iterator<Item = Key> + use<'i> {
        self.gateways
            .within(namespace)
            .map(|gateway| Key::Gateway(ObjectName::of(&**gateway)))
    }

    fn policies_of<'i>(&'i self, gateway: &ObjectName) -> impl Iterator<Item = Key> + use<'i> {
        let name = gateway.name.clone();
        self.policies
            .within(&gateway.namespace)
            .filter(move |policy| {
                policy
                    .targets()
                    .is_none_or(|mut all| all.any(|one| one == name))
            })
            .map(|policy| Key::Policy(ObjectName::of(&**policy)))
    }
}

impl Indexed for Stored<McpGateway> {
    fn room(index: &Index) -> &Room<Self> {
        &index.gateways
    }

    fn room_mut(index: &mut Index) -> &mut Room<Self> {
        &mut index.gateways
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn concerned(&self, before: Option<&Self>, index: &Index, keys: &mut BTreeSet<Key>) {
        let name = ObjectName::of(self);
        keys.insert(Key::Gateway(name.clone()));
        // Our own word in its status concerns nobody else.
        if before.is_some_and(|before| self.is_written_alike(before)) {
            return;
        }
        keys.extend(index.gateways_in(&name.namespace));
        keys.extend(index.policies_of(&name));
    }
}

impl Indexed for Stored<McpAccessPolicy> {
    fn room(index: &Index) -> &Room<Self> {
        &index.policies
    }

    fn room_mut(index: &mut Index) -> &mut Room<Self> {
        &mut index.policies
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn concerned(&self, before: Option<&Self>, index: &Index, keys: &mut BTreeSet<Key>) {
        let name = ObjectName::of(self);
        keys.insert(Key::Policy(name.clone()));
        if before.is_some_and(|before| self.is_written_alike(before)) {
            return;
        }
        for policy in before.into_iter().chain([self]) {
            match policy.targets() {
                Some(targets) => keys.extend(
                    targets.map(|target| Key::Gateway(ObjectName::new(&name.namespace, target))),
                ),
                None => keys.extend(index.gateways_in(&name.namespace)),
            }
        }
    }
}

impl Indexed for Stored<McpGuardrail> {
    fn room(index: &Index) -> &Room<Self> {
        &index.guardrails
    }

    fn room_mut(index: &mut Index) -> &mut Room<Self> {
        &mut index.guardrails
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn concerned(&self, before: Option<&Self>, index: &Index, keys: &mut BTreeSet<Key>) {
        keys.insert(Key::Guardrail(ObjectName::of(self)));
        if before.is_some_and(|before| self.is_written_alike(before)) {
            return;
        }
        keys.extend(index.gateways.names().cloned().map(Key::Gateway));
    }
}

impl Indexed for Pod {
    fn room(index: &Index) -> &Room<Self> {
        &index.pods
    }

    fn room_mut(index: &mut Index) -> &mut Room<Self> {
        &mut index.pods
    }

    fn trim(&mut self) {
        objects::trim_pod(&mut self.metadata);
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn concerned(&self, before: Option<&Self>, index: &Index, keys: &mut BTreeSet<Key>) {
        for pod in before.into_iter().chain([self]) {
            let name = ObjectName::of(pod);
            if let Some(binding) = &pod.binding {
                keys.insert(Key::Gateway(ObjectName::from(&binding.gateway)));
            }
            let candidates = index.gateways.within(&name.namespace);
            keys.extend(
                select::candidates(candidates, pod.labels(), pod.annotations())
                    .into_iter()
                    .map(|gateway| Key::Gateway(ObjectName::of(&**gateway))),
            );
        }
    }
}

impl Indexed for PartialObjectMeta<Namespace> {
    fn room(index: &Index) -> &Room<Self> {
        &index.namespaces
    }

    fn room_mut(index: &mut Index) -> &mut Room<Self> {
        &mut index.namespaces
    }

    fn trim(&mut self) {
        self.metadata.managed_fields = None;
        self.metadata.resource_version = None;
        self.metadata.annotations = None;
    }

    fn is_same(&self, other: &Self) -> bool {
        self.metadata == other.metadata
    }

    fn concerned(&self, _before: Option<&Self>, index: &Index, keys: &mut BTreeSet<Key>) {
        keys.extend(index.gateways_in(&ObjectName::of(self).name));
    }
}

impl Indexed for BundleMap {
    fn room(index: &Index) -> &Room<Self> {
        &index.bundles
    }

    fn room_mut(index: &mut Index) -> &mut Room<Self> {
        &mut index.bundles
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn concerned(&self, before: Option<&Self>, _index: &Index, keys: &mut BTreeSet<Key>) {
        let maps = before.into_iter().chain([self]);
        keys.extend(maps.filter_map(Self::gateway).map(Key::Gateway));
    }
}

impl BundleMap {
    /// The gateway that it belongs to by its name; its label may have been edited.
    #[must_use]
    pub fn gateway(&self) -> Option<ObjectName> {
        let name = ObjectName::of(self);
        let gateway = names::gateway_of(&name.name)?;
        Some(ObjectName::new(&name.namespace, gateway))
    }
}
