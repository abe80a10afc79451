//! Protocol sessions of the legacy revisions: known only if this process saw their `initialize` answered, and
//! usable only by the principal and client that opened them (law 11). To anybody else they do not exist.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sallyport_policy::mcp::agreement::ServerCapabilities;
use sallyport_policy::mcp::message::Id;
use sallyport_policy::mcp::revision::Revision;
use sallyport_policy::principal::CallerKey;
use sallyport_policy::sse::Item;
use sallyport_policy::time::UnixMillis;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::answer::Flight;
use crate::clock::Clock;
use crate::identity::Verified;
use crate::idle::{InUse, LastUse};
use crate::upstream::Lane;

/// Most sessions of one process; an open one costs a few hundred bytes.
const MOST: usize = 65_536;
/// Server requests that may wait for an answer in one session.
const MOST_ASKED: usize = 256;
/// Calls whose answer a client may still fetch by resuming a stream.
const MOST_PARKED: usize = 64;

/// How the server behind knows a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behind {
    /// By the header value that it gave out itself; none where it keeps no sessions.
    Header(Option<String>),
    /// By the pipe that is this session's alone.
    Lane(Lane),
}

/// One open session.
#[derive(Debug)]
pub struct Session {
    pub id: String,
    pub caller: Arc<CallerKey>,
    pub revision: Revision,
    pub capabilities: ServerCapabilities,
    pub behind: Behind,
    /// Where messages go that answer no POST: set for clients of the 2024-11-05 transport.
    pub outlet: Option<mpsc::Sender<Item>>,
    /// Cancelled when the session ends, so that its streams end with it.
    pub ended: CancellationToken,
    used: Arc<LastUse>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// By the token with the latest `exp` that this principal has sent on the session (law 11).
    freshest: Arc<Verified>,
    /// Requests of the server that the client has not answered yet, and their methods.
    asked: HashMap<Id, &'static str>,
    /// Calls whose stream ended before their answer.
    parked: HashMap<Id, Flight>,
    /// Calls that wait for an approval.
    waiting: HashMap<Id, CancellationToken>,
}

/// What opens a session.
#[derive(Debug)]
pub struct Opening {
    pub id: String,
    pub revision: Revision,
    pub capabilities: ServerCapabilities,
    pub behind: Behind,
    pub outlet: Option<mpsc::Sender<Item>>,
}

/// The open sessions of one gateway.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<String, Arc<Session>>>);

/// Why a session cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error("the server gave out a session id that is another's or already in use")]
    Taken,
    #[error("too many sessions are open")]
    TooMany,
}

impl Sessions {
    /// Registers a session for `principal`; an id is given out once.
    pub fn open(
        &self,
        opening: Opening,
        verified: &Arc<Verified>,
        now: UnixMillis,
    ) -> Result<Arc<Session>, SessionError> {
        let mut sessions = self.lock();
        if sessions.contains_key(&opening.id) {
            return Err(SessionError::Taken);
        }
        if sessions.len() >= MOST {
            return Err(SessionError::TooMany);
        }
        let session = Arc::new(Session {
            id: opening.id,
            caller: Arc::clone(verified.key()),
            revision: opening.revision,
            capabilities: opening.capabilities,
            behind: opening.behind,
            outlet: opening.outlet,
            ended: CancellationToken::new(),
            used: LastUse::new(now),
            state: Mutex::new(State {
                freshest: Arc::clone(verified),
                asked: HashMap::new(),
                parked: HashMap::new(),
                waiting: HashMap::new(),
            }),
        });
        sessions.insert(session.id.clone(), Arc::clone(&session));
        Ok(session)
    }

    /// The session of this id if it is this principal's; for anybody else it does not exist.
    pub fn find(
        &self,
        id: &str,
        verified: &Arc<Verified>,
        now: UnixMillis,
    ) -> Option<Arc<Session>> {
        let session = self.lock().get(id).cloned()?;
        if session.caller != *verified.key() || session.ended.is_cancelled() {
            return None;
        }
        session.used.touch(now);
        session.refresh(verified);
        Some(session)
    }

