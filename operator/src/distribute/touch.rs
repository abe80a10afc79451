//! Touches pods, so that the kubelet refreshes their volumes in a second instead of a minute.
//!
//! A touch may reach the kubelet before the ConfigMaps do, and nothing tells: so it is repeated, twice, unless the
//! pod's sidecar says meanwhile that it enforces the revision. The number of touches a second has a bound.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use sallyport_policy::name::Revision;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

use crate::FIELD_MANAGER;
use crate::control::Roster;
use crate::index::ObjectName;
use crate::metrics::Metrics;

/// The bundle that a pod should enforce.
pub const REVISION: &str = "sallyport.dev/revision";
/// Changes with each repetition, as writing the same again is no change that anybody hears of.
pub const TOUCHED: &str = "sallyport.dev/touched";

/// When a touch is repeated, after the one before.
const AGAIN: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(500)];
/// Touches at once, and how far apart they begin beyond the first ones.
const AT_ONCE: usize = 16;
const APART: Duration = Duration::from_millis(10);
/// Touches that may begin without waiting for each other.
const BURST: u32 = 100;

/// Touches pods within a rate.
#[derive(Clone, Debug)]
pub struct Toucher {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    roster: Roster,
    metrics: Metrics,
    slots: Semaphore,
    pace: Mutex<Instant>,
    /// What is being touched to which revision, so that one pod is not touched twice over.
    under_way: Mutex<BTreeMap<ObjectName, Revision>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Toucher")
    }
}

impl Toucher {
    #[must_use]
    pub fn new(client: Client, roster: Roster, metrics: Metrics) -> Self {
        Self {
            inner: Arc::new(Inner {
                client,
                roster,
                metrics,
                slots: Semaphore::new(AT_ONCE),
                pace: Mutex::new(Instant::now()),
                under_way: Mutex::default(),
            }),
        }
    }

    /// Touches a pod to a revision, and again, in the background. A newer revision takes over.
    pub fn touch(&self, pod: ObjectName, uid: String, revision: Revision) {
        {
            let mut under_way = lock(&self.inner.under_way);
            if under_way.get(&pod) == Some(&revision) {
                return;
            }
            under_way.insert(pod.clone(), revision);
        }
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            inner.rounds(&pod, &uid, revision).await;
            let mut under_way = lock(&inner.under_way);
            if under_way.get(&pod) == Some(&revision) {
                under_way.remove(&pod);
            }
        });
    }
}

impl Inner {
    async fn rounds(&self, pod: &ObjectName, uid: &str, revision: Revision) {
        self.once(pod, uid, revision, 1).await;
        for (round, pause) in (2..).zip(AGAIN) {
            sleep(pause).await;
            let taken_over = lock(&self.under_way).get(pod) != Some(&revision);
            if taken_over || self.roster.enforces(uid, &revision) {
                return;
            }
            self.once(pod, uid, revision, round).await;
        }
    }

    async fn once(&self, pod: &ObjectName, uid: &str, revision: Revision, round: u32) {
        sleep_until(self.turn()).await;
        // Closed never: the semaphore lives as long as this does.
        let _slot = self.slots.acquire().await.ok();
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace);
        let patch = json!({
            "metadata": {
                // The pod that was meant, not one of its name that came after it.
                "uid": uid,
                "annotations": { REVISION: revision.to_string(), TOUCHED: round.to_string() },
            },
        });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match api
            .patch_metadata(&pod.name, &params, &Patch::Merge(&patch))
            .await
        {
            Ok(_) => {
                self.metrics.touches.inc();
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => {
                tracing::warn!(%pod, %error, "pod not touched: its volume is refreshed later");
            }
        }
    }

    /// When the next touch may begin.
    fn turn(&self) -> Instant {
        let mut pace = lock(&self.pace);
        let now = Instant::now();
        let earliest = now.checked_sub(APART * BURST).unwrap_or(now);
        *pace = (*pace).max(earliest) + APART;
        (*pace).max(now)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
