//! What people ask of the keeper, over the socket.

use std::collections::BTreeSet;

use sallyport_policy::approval::object::{RequestObject, ReviewObject};
use sallyport_policy::approval::{
    Approver, Assurance, Case, Closing, Names, Refusal, Verdict, Voice,
};
use sallyport_policy::name::RequestId;
use sallyport_policy::time::UnixMillis;

use super::{Keeper, object_of};
use crate::hold::desk::{Revoked, StoreError};
use crate::hold::protocol::Word;

/// Who is at the other end of the socket.
#[derive(Clone, Copy, Debug)]
pub(in crate::hold::local) struct Peer {
    pub(in crate::hold::local) uid: u32,
    /// With an approver group: the guard's own account, which bears any name and approves under none.
    pub(in crate::hold::local) beside: Option<u32>,
}

/// Why a word was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::hold::local) enum WordError {
    #[error("request `{0}` is not known; `sallyport requests` lists them")]
    Unknown(RequestId),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(
        "account {uid} has reviewed as `{before}` before; with --approver-group an account has one name, and a name one account"
    )]
    OtherName { uid: u32, before: String },
    #[error("`{0}` did not make this request, so cannot withdraw it; deny it instead")]
    NotTheRequester(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Keeper {
    /// Hears a review. Its file is written first: it is the fact, the request's status only tells of it.
    pub(in crate::hold::local) fn review(
        &mut self,
        word: &Word,
        peer: Peer,
    ) -> Result<(), WordError> {
        let now = self.now();
        let entry = self.entries.get(&word.name);
        let entry = entry.ok_or_else(|| WordError::Unknown(word.name.clone()))?;
        self.bears_its_name(word, peer)?;
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

    /// What the machine proves of an approver is the account. So that one account is not counted as two people, nor
    /// two as one, name and account stay together once they were seen together (law 24).
    fn bears_its_name(&self, word: &Word, peer: Peer) -> Result<(), WordError> {
        let Some(guard) = peer.beside.filter(|guard| *guard != peer.uid) else {
            return Ok(());
        };
        let own = Names::new([word.by.as_str()]);
        let reviews = self.entries.values().flat_map(|entry| &entry.reviews);
        let mut others = reviews.filter_map(|review| {
            let by = &review.spec.by;
            let uid = by.uid.filter(|uid| *uid != guard)?;
            let same_name = own.may_be(&Names::new([by.username.as_str()]));
            (same_name != (uid == peer.uid)).then(|| (uid, by.username.clone()))
        });
        match others.next() {
            Some((uid, before)) => Err(WordError::OtherName { uid, before }),
            None => Ok(()),
        }
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
    pub(in crate::hold::local) fn withdraw(
        &mut self,
        id: &RequestId,
        by: &str,
    ) -> Result<(), WordError> {
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
    pub(in crate::hold::local) fn seen(
        &self,
        id: &RequestId,
    ) -> Result<(RequestObject, Vec<ReviewObject>), WordError> {
        let entry = self.entries.get(id);
        let entry = entry.ok_or_else(|| WordError::Unknown(id.clone()))?;
        let object = object_of(id, &entry.case, entry.version)?;
        Ok((object, entry.reviews.clone()))
    }

    /// All requests, oldest first.
    pub(in crate::hold::local) fn list(&self) -> Result<Vec<RequestObject>, StoreError> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(id, entry)| (entry.case.terms().opened, (*id).clone()));
        let objects = entries.into_iter();
        objects
            .map(|(id, entry)| object_of(id, &entry.case, entry.version))
            .collect()
    }
}
