//! What the operator is told of the policy in force, and what it may ask: to look, and not to go below a generation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sallyport_policy::name::Revision;
use sallyport_policy::time::UnixMillis;
use tokio::sync::Notify;

/// What is in force, as far as anybody outside needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// None: no verified policy, everything is denied.
    pub revision: Option<Revision>,
    /// The highest generation ever seen.
    pub generation: u64,
    pub not_after: Option<UnixMillis>,
    /// Why what lies in the folder is not in force.
    pub refused: Option<String>,
}

/// Makes the folder be looked into at once.
#[derive(Clone, Debug, Default)]
pub struct Urge(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    minimum: AtomicU64,
    notify: Notify,
}

impl Urge {
    pub fn look(&self) {
        self.0.notify.notify_one();
    }

    /// Nothing below may be put in force from now on.
    pub fn at_least(&self, generation: u64) {
        self.0.minimum.fetch_max(generation, Ordering::Relaxed);
        self.look();
    }

    pub(super) fn minimum(&self) -> u64 {
        self.0.minimum.load(Ordering::Relaxed)
    }

    pub(super) async fn urged(&self) {
        self.0.notify.notified().await;
    }
}
