//! The life of one access request as a state machine whose steps consume it.
//!
//! `Pending` turns `Approved` by enough voices, and anything turns `Closed`. Only `Approved` can be consumed, so
//! a denied, expired or used request cannot run a call by any path that compiles. [`Case::replay`] computes the
//! state from facts alone (terms, voices, uses, a withdrawal); what somebody wrote into `phase` is never read.

mod states;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::approval::terms::{Claim, Misfit, Scope, Terms};
use crate::approval::voice::{Refusal, Verdict, Voice};
use crate::name::{CallId, Digest, Revision};
use crate::time::UnixMillis;

/// How a use of a grant ended. Unknown: something may have happened (a crash, a lost connection, a revocation).
pub use crate::source::access::Outcome;

/// One use of a grant, written down before the first byte goes upstream (law 21).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Use {
    pub call: CallId,
    /// The digest of the call that used it.
    pub digest: Digest,
    /// The policy in force when it was used.
    pub revision: Revision,
    pub at: UnixMillis,
    /// None while it runs, or waits for its next leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<(UnixMillis, Outcome)>,
    /// The hash of the server's `requestState`: the one leg that may go on with this use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation: Option<Digest>,
}

impl Use {
    fn open_at(&self, at: UnixMillis) -> bool {
        self.ended.is_none_or(|(ended, _)| ended > at)
    }
}

/// The facts of a request.
#[derive(Clone, Debug)]
struct Facts {
    terms: Arc<Terms>,
    voices: Vec<Voice>,
    uses: Vec<Use>,
}

/// Waiting for reviews.
#[derive(Clone, Debug)]
pub struct Pending(Box<Facts>);

/// Approved, not used up, not ended.
#[derive(Clone, Debug)]
pub struct Approved {
    facts: Box<Facts>,
    ends: UnixMillis,
}

/// Nothing more can be decided or used. A use that has begun may still end, or be taken up by its next leg.
#[derive(Clone, Debug)]
pub struct Closed {
    facts: Box<Facts>,
    why: Closing,
    at: UnixMillis,
}

/// Why a request is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Closing {
    Denied,
    Expired,
    Withdrawn,
    /// Used up, or its window ended after some use.
    Consumed,
    Revoked,
}

impl Closing {
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Consumed => "used",
            Self::Revoked => "revoked",
        }
    }
}

/// A request in whatever state.
#[derive(Clone, Debug)]
pub enum Case {
    Pending(Pending),
    Approved(Approved),
    Closed(Closed),
}

/// Why a grant was not consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeRefusal {
    #[error("it is not approved yet")]
    Pending,
    #[error("it was denied")]
    Denied,
    #[error("it has expired")]
    Expired,
    #[error("it was withdrawn")]
    Withdrawn,
    /// The outcome of the last use; none while it runs.
    #[error("it was used already, {}", used(*.0))]
    Used(Option<Outcome>),
    #[error("it was revoked")]
    Revoked,
    #[error("it does not cover this call: {0}")]
    Misfit(#[from] Misfit),
    #[error("no use of it waits for this continuation")]
    NoSuchLeg,
}

fn used(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Succeeded) => "and the call succeeded",
        Some(Outcome::Failed) => "and the call failed",
        Some(Outcome::Unknown) => "outcome unknown",
        None => "and the call is still running",
    }
}

/// A step that was refused, with the case as it was.
pub type Refused<Reason> = (Case, Reason);

impl Case {
    #[must_use]
    pub fn open(terms: Terms) -> Self {
        Self::Pending(Pending(Box::new(Facts {
            terms: Arc::new(terms),
            voices: Vec::new(),
            uses: Vec::new(),
        })))
    }

