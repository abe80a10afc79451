//! Servers that speak over one duplex pipe (stdio, HTTP+SSE), made to look like exchanges.
//!
//! Each session, or in the newest revision each caller, has a pipe of its own, so no two callers ever share one
//! (law 17). On a pipe, ids, progress tokens and subscription ids are ours: clients choose the same ones freely.

mod naming;
mod pipe;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sallyport_policy::decide::Permit;
use sallyport_policy::json::{Document, Limits};
use tokio::time::Instant;

use super::sse::{SseServer, connect};
use super::stdio::{StdioCommand, start};
use super::{Expects, Lane, Limit, Outbound, Reply, UpstreamError};
use pipe::Link;

/// A server that ends sooner than this after its start counts as failing.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// Pause after the second failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two starts of a failing server.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause that a caller waits for; beyond it, it is told.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How a pipe comes to be.
#[derive(Clone, Debug)]
pub enum Dial {
    Stdio(Box<StdioCommand>),
    Sse(Box<SseServer>),
}

/// A server with a pipe for each lane.
#[derive(Debug)]
pub struct LinkedServer {
    dial: Dial,
    /// Most pipes at once, `limits.children`.
    limit: Limit,
    lanes: Mutex<HashMap<Lane, Arc<Slot>>>,
    back_off: Arc<Mutex<BackOff>>,
}

/// The place of one lane's pipe. Its lock is held while the pipe opens, so that a slow start delays nobody else.
#[derive(Debug, Default)]
struct Slot(tokio::sync::Mutex<Option<Arc<Link>>>);

/// How starts are slowed down while servers end right after theirs.
#[derive(Debug, Default)]
struct BackOff {
    failures: u32,
    not_before: Option<Instant>,
}

impl LinkedServer {
    #[must_use]
    pub fn new(dial: Dial, limit: Limit) -> Self {
        Self {
            dial,
            limit,
            lanes: Mutex::default(),
            back_off: Arc::default(),
        }
    }

    pub(super) async fn send(
        &self,
        _permit: Permit,
        outbound: Outbound,
    ) -> Result<Reply, UpstreamError> {
        let document = Document::parse(outbound.body, Limits::REQUEST)
            .map_err(|error| UpstreamError::BrokeOff(error.to_string()))?;
        let link = self.link(&outbound.lane, opens(&document)).await?;
        match outbound.expects {
            Expects::Answer { id } => link.ask(&document, id).await,
            Expects::Nothing => {
                link.tell(&document).await?;
                Ok(Reply::Accepted)
            }
        }
    }

    pub(super) async fn listen(
        &self,
        _permit: Permit,
        lane: &Lane,
    ) -> Result<Reply, UpstreamError> {
        let link = self.link(lane, false).await?;
        Ok(Reply::Events {
            session: None,
            events: link.unasked(),
        })
    }

    pub(super) async fn end(&self, _permit: Permit, lane: &Lane) -> Result<Reply, UpstreamError> {
        self.close(lane).await;
        Ok(Reply::Accepted)
    }

    /// Ends a lane's server, if there is one.
    pub async fn close(&self, lane: &Lane) {
        let slot = lock(&self.lanes).remove(lane);
        if let Some(slot) = slot
            && let Some(link) = slot.0.lock().await.take()
        {
            link.stop.cancel();
        }
    }

    /// Ends servers of callers that nobody has used for `idle`; sessions are ended by whoever keeps them.
    pub async fn sweep(&self, idle: Duration) {
        lock(&self.lanes).retain(|lane, slot| {
            // One that opens at this moment is in use.
            let Ok(link) = slot.0.try_lock() else {
                return true;
            };
            let Some(link) = link.as_ref() else {
                return Arc::strong_count(slot) > 1;
            };
            let unused = matches!(lane, Lane::Caller(_)) && link.idle_for() > idle;
            if unused {
                link.stop.cancel();
            }
            !unused && !link.gone.is_cancelled()
        });
    }

