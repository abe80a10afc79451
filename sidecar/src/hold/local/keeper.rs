//! The one thread that owns all requests of a state folder.
//!
//! Everything that changes a request happens here, one job after the other, and is on disk before its answer
//! leaves. So a race of any number of callers has exactly one winner, without a lock that anybody could hold too
//! long. Memory follows the disk, never the other way round: a write that fails changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sallyport_policy::approval::object::{RequestObject, ReviewObject, restore};
use sallyport_policy::approval::{
    Approver, Assurance, Case, Claim, Closing, Names, Outcome, Refusal, Scope, Terms, Verdict,
    Voice,
};
use sallyport_policy::decide::GrantUse;
use sallyport_policy::name::{CallId, Digest, Issuer, RequestId};
use sallyport_policy::time::UnixMillis;
use tokio::sync::{broadcast, mpsc, watch};

use super::store::Store;
use crate::clock::Clock;
use crate::hold::desk::{
    Ask, AskError, ConsumeError, Consumption, Grant, Revoked, Status, StoreError, Ticket,
};
use crate::hold::notify::Announcement;
use crate::hold::port::UseRef;
use crate::hold::protocol::Word;

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

/// Who is at the other end of the socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) uid: u32,
}

/// Why a word was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WordError {
    #[error("request `{0}` is not known; `sallyport requests` lists them")]
    Unknown(RequestId),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("`{0}` did not make this request, so cannot withdraw it; deny it instead")]
    NotTheRequester(String),
    #[error(transparent)]
    Store(#[from] StoreError),
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

    fn load(&mut self) -> Result<(), StoreError> {
        let contents = self.store.load()?;
        for problem in &contents.unreadable {
            tracing::warn!(%problem, "an approval file is left out; nothing in it gives anybody anything");
        }
        let mut reviews: BTreeMap<String, Vec<ReviewObject>> = BTreeMap::new();
        for review in contents.reviews {
            let of = review.spec.request_ref.name.clone();
            reviews.entry(of).or_default().push(review);
        }
        for object in contents.requests {
            let reviews = reviews.remove(&object.metadata.name).unwrap_or_default();
            self.load_request(&object, reviews);
        }
        Ok(())
    }

    fn load_request(&mut self, object: &RequestObject, reviews: Vec<ReviewObject>) {
        let id = RequestId::new(object.metadata.name.as_str());
        let now = self.now();
        let voices: Result<Vec<Voice>, _> = reviews
            .iter()
            .map(|review| review.to_voice(&self.issuers))
            .collect();
        let restored = voices.and_then(|voices| restore(object, voices, now));
        let (case, refusals) = match restored {
            Ok(restored) => restored,
            Err(problem) => {
                tracing::warn!(request = %id, %problem, "a request is left out; nothing in it gives anybody anything");
                return;
            }
        };
        for refusal in refusals {
            tracing::warn!(request = %id, %refusal, "a stored review does not count");
        }
        let version = object.metadata.resource_version.parse().unwrap_or(0);
        let entry = Entry {
            status: watch::Sender::new(status_of(&case)),
            case,
            version,
            reviews,
        };
        self.entries.insert(id.clone(), entry);
        self.live.insert(id);
    }

    /// Nobody waits for these any more: the process that ran them is gone.
    fn end_orphans(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        let ids: Vec<RequestId> = self.entries.keys().cloned().collect();
        for id in ids {
            let Some(entry) = self.entries.get(&id) else {
                continue;
            };
            let mut case = entry.case.clone();
            let orphans: Vec<CallId> = case
                .uses()
                .iter()
                .filter(|open| open.ended.is_none() && open.continuation.is_none())
                .map(|open| open.call.clone())
                .collect();
            for orphan in &orphans {
                case.finish(orphan, Outcome::Unknown, now);
            }
            if !orphans.is_empty() {
                self.commit(&id, case)?;
            }
        }
        self.sweep();
        Ok(())
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

    /// See [`crate::hold::Desk::ask`].
    pub(super) fn ask(&mut self, ask: &Ask) -> Result<Ticket, AskError> {
        let now = self.now();
        if ask.rules.is_empty() {
            return Err(AskError::NothingToApprove);
        }
        if let Some(ticket) = self.join(&ask.claim(), now) {
            return Ok(ticket);
        }
        let limit = ask.settings.max_pending;
        self.open_request(ask.terms(now), limit)
    }

    /// The newest request that an identical call belongs to.
    fn join(&self, claim: &Claim, now: UnixMillis) -> Option<Ticket> {
        let (id, entry) = self
            .live
            .iter()
            .filter_map(|id| Some((id, self.entries.get(id)?)))
            .filter(|(_, entry)| entry.case.joinable(now, self.memory.settle))
            .filter(|(_, entry)| entry.case.terms().covers(claim).is_ok())
            .max_by_key(|(_, entry)| entry.case.terms().opened)?;
        Some(Ticket::new(id.clone(), entry.status.subscribe(), true))
    }

    /// Opens a request on these terms, whoever asks.
    pub(super) fn open_request(&mut self, terms: Terms, limit: u32) -> Result<Ticket, AskError> {
        if let Some(rule) = terms.rules.iter().find(|rule| rule.approvers.is_empty()) {
            return Err(AskError::NoApprovers(rule.id.to_string()));
        }
        let pending = self.pending_of(&terms);
        if u32::try_from(pending).unwrap_or(u32::MAX) >= limit {
            return Err(AskError::TooManyPending { limit });
        }
        let id = self.fresh_id()?;
        let case = Case::open(terms);
        let object = object_of(&id, &case, 1)?;
        self.store.write_request(&object, None)?;
        self.announce(&id, &case);
        let (status, receiver) = watch::channel(status_of(&case));
        let entry = Entry {
            case,
            version: 1,
            reviews: Vec::new(),
            status,
        };
        self.entries.insert(id.clone(), entry);
        self.live.insert(id.clone());
        self.outlets.changed.send(id.clone()).ok();
        Ok(Ticket::new(id, receiver, false))
    }

    fn pending_of(&self, terms: &Terms) -> usize {
        let live = self.live.iter().filter_map(|id| self.entries.get(id));
        live.filter(|entry| matches!(entry.case, Case::Pending(_)))
            .filter(|entry| entry.case.terms().requester.key == terms.requester.key)
            .count()
    }

    /// Nobody listening, or a full queue, is no reason to refuse the request: it can be seen in the list.
    fn announce(&self, id: &RequestId, case: &Case) {
        if let Some(opened) = &self.outlets.opened
            && opened.try_send(Announcement::of(id, case.terms())).is_err()
        {
            tracing::warn!(request = %id, "too many announcements wait; this one is left out");
        }
    }

    fn fresh_id(&self) -> Result<RequestId, StoreError> {
        loop {
            let mut random = [0; 5];
            aws_lc_rs::rand::fill(&mut random).map_err(|_| StoreError::Disk {
                what: "name a request".to_owned(),
                why: "no random numbers".to_owned(),
            })?;
            let id = RequestId::new(format!("req-{}", hex::encode(random)));
            if !self.entries.contains_key(&id) {
                return Ok(id);
            }
        }
    }

    /// See [`crate::hold::Desk::grants_for`].
    pub(super) fn grants_for(&self, claim: &Claim) -> Vec<Grant> {
        let live = self
            .live
            .iter()
            .filter_map(|id| Some((id, self.entries.get(id)?)));
        live.filter_map(
            |(id, entry)| match (&entry.case, &entry.case.terms().scope) {
                (Case::Approved(approved), Scope::Tool(window))
                    if entry.case.terms().covers(claim).is_ok() =>
                {
                    Some(Grant {
                        request: id.clone(),
                        ends: approved.ends(),
                        uses_left: approved.uses_left(),
                        when: window.when.clone(),
                    })
                }
                (Case::Approved(_) | Case::Pending(_) | Case::Closed(_), _) => None,
            },
        )
        .collect()
    }

    /// See [`crate::hold::Desk::consume`].
    pub(super) fn consume(
        &mut self,
        id: &RequestId,
        claim: &Claim,
        call: &CallId,
    ) -> Result<Consumption, ConsumeError> {
        let now = self.now();
        let entry = self.entries.get(id);
        let entry = entry.ok_or_else(|| ConsumeError::Unknown(id.clone()))?;
        let used = entry.case.clone().consume(claim, call.clone(), now);
        let used = used.map_err(|(_, refusal)| refusal)?;
        self.commit(id, used)?;
        self.consumption(id, claim, call)
    }

    /// See [`crate::hold::Desk::continuation`].
    pub(super) fn take_up(
        &mut self,
        state: &Digest,
        claim: &Claim,
        call: &CallId,
    ) -> Result<Consumption, ConsumeError> {
        let now = self.now();
        let waiting = self.live.iter().find(|id| {
            let entry = self.entries.get(id);
            entry.is_some_and(|entry| entry.case.expects(state))
        });
        let id = waiting.cloned().ok_or(ConsumeError::NoSuchLeg)?;
        let entry = self.entries.get(&id).ok_or(ConsumeError::NoSuchLeg)?;
        let mut case = entry.case.clone();
        case.take_up(state, claim, call.clone(), now)?;
        self.commit(&id, case)?;
        self.consumption(&id, claim, call)
    }

    fn consumption(
        &self,
        id: &RequestId,
        claim: &Claim,
        call: &CallId,
    ) -> Result<Consumption, ConsumeError> {
        let entry = self.entries.get(id);
        let entry = entry.ok_or_else(|| ConsumeError::Unknown(id.clone()))?;
        Ok(Consumption {
            of: UseRef {
                request: id.clone(),
                call: call.clone(),
            },
            grant: GrantUse::consumed(id.clone(), claim.rules.clone()),
            opened_under: entry.case.terms().revision,
            status: entry.status.subscribe(),
        })
    }

    /// Writes how a use ended. A use that has ended already keeps its first outcome.
    pub(super) fn finish(&mut self, of: &UseRef, outcome: Outcome) -> Result<(), StoreError> {
        let now = self.now();
        self.change_use(of, |case| case.finish(&of.call, outcome, now))
    }

    /// Writes that a use waits for another leg.
    pub(super) fn expect(&mut self, of: &UseRef, state: Digest) -> Result<(), StoreError> {
        self.change_use(of, |case| case.expect(&of.call, state))
    }

    fn change_use(
        &mut self,
        of: &UseRef,
        change: impl FnOnce(&mut Case) -> bool,
    ) -> Result<(), StoreError> {
        let Some(entry) = self.entries.get(&of.request) else {
            return Ok(());
        };
        let mut case = entry.case.clone();
        if change(&mut case) {
            self.commit(&of.request, case)?;
        }
        Ok(())
    }

    /// Hears a review. Its file is written first: it is the fact, the request's status only tells of it.
    pub(super) fn review(&mut self, word: &Word, peer: Peer) -> Result<(), WordError> {
        let now = self.now();
        let entry = self.entries.get(&word.name);
        let entry = entry.ok_or_else(|| WordError::Unknown(word.name.clone()))?;
        let voice = self.voice_of(word, peer, now);
        let heard = entry.case.clone().hear(voice.clone());
        let next = heard.map_err(|(_, refusal)| refusal)?;
        let name = format!("{}-{:03}", word.name, entry.reviews.len() + 1);
        let gateway = &entry.case.terms().gateway;
        let review = ReviewObject::of_voice(&name, &word.name, gateway, &voice);
        self.store.write_review(&review)?;
        if let Some(entry) = self.entries.get_mut(&word.name) {
            entry.reviews.push(review);
        }
        if let Err(error) = self.commit(&word.name, next.clone()) {
            tracing::warn!(request = %word.name, %error, "a review counts, but its request's file could not be written");
            self.publish(&word.name, next.clone());
        }
        if next.closing() == Some(Closing::Revoked) && voice.verdict == Verdict::Revoke {
            self.tell_revoked(&word.name, &next);
        }
        Ok(())
    }

    fn voice_of(&self, word: &Word, peer: Peer, at: UnixMillis) -> Voice {
        Voice {
            by: Approver {
                username: word.by.trim().to_owned(),
                groups: word.groups.iter().cloned().collect(),
                issuers: self.issuers.clone(),
                aliases: BTreeSet::new(),
                assurance: Assurance::Asserted,
                uid: Some(peer.uid),
            },
            verdict: word.verdict,
            reason: word.reason.clone(),
            preview: word.preview_digest,
            at,
        }
    }

    fn tell_revoked(&self, id: &RequestId, case: &Case) {
        let running = case.uses().iter().filter(|open| open.ended.is_none());
        let revoked = Revoked {
            request: id.clone(),
            calls: running.map(|open| open.call.clone()).collect(),
        };
        self.outlets.revoked.send(revoked).ok();
    }

    /// The requester takes a request back.
    pub(super) fn withdraw(&mut self, id: &RequestId, by: &str) -> Result<(), WordError> {
        let now = self.now();
        let entry = self.entries.get(id);
        let entry = entry.ok_or_else(|| WordError::Unknown(id.clone()))?;
        if !entry.case.terms().requester.names.may_be(&Names::new([by])) {
            return Err(WordError::NotTheRequester(by.to_owned()));
        }
        let withdrawn = entry.case.clone().withdraw(now);
        let withdrawn = withdrawn.map_err(|(_, refusal)| refusal)?;
        self.commit(id, withdrawn)?;
        Ok(())
    }

    /// One request and its reviews.
    pub(super) fn seen(
        &self,
        id: &RequestId,
    ) -> Result<(RequestObject, Vec<ReviewObject>), WordError> {
        let entry = self.entries.get(id);
        let entry = entry.ok_or_else(|| WordError::Unknown(id.clone()))?;
        let object = object_of(id, &entry.case, entry.version)?;
        Ok((object, entry.reviews.clone()))
    }

    /// All requests, oldest first.
    pub(super) fn list(&self) -> Result<Vec<RequestObject>, StoreError> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(id, entry)| (entry.case.terms().opened, (*id).clone()));
        let objects = entries.into_iter();
        objects
            .map(|(id, entry)| object_of(id, &entry.case, entry.version))
            .collect()
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
