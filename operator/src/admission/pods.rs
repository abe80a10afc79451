//! Pods: the guard put in, and the twin that recomputes it from the pod that all webhooks left.
//!
//! The twin demands equality, so that neither a hand-made "already guarded" pod nor what a later webhook changed passes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::review::{Review, Verdict};
use super::world::{Guard, Keeper, World};
use crate::inject::names::{ENFORCE, GUARDED_BY, INJECT};
use crate::inject::{Denial, Platform, Surroundings, again, differs, inject, patch};

/// How much older than the newest a pod's minimum generation may be when the twin sees it, in milliseconds, as
/// generations count: a policy may be signed anew between the two questions about one pod.
const BETWEEN: u64 = 120_000;

pub(super) fn mutate(review: &Review, world: &dyn World) -> Verdict {
    let case = match Case::of(review, world) {
        Ok(case) => case,
        Err(verdict) => return verdict,
    };
    let Some(keeper) = &case.keeper else {
        return Verdict::allow();
    };
    match case.inject(keeper, keeper.generation) {
        Ok(guarded) => Verdict::Patch {
            operations: patch::between(case.pod, &guarded),
            warnings: Vec::new(),
        },
        Err(denial) => denied(&denial),
    }
}

pub(super) fn validate(review: &Review, world: &dyn World) -> Verdict {
    let case = match Case::of(review, world) {
        Ok(case) => case,
        Err(verdict) => return verdict,
    };
    let Some(keeper) = &case.keeper else {
        return unguarded(case.pod);
    };
    let expected = match case.inject(keeper, minimum(case.pod, keeper.generation)) {
        Ok(expected) => expected,
        Err(denial) => return denied(&denial),
    };
    match differs(case.pod, &expected) {
        None => Verdict::allow(),
        Some(place) => Verdict::Deny {
            reason: "Altered",
            message: format!(
                "sallyport: `{place}` is not what gateway `{}` puts into this pod; nobody may change it, and another webhook must not either",
                keeper.name
            ),
        },
    }
}

/// One pod, and who guards it.
struct Case<'a> {
    pod: &'a Value,
    namespace: &'a str,
    labels: BTreeMap<String, String>,
    platform: Platform,
    keeper: Option<Box<Keeper>>,
}

impl<'a> Case<'a> {
    fn of(review: &'a Review, world: &dyn World) -> Result<Self, Verdict> {
        if review.operation() != "CREATE" || !review.subresource().is_empty() {
            return Err(Verdict::allow());
        }
        let (pod, namespace) = (review.object(), review.namespace());
        let platform = world
            .platform()
            .ok_or(Verdict::NotYet("the operator has not seen everything yet"))?;
        let labels = world
            .labels_of(namespace)
            .ok_or(Verdict::NotYet("the namespace is not known yet"))?;
        let annotations = texts(pod, "/metadata/annotations");
        let guard = world.guard_of(namespace, &texts(pod, "/metadata/labels"), &annotations);
        let asks = annotations.get(INJECT).is_some_and(|said| said == "true");
        let enforced = labels.get(ENFORCE).is_some_and(|said| said == "true");
        let keeper = match guard {
            Guard::By(keeper) => Some(keeper),
            Guard::Missing(name) => {
                return Err(refused(
                    &format!("the pod names the gateway `{name}`, which is not in its namespace"),
                    "make the gateway first, or correct the annotation `sallyport.dev/gateway`",
                ));
            }
            Guard::Unsettled(name) => {
                return Err(refused(
                    &format!(
                        "the gateway `{name}` cannot be read, so whether it guards this pod is not known"
                    ),
                    "mend the gateway",
                ));
            }
            Guard::Nobody if enforced && !is_exempt(pod, &world.exemptions(namespace)) => {
                return Err(refused(
                    "no gateway selects this pod, and every pod of this namespace is guarded",
                    "let the selector of a McpGateway match it, name one by the annotation `sallyport.dev/gateway`, or ask the platform to exempt its images",
                ));
            }
            Guard::Nobody if asks && !enforced => {
                return Err(refused(
                    "the pod asks to be guarded and no gateway selects it",
                    "let the selector of a McpGateway match it, or name one by the annotation `sallyport.dev/gateway`",
                ));
            }
            Guard::Nobody => None,
        };
        Ok(Self {
            pod,
            namespace,
            labels,
            platform,
            keeper,
        })
    }

    fn inject(&self, keeper: &Keeper, generation: u64) -> Result<Value, Denial> {
        let around = Surroundings {
            labels: &self.labels,
        };
        let guarding = keeper.guarding(self.namespace, generation);
        inject(self.pod, &guarding, &self.platform, around)
    }
}

/// A pod that nobody guards must not look as if somebody did: status, probes and NetworkPolicies go by the label.
fn unguarded(pod: &Value) -> Verdict {
    if texts(pod, "/metadata/labels").contains_key(GUARDED_BY) {
        return refused(
            &format!("the label `{GUARDED_BY}` is on a pod that no gateway guards"),
            "remove it from the pod or its template",
        );
    }
    Verdict::allow()
}

/// The pod's own minimum generation where it is one that was current a moment ago, else the current one.
fn minimum(pod: &Value, current: u64) -> u64 {
    let flags = again::sidecar_flags(pod).unwrap_or_default();
    let said = flags
        .iter()
        .find_map(|flag| flag.strip_prefix("--minimum-generation="))
        .and_then(|number| number.parse::<u64>().ok());
    said.filter(|said| current.checked_sub(*said).is_some_and(|age| age <= BETWEEN))
        .unwrap_or(current)
}

/// Whether all images of a pod are in one list.
fn is_exempt(pod: &Value, lists: &[Vec<String>]) -> bool {
    let mut images = Vec::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let containers = pod
            .pointer(&format!("/spec/{list}"))
            .and_then(Value::as_array);
        for container in containers.into_iter().flatten() {
            images.push(
                container
                    .get("image")
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            );
        }
    }
    !images.is_empty()
        && lists.iter().any(|list| {
            images
                .iter()
                .all(|image| list.iter().any(|one| one == image))
        })
}

fn texts(pod: &Value, pointer: &str) -> BTreeMap<String, String> {
    let found = pod.pointer(pointer).and_then(Value::as_object);
    let pairs = found.into_iter().flatten();
    pairs
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn denied(denial: &Denial) -> Verdict {
    Verdict::Deny {
        reason: denial.reason.as_str(),
        message: denial.to_string(),
    }
}

fn refused(what: &str, remedy: &str) -> Verdict {
    Verdict::Deny {
        reason: "NotGuarded",
        message: format!("sallyport: {what}; {remedy}"),
    }
}
