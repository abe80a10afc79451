//! The objects of one kind, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Resource;

use super::ObjectName;

/// The objects of one kind, and whether all of them were listed once.
#[derive(Debug)]
pub struct Room<K> {
    objects: BTreeMap<ObjectName, Arc<K>>,
    synced: bool,
}

impl<K> Default for Room<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            synced: false,
        }
    }
}

impl<K: Resource> Room<K> {
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    #[must_use]
    pub fn find(&self, name: &ObjectName) -> Option<&Arc<K>> {
        self.objects.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &ObjectName> {
        self.objects.keys()
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<K>> {
        self.objects.values()
    }

    /// The objects of one namespace, by name.
    pub fn within<'r>(&'r self, namespace: &str) -> impl Iterator<Item = &'r Arc<K>> + use<'r, K> {
        let namespace = namespace.to_owned();
        self.objects
            .range(ObjectName::new(&namespace, "")..)
            .take_while(move |(name, _)| name.namespace == namespace)
            .map(|(_, object)| object)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    pub(super) fn put(&mut self, object: K) {
        self.objects
            .insert(ObjectName::of(&object), Arc::new(object));
    }

    pub(super) fn take(&mut self, name: &ObjectName) -> Option<Arc<K>> {
        self.objects.remove(name)
    }

    pub(super) fn mark_synced(&mut self) {
        self.synced = true;
    }
}
