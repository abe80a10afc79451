//! What each state can hear, and what it turns into.

use super::{
    Approved, Case, Closed, Closing, ConsumeRefusal, Facts, Outcome, Pending, Refused, Use, close,
};
use crate::approval::terms::Claim;
use crate::approval::voice::{Refusal, Verdict, Voice};
use crate::name::CallId;
use crate::time::UnixMillis;

impl Pending {
    pub(super) fn at(self, now: UnixMillis) -> Case {
        let expires = self.0.terms.expires;
        if now < expires {
            Case::Pending(self)
        } else {
            close(self.0, Closing::Expired, expires)
        }
    }

    pub(super) fn hear(mut self, voice: Voice) -> Result<Case, Refused<Refusal>> {
        if let Err(refusal) = voice.counts(&self.0.terms, &self.0.voices) {
            return Err((Case::Pending(self), refusal));
        }
        let (verdict, at) = (voice.verdict, voice.at);
        match verdict {
            Verdict::Approve => {
                self.0.voices.push(voice);
                Ok(self.approved_if_met(at))
            }
            Verdict::Deny => {
                self.0.voices.push(voice);
                Ok(close(self.0, Closing::Denied, at))
            }
            Verdict::Revoke => Err((Case::Pending(self), Refusal::NothingToRevoke)),
        }
    }

    fn approved_if_met(self, at: UnixMillis) -> Case {
        if !self.0.terms.met_by(&self.0.voices) {
            return Case::Pending(self);
        }
        let ends = at.after(self.0.terms.window);
        let approved = Approved {
            facts: self.0,
            ends,
        };
        approved.closed_if_spent(at)
    }
}

impl Approved {
    /// After this it cannot be used.
    #[must_use]
    pub fn ends(&self) -> UnixMillis {
        self.ends
    }

    /// How many uses are left; none where the window alone bounds it.
    #[must_use]
    pub fn uses_left(&self) -> Option<usize> {
        let most = self.facts.terms.scope.max_uses()?;
        Some(most.saturating_sub(self.facts.uses.len()))
    }

    pub(super) fn at(self, now: UnixMillis) -> Case {
        if now < self.ends {
            return Case::Approved(self);
        }
        let why = if self.facts.uses.is_empty() {
            Closing::Expired
        } else {
            Closing::Consumed
        };
        close(self.facts, why, self.ends)
    }

    pub(super) fn hear(self, voice: Voice) -> Result<Case, Refused<Refusal>> {
        if voice.verdict != Verdict::Revoke {
            return Err((Case::Approved(self), Refusal::Closed("approved")));
        }
        if let Err(refusal) = voice.counts(&self.facts.terms, &self.facts.voices) {
            return Err((Case::Approved(self), refusal));
        }
        Ok(revoke(self.facts, voice))
    }

    pub(super) fn consume(
        mut self,
        claim: &Claim,
        call: CallId,
        now: UnixMillis,
    ) -> Result<Case, Refused<ConsumeRefusal>> {
        if let Err(misfit) = self.facts.terms.covers(claim) {
            return Err((Case::Approved(self), misfit.into()));
        }
        self.facts.uses.push(Use {
            call,
            digest: claim.digest,
            revision: claim.revision,
            at: now,
            ended: None,
            continuation: None,
        });
        Ok(self.closed_if_spent(now))
    }

    fn closed_if_spent(self, at: UnixMillis) -> Case {
        if self.uses_left() == Some(0) {
            close(self.facts, Closing::Consumed, at)
        } else {
            Case::Approved(self)
        }
    }
}

impl Closed {
    #[must_use]
    pub fn why(&self) -> Closing {
        self.why
    }

    #[must_use]
    pub fn since(&self) -> UnixMillis {
        self.at
    }

    /// A used grant can be revoked while a call runs on it: that call is cancelled (law 22).
    pub(super) fn hear(self, voice: Voice) -> Result<Case, Refused<Refusal>> {
        let running = self.facts.uses.iter().any(|open| open.open_at(voice.at));
        let revocable = self.why == Closing::Consumed && running;
        if voice.verdict != Verdict::Revoke || !revocable {
            let refusal = Refusal::Closed(self.why.text());
            return Err((Case::Closed(self), refusal));
        }
        if let Err(refusal) = voice.counts(&self.facts.terms, &self.facts.voices) {
            return Err((Case::Closed(self), refusal));
        }
        Ok(revoke(self.facts, voice))
    }

    pub(super) fn refusal(&self) -> ConsumeRefusal {
        match self.why {
            Closing::Denied => ConsumeRefusal::Denied,
            Closing::Expired => ConsumeRefusal::Expired,
            Closing::Withdrawn => ConsumeRefusal::Withdrawn,
            Closing::Consumed => {
                let last = self.facts.uses.last().and_then(|last| last.ended);
                ConsumeRefusal::Used(last.map(|(_, outcome)| outcome))
            }
            Closing::Revoked => ConsumeRefusal::Revoked,
        }
    }
}

/// Takes the grant back. A call that runs on it hears so and ends its use by itself; one that is parked until its next
/// leg has nobody who could, and what it began may have taken effect (law 22).
fn revoke(mut facts: Box<Facts>, voice: Voice) -> Case {
    let at = voice.at;
    facts.voices.push(voice);
    let parked = facts
        .uses
        .iter_mut()
        .filter(|open| open.ended.is_none() && open.continuation.is_some());
    parked.for_each(|open| open.ended = Some((at, Outcome::Unknown)));
    close(facts, Closing::Revoked, at)
}
