//! What happens when something changes, one file a kind. Level-triggered: each looks at what is and does what is missing,
//! however it came to that. Only the leader does any of it.

mod gateway;
mod guardrail;
mod outcome;
mod policy;
mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::control::Roster;
use crate::distribute::touch::Toucher;
use crate::distribute::{SealError, Signer};
use crate::index::{Indexed, Key};
use crate::metrics::{Kind, Metrics, Outcome, Reconciled};
use crate::watch::Shared;

pub use outcome::Outcomes;

/// Things worked on at once: most of the time is spent waiting for the API server.
const WORKERS: usize = 8;
/// How long after its start a leader takes sidecars that it has not heard of yet for what they were last.
const GRACE: Duration = Duration::from_secs(20);

/// What all controllers share.
pub struct Context {
    pub client: Client,
    pub shared: Shared,
    pub signer: Signer,
    pub roster: Roster,
    pub toucher: Toucher,
    pub events: Recorder,
    pub metrics: Metrics,
    pub outcomes: Outcomes,
    /// Since when this replica leads.
    pub since: Instant,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context")
    }
}

/// Why something is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    #[error("the API server: {0}")]
    Api(#[from] kube::Error),
    #[error("a request cannot be written: {0}")]
    Request(#[from] kube::core::request::Error),
    #[error("the policy cannot be compiled: {0}")]
    Bundle(#[from] sallyport_policy::bundle::BundleError),
    #[error("the policy cannot be signed: {0}")]
    Seal(#[from] SealError),
}

/// Works on what is queued until `stop`. Everything is looked at once first.
pub async fn lead(context: Arc<Context>, stop: CancellationToken) {
    let queue = context.shared.queue();
    queue.clear();
    queue.push(context.shared.read().all());
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (context, stop) = (Arc::clone(&context), stop.clone());
        workers.spawn(async move { stop.run_until_cancelled(work(&context)).await });
    }
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a controller ended badly");
        }
    }
}

async fn work(context: &Context) {
    let queue = context.shared.queue();
    loop {
        let key = queue.next().await;
        let begun = Instant::now();
        let done = context.reconcile(&key).await;
        if let Err(error) = &done {
            tracing::warn!(%key, %error, "trying again");
        }
        queue.done(&key, done.is_ok());
        context.count(&key, done.is_ok(), begun.elapsed());
    }
}

impl Context {
    async fn reconcile(&self, key: &Key) -> Result<(), ControllerError> {
        match key {
            Key::Gateway(name) => self.gateway(name).await,
            Key::Policy(name) => self.policy(name).await,
            Key::Guardrail(name) => self.guardrail(name).await,
        }
    }

    fn count(&self, key: &Key, good: bool, took: Duration) {
        let kind = match key {
            Key::Gateway(_) => Kind::Gateway,
            Key::Policy(_) => Kind::Policy,
            Key::Guardrail(_) => Kind::Guardrail,
        };
        let outcome = if good { Outcome::Done } else { Outcome::Failed };
        let label = Reconciled { kind, outcome };
        self.metrics.reconciles.get_or_create(&label).inc();
        self.metrics.reconcile_seconds.observe(took.as_secs_f64());
    }

    fn is_new(&self) -> bool {
        self.since.elapsed() < GRACE
    }

    /// Tells people. An event that cannot be written is no reason to do anything again.
    async fn tell<K: Indexed>(&self, about: &K, type_: EventType, reason: &str, note: String) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note.chars().take(1000).collect()),
            action: "Distribute".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.events.publish(&event, &about.object_ref(&())).await {
            tracing::debug!(%error, reason, "an event is not written");
        }
    }
}
