//! The state of one running guard, and the policy in force as one immutable value.
//!
//! What a request needs is read once from [`Gateway::in_force`] at its start, so no call ever sees half of one policy
//! and half of another. Nothing in here decides; `guard.rs` does.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderName;
use ipnet::IpNet;
use sallyport_policy::approval::BindingKey;
use sallyport_policy::bundle::Bundle;
use sallyport_policy::decide::Budgets;
use sallyport_policy::mask::Masker;
use sallyport_policy::record::event::{Event, PolicyChanged};
use sallyport_policy::source::defaults::ANCHOR_EVERY;
use sallyport_policy::time::UnixMillis;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::answer::catalog::Catalog;
use crate::answer::tasks::Tasks;
use crate::clock::Clock;
use crate::hold::Desk;
use crate::identity::{Resources, Verifier};
use crate::inbound::head::{Names, Paths};
use crate::inbound::pipe::Pipes;
use crate::inbound::session::{Session, Sessions};
use crate::journal::Journal;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::record::{AnchorAt, Recorder, Terms};
use crate::upstream::Upstream;

/// Everything that a policy change replaces, together.
#[derive(Debug)]
pub struct InForce {
    pub bundle: Bundle,
    pub masker: Masker,
    pub verifier: Verifier,
    pub names: Names,
    /// Empty where the gateway has no public URL: then there is no metadata to point at.
    pub resources: Resources,
    /// Caller's headers that the server may see beyond MCP's own.
    pub forward: Vec<HeaderName>,
    pub recording: Terms,
    pub pins: PinMode,
    /// Whose word about a client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// What happens when a tool's definition changes after review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinMode {
    Quarantine,
    Alert,
    Disabled,
}

/// One guard in front of one server.
#[derive(Debug)]
pub struct Gateway {
    pub in_force: ArcSwap<InForce>,
    /// Counts policy changes; open streams are judged again when it moves.
    pub changes: watch::Sender<u64>,
    pub upstream: Upstream,
    pub sessions: Sessions,
    /// Open streams of the 2024-11-05 transport.
    pub pipes: Pipes,
    pub journal: Journal,
    pub recorder: Recorder,
    /// None where approvals are not kept: then every held call is refused.
    pub desk: Option<Desk>,
    pub binding: BindingKey,
    pub catalog: Catalog,
    pub tasks: Tasks,
    pub budgets: Mutex<Budgets>,
    pub memory: Memory,
    pub clock: Arc<dyn Clock>,
    pub metrics: Metrics,
    pub paths: Paths,
    /// Cancelled when the process should stop taking work.
    pub stop: CancellationToken,
}

impl Gateway {
    /// The policy in force now.
    pub fn policy(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    pub fn budgets(&self) -> MutexGuard<'_, Budgets> {
        // Counters stay usable whatever panicked beside them.
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a policy in force: whole, recorded, and with live streams told to look again.
    pub fn put_in_force(&self, next: InForce) {
        let to = next.bundle.revision();
        let gateway = next.bundle.gateway().clone();
        self.recorder.anchor_to(anchor(&next.bundle));
        let from = self.in_force.swap(Arc::new(next)).bundle.revision();
        let changed = Event::PolicyChanged(PolicyChanged {
            gateway,
            from: Some(from),
            to: Some(to),
        });
        drop(
            self.recorder
                .append(&self.recorder.writer(), changed, Vec::new()),
        );
        self.metrics.policy_swaps.inc();
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Ends what nobody has used for long; called now and then by whoever runs the gateway.
    pub async fn tidy(&self) {
        let policy = self.policy();
        let idle = policy.bundle.settings().limits.session_idle;
        let now = self.now();
        for session in self.sessions.sweep(now, idle) {
            self.finish(&session).await;
        }
        if let Upstream::Linked(server) = &self.upstream {
            server.sweep(idle).await;
        }
        self.journal.sweep(&self.recorder, now, idle);
        self.metrics
            .sessions
            .set(i64::try_from(self.sessions.len()).unwrap_or(i64::MAX));
    }

    /// Ends a session and its pipe to the server, if it has one.
    pub async fn end_session(&self, id: &str) {
        if let Some(session) = self.sessions.take(id) {
            self.finish(&session).await;
        }
    }

    async fn finish(&self, session: &Session) {
        session.end();
        if let (Upstream::Linked(server), Some(lane)) = (&self.upstream, session.lane()) {
            server.close(&lane).await;
        }
    }
}

/// Where a policy wants the heads of the recordings copied (law 33).
#[must_use]
pub fn anchor(bundle: &Bundle) -> Option<AnchorAt> {
    let anchor = bundle.settings().recording.anchor.as_ref()?;
    Some(AnchorAt {
        path: PathBuf::from(&anchor.file),
        every: anchor.every.unwrap_or(ANCHOR_EVERY).get(),
    })
}

/// How long work in flight may take to finish at shutdown.
pub const DRAIN: Duration = Duration::from_secs(20);
