//! What the data path asks of the keeper.

use sallyport_policy::approval::{Case, Claim, Outcome, Scope, Terms};
use sallyport_policy::decide::GrantUse;
use sallyport_policy::name::{CallId, Digest, RequestId};
use sallyport_policy::time::UnixMillis;
use tokio::sync::watch;

use super::{Entry, Keeper, object_of, status_of};
use crate::hold::desk::{Ask, AskError, ConsumeError, Consumption, Grant, StoreError, Ticket};
use crate::hold::notify::Announcement;
use crate::hold::port::UseRef;

impl Keeper {
    /// See [`crate::hold::Desk::ask`].
    pub(in crate::hold::local) fn ask(&mut self, ask: &Ask) -> Result<Ticket, AskError> {
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
    pub(in crate::hold::local) fn open_request(
        &mut self,
        terms: Terms,
        limit: u32,
    ) -> Result<Ticket, AskError> {
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
    pub(in crate::hold::local) fn grants_for(&self, claim: &Claim) -> Vec<Grant> {
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
    pub(in crate::hold::local) fn consume(
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
    pub(in crate::hold::local) fn take_up(
        &mut self,
        state: &Digest,
        claim: &Claim,
        call: &CallId,
    ) -> Result<Consumption, ConsumeError> {
        let now = self.now();
        // One that was revoked while it was parked is no longer live, and its next leg must hear that.
        let known = self.live.iter().chain(self.entries.keys());
        let waiting = known.into_iter().find(|id| {
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
    pub(in crate::hold::local) fn finish(
        &mut self,
        of: &UseRef,
        outcome: Outcome,
    ) -> Result<(), StoreError> {
        let now = self.now();
        self.change_use(of, |case| case.finish(&of.call, outcome, now))
    }

    /// Writes that a use waits for another leg.
    pub(in crate::hold::local) fn expect(
        &mut self,
        of: &UseRef,
        state: Digest,
    ) -> Result<(), StoreError> {
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
}
