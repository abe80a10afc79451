//! Which recording a call belongs to: one chain a (principal, client, idle time), law 30.
//!
//! Not the protocol's sessions: the newest revision has none, and one caller may hold many of the older ones.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sallyport_policy::mcp::revision::Revision;
use sallyport_policy::name::SessionId;
use sallyport_policy::principal::CallerKey;
use sallyport_policy::record::event::{SessionBegan, SessionEnd};
use sallyport_policy::time::UnixMillis;

use crate::clock::Clock;
use crate::gateway::InForce;
use crate::identity::Verified;
use crate::idle::{InUse, LastUse};
use crate::record::Recorder;

/// The open recordings by caller.
#[derive(Debug, Default)]
pub struct Journal(Mutex<HashMap<CallerKey, Open>>);

#[derive(Clone, Debug)]
struct Open {
    session: SessionId,
    used: Arc<LastUse>,
}

impl Open {
    fn to_write(&self, clock: &Arc<dyn Clock>) -> Recording {
        Recording {
            session: self.session.clone(),
            used: self.used.begin(clock),
        }
    }
}

/// A recording that stays open for as long as somebody writes into it.
#[derive(Debug)]
pub struct Recording {
    pub session: SessionId,
    pub used: InUse,
}

/// What is told of a session beside its caller.
#[derive(Clone, Debug)]
pub struct Circumstances {
    pub protocol: Revision,
    pub transport: &'static str,
    pub source: IpAddr,
    /// `clientInfo`, told, never trusted.
    pub claimed_client: Option<String>,
}

impl Journal {
    /// The caller's open recording, or a new one.
    pub fn session(
        &self,
        recorder: &Recorder,
        policy: &InForce,
        caller: &Verified,
        clock: &Arc<dyn Clock>,
        circumstances: impl FnOnce() -> Circumstances,
    ) -> Recording {
        let now = clock.now();
        let idle = policy.bundle.settings().limits.session_idle;
        let mut open = self.lock();
        if let Some(known) = open.get_mut(&**caller.key()) {
            if !known.used.is_over(now, idle) {
                return known.to_write(clock);
            }
            drop(recorder.end_session(&known.session, SessionEnd::Idle));
        }
        let began = began(policy, caller, circumstances());
        let session = recorder.begin_session(began);
        let opened = Open {
            session,
            used: LastUse::new(now),
        };
        let recording = opened.to_write(clock);
        open.insert(CallerKey::clone(caller.key()), opened);
        recording
    }

    /// Ends recordings that nobody has used for `idle`.
    pub fn sweep(&self, recorder: &Recorder, now: UnixMillis, idle: Duration) {
        self.lock().retain(|_, known| {
            let live = !known.used.is_over(now, idle);
            if !live {
                drop(recorder.end_session(&known.session, SessionEnd::Idle));
            }
            live
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallerKey, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn began(policy: &InForce, caller: &Verified, told: Circumstances) -> SessionBegan {
    let principal = caller.principal();
    SessionBegan {
        caller: CallerKey::clone(caller.key()),
        email: principal.email.clone(),
        groups: principal.groups.clone(),
        anonymous: principal.anonymous,
        gateway: policy.bundle.gateway().clone(),
        revision: Some(policy.bundle.revision()),
        protocol: Some(told.protocol.to_string()),
        transport: Some(told.transport.to_owned()),
        source: Some(told.source),
        claimed_client: told.claimed_client,
    }
}