    /// The state that follows from facts, as of `now`. Voices that do not count come back with the reason.
    #[must_use]
    pub fn replay(
        terms: Terms,
        mut voices: Vec<Voice>,
        uses: Vec<Use>,
        withdrawn: Option<UnixMillis>,
        now: UnixMillis,
    ) -> (Self, Vec<Refusal>) {
        voices.sort_by_key(|voice| voice.at);
        let mut case = Self::Pending(Pending(Box::new(Facts {
            terms: Arc::new(terms),
            voices: Vec::new(),
            uses,
        })));
        let mut refusals = Vec::new();
        for voice in voices {
            if let Some(at) = withdrawn.filter(|at| *at < voice.at) {
                case = case.withdraw(at).unwrap_or_else(|(case, _)| case);
            }
            case = case.hear(voice).unwrap_or_else(|(case, refusal)| {
                refusals.push(refusal);
                case
            });
        }
        if let Some(at) = withdrawn {
            case = case.withdraw(at).unwrap_or_else(|(case, _)| case);
        }
        (case.at(now), refusals)
    }

    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.facts().terms
    }

    /// The voices that count.
    #[must_use]
    pub fn voices(&self) -> &[Voice] {
        &self.facts().voices
    }

    #[must_use]
    pub fn uses(&self) -> &[Use] {
        &self.facts().uses
    }

    /// The voice that settled it, for a denial or revocation.
    #[must_use]
    pub fn settled_by(&self) -> Option<&Voice> {
        let last = self.facts().voices.last()?;
        (last.verdict != Verdict::Approve).then_some(last)
    }

    /// How the last use ended; none where it runs, or there was none.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.uses().last()?.ended.map(|(_, outcome)| outcome)
    }

    /// When it was approved and when the grant ends or would have ended; none if it never was.
    #[must_use]
    pub fn granted(&self) -> Option<(UnixMillis, UnixMillis)> {
        let facts = self.facts();
        if !facts.terms.met_by(&facts.voices) {
            return None;
        }
        let approvals = facts
            .voices
            .iter()
            .filter(|voice| voice.verdict == Verdict::Approve);
        let since = approvals.map(|voice| voice.at).max()?;
        Some((since, since.after(facts.terms.window)))
    }

    /// When the present state began.
    #[must_use]
    pub fn since(&self) -> UnixMillis {
        match self {
            Self::Pending(pending) => pending.0.terms.opened,
            Self::Approved(approved) => self.granted().map_or(approved.ends, |(since, _)| since),
            Self::Closed(closed) => closed.at,
        }
    }

    /// When this state ends by itself.
    #[must_use]
    pub fn edge(&self) -> Option<UnixMillis> {
        match self {
            Self::Pending(pending) => Some(pending.0.terms.expires),
            Self::Approved(approved) => Some(approved.ends),
            Self::Closed(_) => None,
        }
    }

    /// The state at a later time.
    #[must_use]
    pub fn at(self, now: UnixMillis) -> Self {
        match self {
            Self::Pending(pending) => pending.at(now),
            Self::Approved(approved) => approved.at(now),
            Self::Closed(_) => self,
        }
    }

    /// Hears a review, if it counts.
    pub fn hear(self, voice: Voice) -> Result<Self, Refused<Refusal>> {
        match self.at(voice.at) {
            Self::Pending(pending) => pending.hear(voice),
            Self::Approved(approved) => approved.hear(voice),
            Self::Closed(closed) => closed.hear(voice),
        }
    }

    /// The requester takes it back: ends it for good if nothing was used yet.
    pub fn withdraw(self, now: UnixMillis) -> Result<Self, Refused<Refusal>> {
        let facts = match self.at(now) {
            Self::Pending(pending) => pending.0,
            Self::Approved(approved) => approved.facts,
            Self::Closed(closed) => {
                let refusal = Refusal::Closed(closed.why.text());
                return Err((Self::Closed(closed), refusal));
            }
        };
        Ok(close(facts, Closing::Withdrawn, now))
    }

    /// Takes one use for the call that claims it. The caller must make the result durable before it acts on it.
    pub fn consume(
        self,
        claim: &Claim,
        call: CallId,
        now: UnixMillis,
    ) -> Result<Self, Refused<ConsumeRefusal>> {
        match self.at(now) {
            Self::Approved(approved) => approved.consume(claim, call, now),
            Self::Pending(pending) => Err((Self::Pending(pending), ConsumeRefusal::Pending)),
            Self::Closed(closed) => {
                let refusal = closed.refusal();
                Err((Self::Closed(closed), refusal))
            }
        }
    }

    /// Ends a use; false if it is not open.
    pub fn finish(&mut self, call: &CallId, outcome: Outcome, now: UnixMillis) -> bool {
        self.open_use(call).is_some_and(|open| {
            open.ended = Some((now, outcome));
            open.continuation = None;
            true
        })
    }

    /// Lets a use go on with the leg that carries `state`; false if it is not open.
    pub fn expect(&mut self, call: &CallId, state: Digest) -> bool {
        self.open_use(call).is_some_and(|open| {
            open.continuation = Some(state);
            true
        })
    }

    /// Whether a use waits for the leg that carries `state`, or waited for it until the grant was revoked: the leg
    /// must hear that, and not that nobody knows of it.
    #[must_use]
    pub fn expects(&self, state: &Digest) -> bool {
        self.uses()
            .iter()
            .any(|open| open.continuation.as_ref() == Some(state))
    }

    /// Takes up the use that waits for this leg, under the id of the leg's call; once. The server's question may
    /// outlast the grant that its call used, but not the request as well.
    pub fn take_up(
        &mut self,
        state: &Digest,
        claim: &Claim,
        call: CallId,
        now: UnixMillis,
    ) -> Result<(), ConsumeRefusal> {
        if self.closing() == Some(Closing::Revoked) {
            return Err(ConsumeRefusal::Revoked);
        }
        if now >= self.remembered_until() {
            return Err(ConsumeRefusal::Expired);
        }
        self.terms().covers(claim)?;
        let waiting = self.facts_mut().uses.iter_mut().find(|open| {
            open.ended.is_none()
                && open.continuation.as_ref() == Some(state)
                && open.digest == claim.digest
        });
        let waiting = waiting.ok_or(ConsumeRefusal::NoSuchLeg)?;
        waiting.continuation = None;
        waiting.call = call;
        Ok(())
    }

    /// The later of the end of the grant and the end of the request.
    #[must_use]
    pub fn remembered_until(&self) -> UnixMillis {
        let expires = self.terms().expires;
        self.granted()
            .map_or(expires, |(_, ends)| ends.max(expires))
    }

    /// Whether an identical call belongs to this request rather than to a new one (law 20). `settle`: how long
    /// after a use that ended well known the repeats that raced with it still hear of it.
    #[must_use]
    pub fn joinable(&self, now: UnixMillis, settle: Duration) -> bool {
        let Some(why) = self.closing() else {
            return true;
        };
        match why {
            Closing::Denied | Closing::Revoked => now < self.terms().expires,
            Closing::Expired | Closing::Withdrawn => false,
            Closing::Consumed => match (&self.terms().scope, self.uses().last()) {
                // A window that is used up covers no further call; the next one needs a new word.
                (Scope::Tool(_), _) | (Scope::Call { .. }, None) => false,
                (Scope::Call { .. }, Some(last)) => match last.ended {
                    None | Some((_, Outcome::Unknown)) => now < self.remembered_until(),
                    Some((ended, Outcome::Succeeded | Outcome::Failed)) => {
                        now < ended.after(settle)
                    }
                },
            },
        }
    }

    #[must_use]
    pub fn closing(&self) -> Option<Closing> {
        match self {
            Self::Pending(_) | Self::Approved(_) => None,
            Self::Closed(closed) => Some(closed.why),
        }
    }

    fn open_use(&mut self, call: &CallId) -> Option<&mut Use> {
        let uses = &mut self.facts_mut().uses;
        uses.iter_mut()
            .find(|open| open.ended.is_none() && open.call == *call)
    }

    fn facts(&self) -> &Facts {
        match self {
            Self::Pending(pending) => &pending.0,
            Self::Approved(approved) => &approved.facts,
            Self::Closed(closed) => &closed.facts,
        }
    }

    fn facts_mut(&mut self) -> &mut Facts {
        match self {
            Self::Pending(pending) => &mut pending.0,
            Self::Approved(approved) => &mut approved.facts,
            Self::Closed(closed) => &mut closed.facts,
        }
    }
}

fn close(facts: Box<Facts>, why: Closing, at: UnixMillis) -> Case {
    Case::Closed(Closed { facts, why, at })
}
