//! Approvals kept as files of a state folder, decided over a local socket (standalone, law 24).
//!
//! [`store`] writes files, [`keeper`] is the thread that owns them, [`socket`] lets people in. This file is the
//! handle: it sends jobs to the keeper and waits for their answers.

mod address;
mod keeper;
mod socket;
mod store;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc as jobs;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sallyport_policy::approval::{Claim, Outcome, Terms};
use sallyport_policy::name::{CallId, Digest, Issuer, RequestId};
use tokio::sync::{broadcast, mpsc, oneshot};

pub(super) use self::address::with_short_path;
use self::keeper::{Keeper, Memory, Outlets};
pub use self::socket::{Listening, SocketError, SocketOptions};
pub use self::store::Probe;
use self::store::Store;
pub use self::window::{WindowBook, WindowTerms};
use super::desk::{Ask, AskError, ConsumeError, Consumed, Grant, Revoked, StoreError, Ticket};
use super::notify::Announcement;
use super::port::{ApprovalPort, UseRef};
use crate::clock::Clock;

/// How many revocations and changes may wait for a slow listener.
const BACKLOG: usize = 1024;
/// How often the clock is looked at while something can end by itself.
const TICK: Duration = Duration::from_millis(200);
/// How often old requests are looked for.
const PURGE_EVERY: Duration = Duration::from_secs(3600);

/// How approvals are kept.
pub struct LocalOptions {
    /// The state folder.
    pub state: PathBuf,
    pub clock: Arc<dyn Clock>,
    /// The issuers that a reviewer's name belongs to: the standalone one and the gateway's first, for which it
    /// stands in (law 10).
    pub issuers: BTreeSet<Issuer>,
    /// Where new requests are announced.
    pub announce: Option<mpsc::Sender<Announcement>>,
    /// How long after a use that ended well known its racing repeats still hear of it.
    pub settle: Duration,
    /// How long closed requests stay in the folder.
    pub keep: Duration,
    /// Told after each step that touches the disk.
    pub probe: Probe,
}

impl LocalOptions {
    #[must_use]
    pub fn new(state: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            state: state.to_owned(),
            clock,
            issuers: BTreeSet::new(),
            announce: None,
            settle: Duration::from_secs(60),
            keep: Duration::from_secs(30 * 24 * 3600),
            probe: Arc::new(|_| ()),
        }
    }
}

impl std::fmt::Debug for LocalOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalOptions({})", self.state.display())
    }
}

/// The keeper's handle. Cheap to clone; when the last one is gone the folder is let go.
#[derive(Clone, Debug)]
pub struct LocalDesk {
    jobs: jobs::Sender<Job>,
    revoked: broadcast::Sender<Revoked>,
    changed: broadcast::Sender<RequestId>,
    state: PathBuf,
}

/// One thing to do in the keeper's thread.
struct Job(Box<dyn FnOnce(&mut Keeper) + Send>);

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

impl LocalDesk {
    /// Opens the folder; waits up to 2 s for a process that is just ending. Blocks, so call it while starting.
    pub fn open(options: LocalOptions) -> Result<Self, StoreError> {
        let LocalOptions {
            state,
            clock,
            issuers,
            announce,
            settle,
            keep,
            probe,
        } = options;
        let store = Store::open(&state, probe)?;
        let revoked = broadcast::Sender::new(BACKLOG);
        let changed = broadcast::Sender::new(BACKLOG);
        let outlets = Outlets {
            revoked: revoked.clone(),
            changed: changed.clone(),
            opened: announce,
        };
        let keeper = Keeper::open(store, clock, Memory { settle, keep }, outlets, issuers)?;
        let (jobs, inbox) = jobs::channel();
        thread::Builder::new()
            .name("approvals".to_owned())
            .spawn(move || serve(keeper, &inbox))
            .map_err(|error| StoreError::Disk {
                what: "start the keeper of approvals".to_owned(),
                why: error.to_string(),
            })?;
        Ok(Self {
            jobs,
            revoked,
            changed,
            state,
        })
    }

