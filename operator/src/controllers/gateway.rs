//! A gateway: its policy compiled, signed and in the cluster, its pods touched, its status true. Where it is gone, a
//! policy that denies everything stays as long as a pod is bound to it.

use std::sync::Arc;

use kube::runtime::events::EventType;
use sallyport_crds::McpGateway;
use sallyport_crds::conditions::Reason;
use sallyport_policy::source::settings::Capture;
use sallyport_policy::time::UnixMillis;

use super::outcome::Outcome;
use super::{Context, ControllerError, write};
use crate::clock;
use crate::control::Expected;
use crate::distribute::touch;
use crate::distribute::write::{GATEWAY_UID, remove, write as write_bundle};
use crate::distribute::{Held, Policy, SealError};
use crate::index::{Key, ObjectName, Pod, Stored, View};
use crate::inject;
use crate::status::gateway::{Facts, Obstacle, PodFact, Standing, Unwritten, status};

/// What is in the cluster after writing.
enum Written {
    /// When it must be signed anew.
    Good(UnixMillis),
    Not(Unwritten),
}

impl Context {
    pub(super) async fn gateway(&self, name: &ObjectName) -> Result<(), ControllerError> {
        let view = {
            let index = self.shared.read();
            if index.is_going(&name.namespace) {
                self.outcomes.forget(name);
                return Ok(());
            }
            index.view(name)
        };
        match view.gateway.clone() {
            Some(gateway) => self.present(&view, &gateway).await,
            None => self.gone(&view).await,
        }
    }

    async fn present(
        &self,
        view: &View,
        gateway: &Arc<Stored<McpGateway>>,
    ) -> Result<(), ControllerError> {
        let policy = self.compile(view)?;
        let now = clock::now();
        let written = self.put(view, &policy, gateway.uid(), now).await?;
        let unwritten = match written {
            Written::Good(renewal) => {
                self.touch(view, &policy, gateway.uid());
                let key = Key::Gateway(view.name.clone());
                self.shared.queue().push_after(key, now.until(renewal));
                None
            }
            Written::Not(why) => Some(why),
        };
        let facts = Facts {
            before: &gateway.status,
            generation: gateway.generation(),
            now,
            obstacle: obstacle(view, &policy),
            revision: Some(policy.revision),
            unwritten,
            recording: policy.content.settings.recording.mode,
            pods: self.pods(view, gateway, &policy),
        };
        let (status, programmed) = status(&facts);
        self.tell_changes(gateway, &facts).await;
        write::status(&self.client, gateway, &status).await?;
        self.remember(view, &policy, programmed);
        Ok(())
    }

    fn compile(&self, view: &View) -> Result<Policy, ControllerError> {
        let begun = std::time::Instant::now();
        let policy = Policy::of(&view.sources, &view.name.gateway(), &view.unreadable)?;
        self.metrics
            .compile_seconds
            .observe(begun.elapsed().as_secs_f64());
        Ok(policy)
    }

    /// Signs and writes, unless what lies there is good.
    async fn put(
        &self,
        view: &View,
        policy: &Policy,
        uid: &str,
        now: UnixMillis,
    ) -> Result<Written, ControllerError> {
        let held = Held::read(&view.maps, self.signer.root().public());
        if let Some(held) = held.as_ref().filter(|held| held.is_good(policy, uid, now)) {
            self.expect(view, policy, uid, held.header.generation);
            return Ok(Written::Good(held.renewal(policy.max_age)));
        }
        let last = held.map_or(0, |held| held.header.generation);
        let sealed = match self.signer.seal(policy, uid, last, now) {
            Ok(sealed) => sealed,
            Err(SealError::TooLarge(why)) => {
                return Ok(Written::Not(Unwritten::TooLarge(why.to_string())));
            }
            Err(error @ (SealError::Envelope(_) | SealError::NoRandomness)) => {
                return Err(error.into());
            }
        };
        write_bundle(&self.client, &view.name, &sealed, &policy.revision).await?;
        self.metrics.bundles_written.inc();
        let generation = sealed.header.generation;
        tracing::info!(gateway = %view.name, revision = %policy.revision, generation, "policy written");
        self.expect(view, policy, uid, generation);
        let held = Held {
            header: sealed.header,
            revision: policy.revision,
        };
        Ok(Written::Good(held.renewal(policy.max_age)))
    }

    fn expect(&self, view: &View, policy: &Policy, uid: &str, generation: u64) {
        let expected = Expected {
            revision: policy.revision,
            generation,
            uid: uid.to_owned(),
        };
        self.roster.expect(&view.name, expected);
    }

    /// Touches the pods that should enforce another revision than the one they were touched to last.
    fn touch(&self, view: &View, policy: &Policy, uid: &str) {
        let revision = policy.revision.to_string();
        for pod in bound_to(view, uid) {
            if !pod.ended && pod.annotation(touch::REVISION) != Some(&revision) {
                let name = ObjectName::of(&**pod);
                self.toucher
                    .touch(name, pod.uid().to_owned(), policy.revision);
            }
        }
    }

    fn pods(&self, view: &View, gateway: &Stored<McpGateway>, policy: &Policy) -> Vec<PodFact> {
        // Who has just begun to lead has not heard of every sidecar yet: what was true is true until then.
        let was_true = self.is_new()
            && gateway.status.revision == Some(policy.revision.to_string())
            && gateway.status.pods.current == gateway.status.pods.injected;
        let own = view.bound.iter().filter(|pod| !pod.ended);
        let unguarded = view.selected.iter().filter(|pod| pod.binding.is_none());
        let mut facts: Vec<_> = own
            .chain(unguarded)
            .map(|pod| PodFact {
                name: ObjectName::of(&**pod).name,
                standing: self.standing(pod, gateway.uid(), policy, was_true),
                outdated: is_outdated(pod, gateway),
                capture: pod.binding.as_ref().map(|binding| {
                    if binding.captured {
                        Capture::Init
                    } else {
                        Capture::Socket
                    }
                }),
            })
            .collect();
        facts.sort_by(|a, b| a.name.cmp(&b.name));
        facts
    }

