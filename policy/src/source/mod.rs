//! What people write: the specs of our kinds, exactly as they stand in YAML.
//!
//! One definition of a field gives the reader, the schema of the custom resource and the reference page, so the three
//! cannot drift apart. Unknown fields are errors everywhere. Nothing here is a default: a field that is absent stays
//! absent, because a guardrail must see what an author wrote; `defaults` says what absence means once it is resolved.
//! What a schema cannot say (regular expressions, globs, paths, time zones) is judged by `compile`.

pub mod access;
pub mod authentication;
pub mod consistency;
pub mod defaults;
pub mod gateway;
pub mod guardrail;
pub mod masking;
pub mod policy;
pub mod rule;
pub mod scalar;
pub mod secret;
pub mod selector;
pub mod settings;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::GatewayName;

pub use access::{AccessRequestSpec, AccessRequestStatus, AccessReviewSpec};
pub use gateway::GatewaySpec;
pub use guardrail::GuardrailSpec;
pub use policy::{AccessPolicySpec, Subject};
pub use rule::{Condition, Effect, Operator, Rule};
pub use scalar::{GoDuration, Literal, Quantity, TimeOfDay, Timestamp};
pub use secret::{SecretValue, Secrets};

/// The API group of every kind of ours.
pub const GROUP: &str = "sallyport.dev";
/// The version of every kind of ours.
pub const VERSION: &str = "v1alpha1";

/// A spec with the name of the object it stands in. Cluster-scoped kinds have an empty namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named<T> {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    pub spec: T,
}

/// Everything that is compiled: the objects of all namespaces, in the order of their files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    pub gateways: Vec<Named<GatewaySpec>>,
    pub policies: Vec<Named<AccessPolicySpec>>,
    pub guardrails: Vec<Named<GuardrailSpec>>,
    /// Labels of namespaces, for `namespaceSelector`. A namespace that is not listed has its name's label only.
    #[serde(default)]
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
}

impl Sources {
    #[must_use]
    pub fn gateway(&self, name: &GatewayName) -> Option<&Named<GatewaySpec>> {
        self.gateways
            .iter()
            .find(|gateway| gateway.namespace == name.namespace && gateway.name == name.name)
    }

    /// The labels of a namespace, `kubernetes.io/metadata.name` among them as in any cluster.
    #[must_use]
    pub fn labels_of(&self, namespace: &str) -> BTreeMap<String, String> {
        let mut labels = self.namespaces.get(namespace).cloned().unwrap_or_default();
        labels.insert(
            "kubernetes.io/metadata.name".to_owned(),
            namespace.to_owned(),
        );
        labels
    }
}

impl Named<GatewaySpec> {
    #[must_use]
    pub fn gateway_name(&self) -> GatewayName {
        GatewayName {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

/// Whether a section says nothing, so that it is left out where it would be printed.
fn says_nothing<T: Default + PartialEq>(section: &T) -> bool {
    *section == T::default()
}
