//! The one thread that owns all requests of a state folder.
//!
//! Everything that changes a request happens here, one job after the other, and is on disk before its answer
//! leaves. So a race of any number of callers has exactly one winner, without a lock that anybody could hold too
//! long. Memory follows the disk, never the other way round: a write that fails changes nothing.

mod calls;
mod load;
mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sallyport_policy::approval::object::{RequestObject, ReviewObject};
use sallyport_policy::approval::{Case, Closing, Verdict};
use sallyport_policy::name::{Issuer, RequestId};
use sallyport_policy::time::UnixMillis;
use tokio::sync::{broadcast, mpsc, watch};

pub(super) use self::people::{Peer, WordError};
use super::store::Store;
use crate::clock::Clock;
use crate::hold::desk::{Revoked, Spoken, Status, StoreError};
use crate::hold::notify::Announcement;

/// What the keeper tells whoever listens.
#[derive(Debug)]
pub(super) struct Outlets {
    pub(super) revoked: broadcast::Sender<Revoked>,
    pub(super) changed: broadcast::Sender<RequestId>,
    pub(super) opened: Option<mpsc::Sender<Announcement>>,
}

/// How long things are remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// How long after a use that ended well known its racing repeats still hear of it.
    pub(super) settle: Duration,
    /// How long closed requests stay in the folder.
    pub(super) keep: Duration,
}

/// All requests of one state folder.
#[derive(Debug)]
pub(super) struct Keeper {
    store: Store,
    clock: Arc<dyn Clock>,
    /// The latest time seen: a clock that is set back must not bring anything back to life.
    latest: UnixMillis,
    memory: Memory,
    outlets: Outlets,
    /// The issuers that a reviewer's name belongs to (law 10).
    issuers: BTreeSet<Issuer>,
    entries: BTreeMap<RequestId, Entry>,
    /// Those that a call may still join, use or end.
    live: BTreeSet<RequestId>,
}

#[derive(Debug)]
struct Entry {
    case: Case,
    version: u64,
    reviews: Vec<ReviewObject>,
    status: watch::Sender<Status>,
}

impl Keeper {
    /// Reads the folder. Uses that were running when the last process ended are written down as unknown.
    pub(super) fn open(
        store: Store,
        clock: Arc<dyn Clock>,
        memory: Memory,
        outlets: Outlets,
        issuers: BTreeSet<Issuer>,
    ) -> Result<Self, StoreError> {
        let mut keeper = Self {
            latest: clock.now(),
            store,
            clock,
            memory,
            outlets,
            issuers,
            entries: BTreeMap::new(),
            live: BTreeSet::new(),
        };
        keeper.load()?;
        keeper.end_orphans()?;
        Ok(keeper)
    }

    /// Whose names reviewers bear.
    pub(super) fn set_issuers(&mut self, issuers: BTreeSet<Issuer>) {
        self.issuers = issuers;
    }

    /// The present, for terms that are made outside.
    pub(super) fn present(&mut self) -> UnixMillis {
        self.now()
    }

    /// Time that never goes back.
    fn now(&mut self) -> UnixMillis {
        self.latest = self.latest.max(self.clock.now());
        self.latest
    }

    /// Moves on whatever time has ended. Called before every job.
    pub(super) fn sweep(&mut self) {
        let now = self.now();
        let ids: Vec<RequestId> = self.live.iter().cloned().collect();
        for id in ids {
            let Some(entry) = self.entries.get(&id) else {
                continue;
            };
            let ended = entry.case.edge().is_some_and(|edge| edge <= now);
            if ended {
                let next = entry.case.clone().at(now);
                // The file only tells readers what the clock says anyway; memory must move on regardless.
                if let Err(error) = self.commit(&id, next.clone()) {
                    tracing::warn!(request = %id, %error, "the end of a request could not be written");
                    self.publish(&id, next);
                }
            }
            self.retire(&id, now);
        }
    }

    fn retire(&mut self, id: &RequestId, now: UnixMillis) {
        let keeps = self.entries.get(id).is_some_and(|entry| {
            let waits = entry.case.uses().iter().any(|open| open.ended.is_none());
            waits || entry.case.joinable(now, self.memory.settle)
        });
        if !keeps {
            self.live.remove(id);
        }
    }

    /// Forgets what was closed long ago.
    pub(super) fn purge(&mut self) {
        let now = self.now();
        let old: Vec<RequestId> = self
            .entries
            .iter()
            .filter(|(id, entry)| {
                !self.live.contains(*id) && entry.case.since().after(self.memory.keep) < now
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in old {
            if let Some(entry) = self.entries.remove(&id) {
                let reviews: Vec<String> = entry
                    .reviews
                    .into_iter()
                    .map(|review| review.metadata.name)
                    .collect();
                if let Err(error) = self.store.remove(&id, &reviews) {
                    tracing::warn!(request = %id, %error, "an old request could not be removed");
                }
            }
        }
    }

    /// When something ends by itself next.
    pub(super) fn next_edge(&self) -> Option<UnixMillis> {
        let live = self.live.iter().filter_map(|id| self.entries.get(id));
        live.filter_map(|entry| entry.case.edge()).min()
    }

    /// Writes the next state of a request, then makes it the present one.
    fn commit(&mut self, id: &RequestId, next: Case) -> Result<(), StoreError> {
        let Some(entry) = self.entries.get_mut(id) else {
            return Ok(());
        };
        let version = entry.version.saturating_add(1);
        let object = object_of(id, &next, version)?;
        self.store.write_request(&object, Some(entry.version))?;
        entry.version = version;
        self.publish(id, next);
        Ok(())
    }

    fn publish(&mut self, id: &RequestId, next: Case) {
        if let Some(entry) = self.entries.get_mut(id) {
            let status = status_of(&next);
            entry.case = next;
            entry.status.send_if_modified(|present| {
                let news = *present != status;
                *present = status;
                news
            });
            self.outlets.changed.send(id.clone()).ok();
        }
    }
}

fn object_of(id: &RequestId, case: &Case, version: u64) -> Result<RequestObject, StoreError> {
    RequestObject::of_case(id, case, version).map_err(|error| StoreError::Disk {
        what: format!("write `{id}`"),
        why: error.to_string(),
    })
}

fn approvers(case: &Case) -> Vec<Spoken> {
    let approving = case
        .voices()
        .iter()
        .filter(|voice| voice.verdict == Verdict::Approve);
    approving
        .map(|voice| Spoken {
            user: voice.by.username.clone(),
            assurance: voice.by.assurance,
            uid: voice.by.uid,
            reason: voice.reason.clone(),
        })
        .collect()
}

fn status_of(case: &Case) -> Status {
    let terms = case.terms();
    let by = case.settled_by();
    let name = by
        .map(|voice| voice.by.username.clone())
        .unwrap_or_default();
    let reason = by.and_then(|voice| voice.reason.clone());
    match case {
        Case::Pending(_) => Status::Pending {
            since: terms.opened,
            expires: terms.expires,
        },
        Case::Approved(approved) => Status::Approved {
            ends: approved.ends(),
            by: approvers(case),
        },
        Case::Closed(closed) => match closed.why() {
            Closing::Denied => Status::Denied {
                by: name,
                reason,
                until: terms.expires,
            },
            Closing::Expired => Status::Expired,
            Closing::Withdrawn => Status::Withdrawn,
            Closing::Consumed => Status::Used {
                outcome: case.outcome(),
            },
            Closing::Revoked => Status::Revoked { by: name, reason },
        },
    }
}
