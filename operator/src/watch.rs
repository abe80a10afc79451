//! Keeps the index true to the API server: one watch a kind for the whole process.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Client};
use sallyport_crds::{McpAccessPolicy, McpGateway, McpGuardrail};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::distribute::names::BUNDLE_OF;
use crate::index::{BundleMap, Index, Indexed, ObjectName, Pod, Stored};
use crate::queue::Queue;

/// The index as everybody in the process shares it. Locks are held for look-ups, never while anything is awaited.
#[derive(Clone, Debug)]
pub struct Shared {
    index: Arc<RwLock<Index>>,
    queue: Arc<Queue>,
    synced: Arc<watch::Sender<bool>>,
}

impl Shared {
    #[must_use]
    pub fn new(queue: Arc<Queue>) -> Self {
        Self {
            index: Arc::default(),
            queue,
            synced: Arc::new(watch::Sender::new(false)),
        }
    }

    pub fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    #[must_use]
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Waits until every kind was listed once: half of the sources would make another policy.
    pub async fn until_synced(&self) {
        let mut synced = self.synced.subscribe();
        // The sender lives as long as this does.
        synced.wait_for(|synced| *synced).await.ok();
    }

    /// Watches every kind, for as long as the process runs.
    pub async fn follow(&self, client: &Client) {
        let bundles = Config::default().labels(BUNDLE_OF);
        tokio::join!(
            self.kind::<Stored<McpGateway>>(client, Config::default()),
            self.kind::<Stored<McpAccessPolicy>>(client, Config::default()),
            self.kind::<Stored<McpGuardrail>>(client, Config::default()),
            self.kind::<Pod>(client, Config::default()),
            self.kind::<PartialObjectMeta<Namespace>>(client, Config::default()),
            self.kind::<BundleMap>(client, bundles),
        );
    }

    async fn kind<K: Indexed + DeserializeOwned>(&self, client: &Client, config: Config) {
        self.drain(watcher(Api::<K>::all(client.clone()), config))
            .await;
    }

    async fn drain<K: Indexed>(&self, events: impl Stream<Item = watcher::Result<Event<K>>>) {
        let mut listing = Vec::new();
        let mut events = std::pin::pin!(events.default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.take(event, &mut listing),
                Err(error) => {
                    tracing::warn!(kind = &*K::kind(&()), %error, "watch interrupted; trying again");
                }
            }
        }
    }

    fn take<K: Indexed>(&self, event: Event<K>, listing: &mut Vec<K>) {
        let keys = match event {
            Event::Apply(object) => self.write().applied(object),
            Event::Delete(object) => self.write().deleted::<K>(&ObjectName::of(&object)),
            Event::Init => {
                listing.clear();
                return;
            }
            Event::InitApply(mut object) => {
                object.trim();
                listing.push(object);
                return;
            }
            Event::InitDone => {
                let mut index = self.write();
                let keys = index.listed(std::mem::take(listing));
                self.synced.send_if_modified(|synced| {
                    let before = std::mem::replace(synced, index.is_synced());
                    before != *synced
                });
                keys
            }
        };
        self.queue.push(keys);
    }
}