    /// Ends every server and waits until they are gone, at most `limit`.
    pub async fn shut_down(&self, limit: Duration) {
        let slots: Vec<_> = lock(&self.lanes).drain().map(|(_, slot)| slot).collect();
        let all = async {
            let mut links = Vec::new();
            for slot in slots {
                links.extend(slot.0.lock().await.take());
            }
            for link in &links {
                link.stop.cancel();
            }
            for link in &links {
                link.gone.cancelled().await;
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!("a server process did not end in time");
        }
    }

    async fn link(&self, lane: &Lane, opens: bool) -> Result<Arc<Link>, UpstreamError> {
        let may_open = match lane {
            Lane::Session(_) => opens,
            Lane::Caller(_) => true,
        };
        let slot = self.slot(lane, may_open)?;
        let mut place = slot.0.lock().await;
        if let Some(link) = place.as_ref().filter(|link| !link.gone.is_cancelled()) {
            return Ok(Arc::clone(link));
        }
        if !may_open {
            // A session's server that died takes the session's state with it; a new one must be opened.
            return Err(UpstreamError::SessionGone);
        }
        let link = self.open().await?;
        *place = Some(Arc::clone(&link));
        Ok(link)
    }

    /// The lane's place, counted against the limit from before its server starts.
    fn slot(&self, lane: &Lane, may_open: bool) -> Result<Arc<Slot>, UpstreamError> {
        let mut lanes = lock(&self.lanes);
        if let Some(slot) = lanes.get(lane) {
            return Ok(Arc::clone(slot));
        }
        if !may_open {
            return Err(UpstreamError::SessionGone);
        }
        lanes.retain(|_, slot| slot.is_in_use());
        let limit = self.limit.now();
        if lanes.len() >= limit {
            return Err(UpstreamError::TooManyChildren(limit));
        }
        let slot = Arc::<Slot>::default();
        lanes.insert(lane.clone(), Arc::clone(&slot));
        Ok(slot)
    }

    async fn open(&self) -> Result<Arc<Link>, UpstreamError> {
        let pause = lock(&self.back_off).pause();
        if pause > LONGEST_WAIT {
            return Err(UpstreamError::Unreachable(format!(
                "it keeps ending right after its start; the next start is in {} s",
                pause.as_secs()
            )));
        }
        tokio::time::sleep(pause).await;
        let pipe = match &self.dial {
            Dial::Stdio(command) => {
                start(command).map_err(|error| UpstreamError::Unreachable(error.to_string()))
            }
            Dial::Sse(server) => connect(server).await,
        };
        let pipe = pipe.inspect_err(|_| lock(&self.back_off).failed())?;
        Ok(Link::over(pipe, Arc::clone(&self.back_off)))
    }
}

impl Slot {
    /// Whether a server runs here, or somebody is about to start one.
    fn is_in_use(self: &Arc<Self>) -> bool {
        match self.0.try_lock() {
            Ok(link) => match link.as_ref() {
                Some(link) => !link.gone.is_cancelled(),
                None => Arc::strong_count(self) > 1,
            },
            Err(_) => true,
        }
    }
}

impl BackOff {
    /// The first failure costs nothing, each further one doubles the pause.
    fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        let pause = match self.failures {
            0 | 1 => Duration::ZERO,
            more => FIRST_PAUSE.saturating_mul(1 << more.saturating_sub(2).min(16)),
        };
        self.not_before = Some(Instant::now() + pause.min(LONGEST_PAUSE));
    }

    /// How long the next start has to wait.
    fn pause(&self) -> Duration {
        self.not_before.map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(Instant::now())
        })
    }
}

fn opens(document: &Document) -> bool {
    let root = document.root();
    root.get("method")
        .and_then(|method| method.as_str())
        .is_some_and(|method| method == "initialize")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps of waiting exchanges stay usable whatever panicked beside them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
