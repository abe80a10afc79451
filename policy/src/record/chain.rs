//! Chains: one per session, each event naming the hash of the one before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{CallId, Digest, SessionId};
use crate::time::UnixMillis;

use super::event::{Event, Outcome, PayloadKind};

/// Where in a chain an event stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventRef {
    pub session: SessionId,
    /// From 0, without holes.
    pub seq: u64,
    /// SHA-256 of the event's JSON as it stands in the segment.
    pub hash: Digest,
}

/// The last event of one chain.
pub type ChainHead = EventRef;

/// An event as it stands in a segment. Its hash is the SHA-256 of its JSON, so it covers `prev` and all payload digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventRecord {
    pub session: SessionId,
    pub seq: u64,
    /// Hash of the session's event before this one; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Digest>,
    pub at: UnixMillis,
    pub event: Event,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<PayloadRef>,
}

/// A payload that lies apart: what it is, where it is, and its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PayloadRef {
    pub kind: PayloadKind,
    pub digest: Digest,
    pub length: u64,
    /// Number of the payload file, the same as its segment's.
    pub file: u64,
    pub offset: u64,
}

/// A chain that can still grow, as the head of a segment carries it over from the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Carried {
    pub head: ChainHead,
    /// Calls without their terminal event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub open: BTreeMap<CallId, Progress>,
}

/// How far an open call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Progress {
    Requested,
    /// The server may have been given it.
    Forwarded,
    /// The client may have been given the server's answer. The head of a segment does not tell this apart.
    #[serde(rename = "forwarded", skip_deserializing)]
    Answered,
    /// The same with an error.
    #[serde(rename = "forwarded", skip_deserializing)]
    Failed,
}

impl Progress {
    /// How a call ends that got so far and whose task is gone: as answered where that is on record, since an answer
    /// goes out only after its event.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Requested | Self::Forwarded => Outcome::Unknown,
            Self::Answered => Outcome::Succeeded,
            Self::Failed => Outcome::Failed,
        }
    }

    /// Whether the server may have been given the call.
    #[must_use]
    pub fn executed(self) -> bool {
        match self {
            Self::Requested => false,
            Self::Forwarded | Self::Answered | Self::Failed => true,
        }
    }
}

/// Why an event does not fit its chain. Always the writer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("session `{0}` is not open")]
    NoSession(SessionId),
    #[error("session `{0}` has begun already")]
    BeganTwice(SessionId),
    #[error("call `{0}` is not open")]
    NoCall(CallId),
    #[error("call `{0}` is open already")]
    CallTwice(CallId),
}

/// All chains that can still grow, and the heads that no checkpoint has covered yet.
#[derive(Clone, Debug, Default)]
pub struct Chains {
    open: BTreeMap<SessionId, Carried>,
    unsigned: BTreeMap<SessionId, ChainHead>,
    /// Open calls of all sessions.
    calls: usize,
}

impl Chains {
    /// As the head of a segment tells them.
    #[must_use]
    pub fn from_carried(carried: &[Carried]) -> Self {
        let open = carried
            .iter()
            .map(|chain| (chain.head.session.clone(), chain.clone()))
            .collect();
        Self {
            open,
            unsigned: BTreeMap::new(),
            calls: carried.iter().map(|chain| chain.open.len()).sum(),
        }
    }

    #[must_use]
    pub fn carried(&self) -> Vec<Carried> {
        self.open.values().cloned().collect()
    }

    /// The next event of a session, linked to the one before.
    ///
    /// # Errors
    /// The session is not open, or the event breaks law 30: exactly one terminal event for each call.
    pub fn link(
        &self,
        session: &SessionId,
        at: UnixMillis,
        event: Event,
        payloads: Vec<PayloadRef>,
    ) -> Result<EventRecord, ChainError> {
        let chain = self.open.get(session);
        let begins = matches!(event, Event::SessionBegan(_) | Event::WriterBegan(_));
        let (seq, prev) = match chain {
            None if begins => (0, None),
            None => return Err(ChainError::NoSession(session.clone())),
            Some(_) if begins => return Err(ChainError::BeganTwice(session.clone())),
            Some(chain) => (chain.head.seq + 1, Some(chain.head.hash)),
        };
        check_call(chain, &event)?;
        let session = session.clone();
        Ok(EventRecord {
            session,
            seq,
            prev,
            at,
            event,
            payloads,
        })
    }

    /// Takes an event as the new head of its chain, without judging it.
    pub fn accept(&mut self, record: &EventRecord, hash: Digest) {
        let session = record.session.clone();
        let head = ChainHead {
            session: session.clone(),
            seq: record.seq,
            hash,
        };
        self.unsigned.insert(session.clone(), head.clone());
        if matches!(record.event, Event::SessionEnded(_) | Event::WriterEnded(_)) {
            let ended = self.open.remove(&session);
            self.calls -= ended.map_or(0, |chain| chain.open.len());
            return;
        }
        let chain = self.open.entry(session).or_insert_with(|| Carried {
            head: head.clone(),
            open: BTreeMap::new(),
        });
        chain.head = head;
        if let Event::CallRequested(event) = &record.event {
            let before = chain.open.insert(event.call.clone(), Progress::Requested);
            self.calls += usize::from(before.is_none());
        } else if let Event::Forwarded(event) = &record.event {
            if let Some(progress) = chain.open.get_mut(&event.call) {
                *progress = Progress::Forwarded;
            }
        } else if let Event::Answered(event) = &record.event
            && event.status.is_some()
        {
            // Without a status the server's answer was withheld, and only the end tells what became of it.
            if let Some(progress) = chain.open.get_mut(&event.call) {
                *progress = if event.is_error {
                    Progress::Failed
                } else {
                    Progress::Answered
                };
            }
        } else if let Event::CallEnded(event) = &record.event {
            self.calls -= usize::from(chain.open.remove(&event.call).is_some());
        }
    }

    #[must_use]
    pub fn is_open(&self, session: &SessionId) -> bool {
        self.open.contains_key(session)
    }

    /// Sessions that can still grow, oldest first.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionId> {
        self.open.keys().cloned().collect()
    }

    /// Calls of a session without their terminal event.
    #[must_use]
    pub fn open_calls(&self, session: &SessionId) -> Vec<(CallId, Progress)> {
        self.open.get(session).map_or_else(Vec::new, |chain| {
            let calls = chain.open.iter();
            calls
                .map(|(call, progress)| (call.clone(), *progress))
                .collect()
        })
    }

    /// How many sessions and calls have not had their terminal event, so that its space can be kept free.
    #[must_use]
    pub fn open_counts(&self) -> (usize, usize) {
        (self.open.len(), self.calls)
    }

    /// Heads of all chains that grew since the last checkpoint.
    #[must_use]
    pub fn unsigned(&self) -> Vec<ChainHead> {
        self.unsigned.values().cloned().collect()
    }

    /// How many heads the next checkpoint names.
    #[must_use]
    pub fn unsigned_count(&self) -> usize {
        self.unsigned.len()
    }

    /// A checkpoint has covered everything so far.
    pub fn signed(&mut self) {
        self.unsigned.clear();
    }
}

fn check_call(chain: Option<&Carried>, event: &Event) -> Result<(), ChainError> {
    let is_open = |call: &CallId| chain.is_some_and(|chain| chain.open.contains_key(call));
    if let Event::CallRequested(event) = event
        && is_open(&event.call)
    {
        return Err(ChainError::CallTwice(event.call.clone()));
    }
    if let Event::CallEnded(event) = event
        && !is_open(&event.call)
    {
        return Err(ChainError::NoCall(event.call.clone()));
    }
    Ok(())
}