    fn standing(&self, pod: &Pod, uid: &str, policy: &Policy, was_true: bool) -> Standing {
        let Some(binding) = &pod.binding else {
            return Standing::Unguarded;
        };
        if binding.uid != uid {
            return Standing::OtherGateway;
        }
        let Some(said) = self.roster.said(pod.uid()) else {
            return if was_true {
                Standing::Current
            } else {
                Standing::Behind
            };
        };
        let enforced = said.enforces.and_then(|enforces| enforces.revision);
        if enforced == Some(policy.revision) {
            return Standing::Current;
        }
        said.refused.map_or(Standing::Behind, Standing::Refusing)
    }

    async fn tell_changes(&self, gateway: &Stored<McpGateway>, facts: &Facts<'_>) {
        let revision = facts.revision.map(|revision| revision.to_string());
        if revision != gateway.status.revision
            && let (Some(revision), None) = (&revision, &facts.unwritten)
        {
            let note = format!("policy {revision} signed for {} pods", facts.pods.len());
            self.tell(gateway, EventType::Normal, "PolicyWritten", note)
                .await;
        }
        let Some(obstacle) = &facts.obstacle else {
            return;
        };
        let (reason, note) = match obstacle {
            Obstacle::Invalid(what) => (Reason::Invalid, what.clone()),
            Obstacle::BelowGuardrail(what) => (Reason::BelowGuardrail, what.clone()),
            Obstacle::SelectorConflict(lost) => (
                Reason::SelectorConflict,
                format!("{} pods are kept by an older gateway", lost.len()),
            ),
        };
        let told =
            gateway.status.conditions.iter().any(|condition| {
                condition.kind == "Accepted" && condition.reason == reason.as_str()
            });
        if !told {
            self.tell(gateway, EventType::Warning, reason.as_str(), note)
                .await;
        }
    }

    /// Those above hear of it where it is news.
    fn remember(&self, view: &View, policy: &Policy, programmed: bool) {
        let outcome = Outcome {
            programmed,
            below: !policy.below.is_empty(),
            mistakes: policy.mistakes.clone(),
        };
        if !self.outcomes.put(&view.name, outcome) {
            return;
        }
        let policies = view
            .sources
            .policies
            .iter()
            .map(|policy| Key::Policy(ObjectName::new(&policy.namespace, &policy.name)));
        let guardrails = view
            .sources
            .guardrails
            .iter()
            .map(|guardrail| Key::Guardrail(ObjectName::new("", &guardrail.name)));
        self.shared.queue().push(policies.chain(guardrails));
    }

    /// A gateway that is gone: its running pods are told so by a policy, and the last of them takes that along.
    async fn gone(&self, view: &View) -> Result<(), ControllerError> {
        self.outcomes.forget(&view.name);
        let left = view.maps.iter().flatten().next();
        let Some(left) = left else {
            self.roster.forget(&view.name);
            return Ok(());
        };
        let held = Held::read(&view.maps, self.signer.root().public());
        // Whose it was, by its signature; by its annotation only where somebody broke that.
        let uid = held
            .as_ref()
            .map(|held| held.header.uid.clone())
            .or_else(|| {
                left.metadata
                    .annotations
                    .as_ref()?
                    .get(GATEWAY_UID)
                    .cloned()
            })
            .unwrap_or_default();
        if bound_to(view, &uid).next().is_none() {
            remove(&self.client, &view.name).await?;
            self.roster.forget(&view.name);
            tracing::info!(gateway = %view.name, "policy removed with the last pod");
            return Ok(());
        }
        let policy = Policy::deny_all(&view.name.gateway())?;
        let now = clock::now();
        if let Written::Good(renewal) = self.put(view, &policy, &uid, now).await? {
            self.touch(view, &policy, &uid);
            let key = Key::Gateway(view.name.clone());
            self.shared.queue().push_after(key, now.until(renewal));
        }
        Ok(())
    }
}

/// Pods whose sidecar was injected for this gateway object; ended ones keep nothing.
fn bound_to<'v>(view: &'v View, uid: &str) -> impl Iterator<Item = &'v Arc<Pod>> {
    view.bound.iter().filter(move |pod| {
        let binding = pod.binding.as_ref();
        !pod.ended && binding.is_some_and(|binding| binding.uid == uid)
    })
}

/// Whether the gateway has changed in what a pod is given when it is made.
fn is_outdated(pod: &Pod, gateway: &Stored<McpGateway>) -> bool {
    match (&pod.binding, &gateway.spec) {
        (Some(binding), Ok(spec)) => inject::is_outdated(&binding.flags, spec),
        (None, _) | (_, Err(_)) => false,
    }
}

fn obstacle(view: &View, policy: &Policy) -> Option<Obstacle> {
    if let Some(what) = view.unreadable.first() {
        return Some(Obstacle::Invalid(what.clone()));
    }
    let own = policy
        .mistakes
        .iter()
        .find(|mistake| mistake.object.kind == "McpGateway");
    if let Some(mistake) = own {
        return Some(Obstacle::Invalid(mistake.to_string()));
    }
    if let Some(below) = policy.below.first() {
        return Some(Obstacle::BelowGuardrail(below.to_string()));
    }
    (!view.lost.is_empty()).then(|| Obstacle::SelectorConflict(view.lost.clone()))
}
