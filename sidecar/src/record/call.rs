//! The record of one call, from its first event to its terminal one (law 30).

use bytes::Bytes;
use sallyport_policy::name::{CallId, SessionId};
use sallyport_policy::record::event::{CallEnded, Capture, Event, Mode, Outcome, PayloadKind};
use sallyport_policy::time::UnixMillis;

use super::writer::{Item, weight};
use super::{Durable, RecordError, Recorder, Terms};

/// Longest reason code that a terminal event keeps; its space is reserved before the reason is known.
const REASON_CHARS: usize = 100;

/// Most bytes of events and payloads that a record gathers before it sends them.
const GATHERED_BYTES: usize = 256 << 10;

/// How the call's task says that it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub outcome: Outcome,
    /// Stable code of why.
    pub reason: Option<String>,
    /// HTTP status given to the client.
    pub status: Option<u16>,
}

impl Ended {
    #[must_use]
    pub fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            reason: None,
            status: None,
        }
    }
}

/// Open until [`CallRecord::end`]; a record that is dropped (a panic, a cancelled task) ends as `Unknown` where the
/// server had been given the call, else as `Cancelled`.
///
/// The way of a call in every mode: `open_call`, `note(Decided)`, `note(Forwarded)`, `settle().await?`, send,
/// `note(Answered)`, `settle().await` (on an error withhold the answer and end as `Withheld`), release, `end`.
#[derive(Debug)]
pub struct CallRecord {
    recorder: Recorder,
    session: SessionId,
    id: CallId,
    terms: Terms,
    began: UnixMillis,
    forwarded: bool,
    answer: AnswerRecord,
    /// What was noted and not yet sent: a request, its decision and its sending are one append and share one sync.
    gathered: Vec<Item>,
    unsettled: Vec<Durable>,
    ended: bool,
}

/// How far the event of the server's answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerRecord {
    None,
    Noted,
    Durable,
}

impl CallRecord {
    pub(super) fn open(
        recorder: Recorder,
        session: SessionId,
        id: CallId,
        terms: Terms,
        requested: Event,
        payloads: Vec<(PayloadKind, Bytes)>,
    ) -> Self {
        let began = recorder.now();
        let mut record = Self {
            recorder,
            session,
            id,
            terms,
            began,
            forwarded: false,
            answer: AnswerRecord::None,
            gathered: Vec::with_capacity(3),
            unsettled: Vec::new(),
            ended: false,
        };
        record.note(requested, payloads);
        record
    }

    #[must_use]
    pub fn id(&self) -> &CallId {
        &self.id
    }

    /// Whether `Forwarded` was noted: from then on the server may have been given the call.
    #[must_use]
    pub fn executed(&self) -> bool {
        self.forwarded
    }

    /// Appends an event of this call; [`CallRecord::settle`] tells whether it was stored.
    pub fn note(&mut self, event: Event, payloads: Vec<(PayloadKind, Bytes)>) {
        self.forwarded |= matches!(event, Event::Forwarded(_));
        if matches!(event, Event::Answered(_)) || self.answer == AnswerRecord::Durable {
            self.answer = AnswerRecord::Noted;
        }
        let payloads = match self.terms.capture {
            Capture::Masked => payloads,
            Capture::Metadata => Vec::new(),
        };
        if self.terms.mode == Mode::Disabled {
            return;
        }
        // People wait on approvals for long; whoever watches the session sees them at once.
        let slow = matches!(
            event,
            Event::ApprovalRequested(_) | Event::ApprovalDecided(_) | Event::ApprovalConsumed(_)
        );
        self.gathered.push(self.recorder.item(event, payloads));
        if slow || weight(&self.gathered) >= GATHERED_BYTES {
            self.send();
        }
    }

    /// Sends what was gathered; in `Strict` the next settling waits for it.
    fn send(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let items = std::mem::take(&mut self.gathered);
        match self.terms.mode {
            Mode::Strict => {
                let durable = self.recorder.append_all(&self.session, items);
                self.unsettled.push(durable);
            }
            Mode::BestEffort | Mode::Disabled => self.recorder.tell_all(&self.session, items),
        }
    }

    /// In `Strict`, waits until everything noted is durable; otherwise returns at once.
    ///
    /// # Errors
    /// Something noted cannot be stored: call no upstream and release nothing.
    pub async fn settle(&mut self) -> Result<(), RecordError> {
        self.send();
        let mut result = Ok(());
        for durable in std::mem::take(&mut self.unsettled) {
            result = result.and(durable.await.map(|_| ()));
        }
        if result.is_ok() && self.answer == AnswerRecord::Noted {
            self.answer = AnswerRecord::Durable;
        }
        result
    }

    /// Whether everything noted is durable and the answer is among it: nobody has to wait for the end of such a
    /// call, since a crash before it is recovered as answered.
    #[must_use]
    pub fn answer_is_durable(&self) -> bool {
        self.answer == AnswerRecord::Durable
    }

    /// Ends the call. Its space was reserved by `open_call`, so it is stored even on a full disk. `executed` is
    /// true where `Forwarded` was noted.
    pub fn end(mut self, ended: Ended) -> Durable {
        if self.terms.mode == Mode::Disabled {
            self.ended = true;
            return Durable::refused(RecordError::Disabled);
        }
        let items = self.last_items(ended);
        self.recorder.append_all(&self.session, items)
    }

    /// Ends the call where nobody waits for it: it is written at once, and synced with whatever comes next.
    pub fn end_unheard(mut self, ended: Ended) {
        self.finish(ended);
    }

    fn finish(&mut self, ended: Ended) {
        let items = self.last_items(ended);
        if self.terms.mode != Mode::Disabled {
            self.recorder.tell_all(&self.session, items);
        }
    }

    /// What was gathered, and the terminal event.
    fn last_items(&mut self, ended: Ended) -> Vec<Item> {
        self.ended = true;
        let millis = self.began.until(self.recorder.now()).as_millis();
        let reason = ended
            .reason
            .map(|reason| reason.chars().take(REASON_CHARS).collect());
        let event = Event::CallEnded(CallEnded {
            call: self.id.clone(),
            outcome: ended.outcome,
            executed: self.forwarded,
            reason,
            status: ended.status,
            millis: u64::try_from(millis).ok(),
        });
        let mut items = std::mem::take(&mut self.gathered);
        items.push(self.recorder.item(event, Vec::new()));
        items
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        if !self.ended {
            let outcome = if self.forwarded {
                Outcome::Unknown
            } else {
                Outcome::Cancelled
            };
            self.finish(Ended::new(outcome));
        }
    }
}
