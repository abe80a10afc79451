//! Which gateway guards a pod. Admission and status ask the same function.

use std::collections::BTreeMap;
use std::sync::Arc;

use sallyport_crds::McpGateway;

use super::{ObjectName, Stored};

/// The annotation by which a pod names its gateway, where no selector matches.
pub const GATEWAY: &str = "sallyport.dev/gateway";

type Gateway = Arc<Stored<McpGateway>>;

/// Who guards a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// Nobody selects it and it names nobody.
    Nobody,
    /// The pod names a gateway that is not there.
    Missing(String),
    /// The oldest of those that select it; the younger ones lose.
    Guarded {
        keeper: Gateway,
        losers: Vec<Gateway>,
    },
    /// A gateway of the namespace cannot be read, so nobody knows whether it selects the pod.
    Unsettled(ObjectName),
}

/// Who guards a pod with these labels and annotations, out of the gateways of its namespace.
#[must_use]
pub fn guard_of<'g>(
    gateways: impl Iterator<Item = &'g Gateway>,
    labels: Option<&BTreeMap<String, String>>,
    annotations: Option<&BTreeMap<String, String>>,
) -> Choice {
    let gateways: Vec<&Gateway> = gateways.filter(|gateway| !gateway.is_going()).collect();
    if let Some(broken) = gateways.iter().find(|gateway| gateway.spec.is_err()) {
        return Choice::Unsettled(ObjectName::of(&***broken));
    }
    let mut found = candidates(gateways.into_iter(), labels, annotations);
    found.sort_by_key(|gateway| age(gateway));
    let mut found = found.into_iter().cloned();
    match found.next() {
        Some(keeper) => Choice::Guarded {
            keeper,
            losers: found.collect(),
        },
        None => annotations
            .and_then(|all| all.get(GATEWAY))
            .map_or(Choice::Nobody, |name| Choice::Missing(name.clone())),
    }
}

/// Every gateway that selects the pod, or the one that it names where none does.
pub(super) fn candidates<'g>(
    gateways: impl Iterator<Item = &'g Gateway>,
    labels: Option<&BTreeMap<String, String>>,
    annotations: Option<&BTreeMap<String, String>>,
) -> Vec<&'g Gateway> {
    let none = BTreeMap::new();
    let labels = labels.unwrap_or(&none);
    let gateways: Vec<_> = gateways.collect();
    let selected: Vec<_> = gateways
        .iter()
        .copied()
        .filter(|gateway| selects(gateway, labels))
        .collect();
    let Some(named) = annotations
        .and_then(|all| all.get(GATEWAY))
        .filter(|_| selected.is_empty())
    else {
        return selected;
    };
    gateways
        .into_iter()
        .filter(|gateway| gateway.metadata.name.as_ref() == Some(named))
        .collect()
}

/// Whether a gateway selects a pod or is named by it, whoever else does: cheap, where most pods are somebody else's.
pub(super) fn may_guard(
    gateway: &Gateway,
    labels: Option<&BTreeMap<String, String>>,
    annotations: Option<&BTreeMap<String, String>>,
) -> bool {
    let named = annotations.and_then(|all| all.get(GATEWAY));
    named.is_some_and(|name| gateway.metadata.name.as_ref() == Some(name))
        || selects(gateway, labels.unwrap_or(&BTreeMap::new()))
}

fn selects(gateway: &Gateway, labels: &BTreeMap<String, String>) -> bool {
    let selector = gateway
        .spec
        .as_ref()
        .ok()
        .and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| selector.matches(labels))
}

/// Older first; of those made in the same second the one whose name comes first.
fn age(gateway: &Gateway) -> (i128, String) {
    let made = gateway.metadata.creation_timestamp.as_ref();
    (
        made.map_or(i128::MAX, |time| time.0.as_nanosecond()),
        gateway.metadata.name.clone().unwrap_or_default(),
    )
}