    /// A policy change may change the gateway's first issuer.
    pub async fn set_issuers(&self, issuers: BTreeSet<Issuer>) -> Result<(), StoreError> {
        self.run(move |keeper| keeper.set_issuers(issuers)).await
    }

    /// Opens a window that somebody asked for ahead.
    pub async fn open_window(&self, terms: Terms, limit: u32) -> Result<Ticket, AskError> {
        self.run(move |keeper| keeper.open_request(terms, limit))
            .await?
    }

    /// Does `job` in the keeper's thread. The job is on its way when this returns, and is done even if nobody
    /// awaits the answer.
    fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Keeper) -> R + Send + 'static,
    ) -> BoxFuture<'static, Result<R, StoreError>> {
        let (answer, answered) = oneshot::channel();
        let sent = self.jobs.send(Job(Box::new(move |keeper| {
            answer.send(job(keeper)).ok();
        })));
        async move {
            sent.map_err(|_| StoreError::Stopped)?;
            answered.await.map_err(|_| StoreError::Stopped)
        }
        .boxed()
    }
}

/// The keeper's thread: jobs in order, and time in between.
fn serve(mut keeper: Keeper, inbox: &jobs::Receiver<Job>) {
    let mut until_purge = PURGE_EVERY;
    loop {
        let wait = match keeper.next_edge() {
            Some(_) => TICK,
            None => PURGE_EVERY,
        };
        match inbox.recv_timeout(wait) {
            Ok(Job(job)) => {
                keeper.sweep();
                job(&mut keeper);
            }
            Err(jobs::RecvTimeoutError::Timeout) => {
                keeper.sweep();
                until_purge = until_purge.saturating_sub(wait);
            }
            Err(jobs::RecvTimeoutError::Disconnected) => return,
        }
        if until_purge.is_zero() {
            keeper.purge();
            until_purge = PURGE_EVERY;
        }
    }
}

impl ApprovalPort for LocalDesk {
    fn ask(&self, ask: Ask) -> BoxFuture<'static, Result<Ticket, AskError>> {
        let asked = self.run(move |keeper| keeper.ask(&ask));
        async move { asked.await? }.boxed()
    }

    fn grants_for(&self, claim: Claim) -> BoxFuture<'static, Result<Vec<Grant>, StoreError>> {
        self.run(move |keeper| keeper.grants_for(&claim))
    }

    fn consume(
        &self,
        request: RequestId,
        claim: Claim,
        call: CallId,
    ) -> BoxFuture<'static, Result<Consumed, ConsumeError>> {
        let port = Arc::new(self.clone());
        let used = self.run(move |keeper| {
            let used = keeper.consume(&request, &claim, &call)?;
            Ok(Consumed::new(used, port))
        });
        async move { used.await? }.boxed()
    }

    fn take_up(
        &self,
        state: Digest,
        claim: Claim,
        call: CallId,
    ) -> BoxFuture<'static, Result<Consumed, ConsumeError>> {
        let port = Arc::new(self.clone());
        let taken = self.run(move |keeper| {
            let taken = keeper.take_up(&state, &claim, &call)?;
            Ok(Consumed::new(taken, port))
        });
        async move { taken.await? }.boxed()
    }

    fn finish(&self, of: UseRef, outcome: Outcome) -> BoxFuture<'static, Result<(), StoreError>> {
        let finished = self.run(move |keeper| keeper.finish(&of, outcome));
        async move { finished.await? }.boxed()
    }

    fn expect(&self, of: UseRef, state: Digest) -> BoxFuture<'static, Result<(), StoreError>> {
        let expected = self.run(move |keeper| keeper.expect(&of, state));
        async move { expected.await? }.boxed()
    }

    fn abandon(&self, of: UseRef) {
        let job = Job(Box::new(move |keeper| {
            if let Err(error) = keeper.finish(&of, Outcome::Unknown) {
                // The next start finds the use still open and says the same.
                tracing::warn!(request = %of.request, %error, "an abandoned use could not be written down");
            }
        }));
        self.jobs.send(job).ok();
    }

    fn revocations(&self) -> broadcast::Receiver<Revoked> {
        self.revoked.subscribe()
    }
}
