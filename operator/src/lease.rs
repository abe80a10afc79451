//! One of the replicas leads: it alone writes. The others serve webhooks and wait.
//!
//! A Lease, as client libraries of Kubernetes use it. Time is measured by our own clock between two sights of the same
//! renewal, so that clocks of nodes need not agree; a leader that could not renew stops before another may begin.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The Lease, in the operator's namespace.
pub const NAME: &str = "sallyport-operator";
/// A lease that was not renewed for so long may be taken.
const LIFE: Duration = Duration::from_secs(15);
/// A leader that could not renew for so long stops.
const DEADLINE: Duration = Duration::from_secs(10);
const RENEW: Duration = Duration::from_secs(3);
const TRY: Duration = Duration::from_secs(2);

/// A candidate.
pub struct Candidate {
    pub client: Client,
    pub namespace: String,
    /// Our name in the lease, different for each process.
    pub identity: String,
    pub leading: watch::Sender<bool>,
    pub stop: CancellationToken,
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Candidate")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// The last renewal that was seen, and when we saw it.
struct Sight {
    holder: Option<String>,
    renewed: Option<Timestamp>,
    at: Instant,
}

/// Waits until this replica leads, or leads no more.
pub async fn until(leading: &mut watch::Receiver<bool>, leads: bool) {
    // The sender lives as long as the process.
    leading.wait_for(|now| *now == leads).await.map(drop).ok();
}

impl Candidate {
    /// Leads whenever it can, until asked to stop; then gives the lease back.
    pub async fn run(self) {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut sight = None;
        let mut renewed = Instant::now();
        loop {
            let attempt = tokio::time::timeout(RENEW, self.attempt(&api, &mut sight));
            match attempt.await {
                Ok(Ok(true)) => {
                    renewed = Instant::now();
                    self.lead(true);
                }
                Ok(Ok(false)) => self.lead(false),
                Ok(Err(error)) => tracing::warn!(%error, "the lease cannot be renewed"),
                Err(_) => tracing::warn!("the API server takes too long to renew the lease"),
            }
            let leads = *self.leading.borrow();
            if leads && renewed.elapsed() >= DEADLINE {
                self.lead(false);
            }
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(if leads { RENEW } else { TRY }) => {}
            }
        }
        if *self.leading.borrow() {
            self.lead(false);
            // What cannot be given back runs out by itself.
            tokio::time::timeout(RENEW, self.give_back(&api)).await.ok();
        }
    }

    fn lead(&self, leads: bool) {
        let changed = self.leading.send_if_modified(|before| {
            let changed = *before != leads;
            *before = leads;
            changed
        });
        if changed {
            tracing::info!(identity = self.identity, leads, "leadership");
        }
    }

    /// Whether we hold the lease now.
    async fn attempt(&self, api: &Api<Lease>, sight: &mut Option<Sight>) -> kube::Result<bool> {
        let Some(lease) = api.get_opt(NAME).await? else {
            let lease = self.lease(ObjectMeta::default(), None);
            return won(api.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec
            .holder_identity
            .clone()
            .filter(|holder| !holder.is_empty());
        let renewed = spec.renew_time.as_ref().map(|time| time.0);
        let same = sight
            .as_ref()
            .is_some_and(|sight| sight.holder == holder && sight.renewed == renewed);
        if !same {
            *sight = Some(Sight {
                holder: holder.clone(),
                renewed,
                at: Instant::now(),
            });
        }
        let ours = holder.as_ref() == Some(&self.identity);
        let over = sight
            .as_ref()
            .is_some_and(|sight| sight.at.elapsed() >= LIFE);
        if holder.is_some() && !ours && !over {
            return Ok(false);
        }
        let lease = self.lease(lease.metadata, ours.then_some(spec));
        won(api.replace(NAME, &PostParams::default(), &lease).await)
    }

    fn lease(&self, mut metadata: ObjectMeta, held: Option<LeaseSpec>) -> Lease {
        metadata.name = Some(NAME.to_owned());
        metadata.managed_fields = None;
        let now = MicroTime(Timestamp::now());
        let held = held.unwrap_or_default();
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                acquire_time: held.acquire_time.or_else(|| Some(now.clone())),
                renew_time: Some(now),
                lease_duration_seconds: i32::try_from(LIFE.as_secs()).ok(),
                ..LeaseSpec::default()
            }),
        }
    }

    async fn give_back(&self, api: &Api<Lease>) -> kube::Result<()> {
        let Some(mut lease) = api.get_opt(NAME).await? else {
            return Ok(());
        };
        let Some(spec) = &mut lease.spec else {
            return Ok(());
        };
        if spec.holder_identity.as_ref() == Some(&self.identity) {
            spec.holder_identity = None;
            api.replace(NAME, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }
}

/// Somebody else was faster: that is no error.
fn won(written: kube::Result<Lease>) -> kube::Result<bool> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