    /// The session of this id, whoever asks: for those who keep it, not for callers.
    pub fn get(&self, id: &str) -> Option<Arc<Session>> {
        self.lock().get(id).cloned()
    }

    pub fn has(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }

    /// Forgets a session; whoever takes it ends it.
    pub fn take(&self, id: &str) -> Option<Arc<Session>> {
        self.lock().remove(id)
    }

    /// Forgets a session and ends its streams.
    pub fn close(&self, id: &str) {
        if let Some(session) = self.take(id) {
            session.end();
        }
    }

    /// Takes out the sessions that nobody has used for `idle`.
    pub fn sweep(&self, now: UnixMillis, idle: Duration) -> Vec<Arc<Session>> {
        let mut gone = Vec::new();
        self.lock().retain(|_, session| {
            let live = !session.used.is_over(now, idle) && !session.ended.is_cancelled();
            if !live {
                gone.push(Arc::clone(session));
            }
            live
        });
        gone
    }

    /// All open sessions, for lists and for ending them.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.lock().values().cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Ends the session's streams and waiting calls.
    pub fn end(&self) {
        self.ended.cancel();
        let mut state = self.lock();
        for waiting in state.waiting.values() {
            waiting.cancel();
        }
        // Dropping a parked call ends its record as unknown.
        state.parked.clear();
        state.asked.clear();
    }

    /// A call of this session begins; as long as it lasts the session is not idle.
    pub fn begin(&self, clock: &Arc<dyn Clock>) -> InUse {
        self.used.begin(clock)
    }

    /// The pipe to the server, where there is one.
    pub fn lane(&self) -> Option<Lane> {
        match &self.behind {
            Behind::Header(_) => None,
            Behind::Lane(lane) => Some(lane.clone()),
        }
    }

    /// The principal by the freshest token it has sent here: what a stream may stay open by (law 11).
    pub fn freshest(&self) -> Arc<Verified> {
        Arc::clone(&self.lock().freshest)
    }

    fn refresh(&self, verified: &Arc<Verified>) {
        let mut state = self.lock();
        if expiry(verified) > expiry(&state.freshest) {
            state.freshest = Arc::clone(verified);
        }
    }

    /// Remembers a request of the server; false if too many are open or the id is in use.
    pub fn ask(&self, id: &Id, method: &'static str) -> bool {
        let mut state = self.lock();
        if state.asked.len() >= MOST_ASKED || state.asked.contains_key(id) {
            return false;
        }
        state.asked.insert(id.clone(), method);
        true
    }

    /// The method of the server's request that the client may answer under this id; once.
    pub fn answer(&self, id: &Id) -> Option<&'static str> {
        self.lock().asked.remove(id)
    }

    /// Keeps a call whose stream ended early, so that its answer is still judged when the client resumes.
    pub fn park(&self, mut flight: Flight) {
        flight.park();
        let mut state = self.lock();
        if state.parked.len() < MOST_PARKED {
            state.parked.insert(flight.id().clone(), flight);
        }
    }

    /// The parked call that this answer belongs to.
    pub fn resume(&self, id: &Id) -> Option<Flight> {
        self.lock().parked.remove(id)
    }

    /// Registers a call that waits for an approval, so that `cancelled` can reach it.
    pub fn wait(&self, id: &Id) -> CancellationToken {
        let token = CancellationToken::new();
        self.lock().waiting.insert(id.clone(), token.clone());
        token
    }

    /// The call waits no more.
    pub fn waited(&self, id: &Id) {
        self.lock().waiting.remove(id);
    }

    /// Ends the waiting of a call; true if it was waiting here.
    pub fn cancel(&self, id: &Id) -> bool {
        let waiting = self.lock().waiting.remove(id);
        waiting.is_some_and(|token| {
            token.cancel();
            true
        })
    }

    /// Sends on the session's own stream; false where there is none or nobody reads it.
    pub async fn emit(&self, data: Bytes) -> bool {
        match &self.outlet {
            Some(outlet) => outlet
                .send(Item::Event(sallyport_policy::sse::Event::message(data)))
                .await
                .is_ok(),
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn expiry(verified: &Verified) -> i64 {
    verified.principal().expires_at.map_or(i64::MAX, |at| at.0)
}
