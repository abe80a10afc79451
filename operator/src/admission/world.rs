//! What admission must know of other objects: asked of the operator's index, at the moment of the question.

use std::collections::BTreeMap;

use sallyport_policy::source::gateway::{GatewaySpec, ObjectRef, Resources};

use crate::inject::{Guarding, Platform};

/// Whoever watches the cluster.
pub trait World: Send + Sync {
    /// What is injected; nothing before everything was listed once and the root key is there.
    fn platform(&self) -> Option<Platform>;
    /// The labels of a namespace; nothing where it was not seen yet.
    fn labels_of(&self, namespace: &str) -> Option<BTreeMap<String, String>>;
    /// Which gateway guards a pod with these labels and annotations.
    fn guard_of(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Guard;
    /// The lists of images that guardrails exempt in a namespace.
    fn exemptions(&self, namespace: &str) -> Vec<Vec<String>>;
}

/// Who guards a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Guard {
    Nobody,
    /// The pod names a gateway that is not there.
    Missing(String),
    /// A gateway of the namespace cannot be read, so nobody knows whether it selects the pod.
    Unsettled(String),
    By(Box<Keeper>),
}

/// The gateway that guards a pod, with what guardrails add where it says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Keeper {
    pub name: String,
    pub uid: String,
    pub spec: GatewaySpec,
    /// The newest generation of its policy that was written; 0 before the first.
    pub generation: u64,
    pub default_resources: Resources,
    pub default_pull_secrets: Vec<ObjectRef>,
}

impl Keeper {
    pub(super) fn guarding<'a>(&'a self, namespace: &'a str, generation: u64) -> Guarding<'a> {
        Guarding {
            namespace,
            name: &self.name,
            uid: &self.uid,
            spec: &self.spec,
            generation,
            default_resources: &self.default_resources,
            default_pull_secrets: &self.default_pull_secrets,
        }
    }
}
