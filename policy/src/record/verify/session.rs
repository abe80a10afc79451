//! One session's chain while it is being verified.

use std::collections::BTreeMap;

use crate::name::{Digest, SessionId};
use crate::record::chain::{ChainHead, EventRecord};

use super::finding::{Finding, Place, Problem};

/// What has been seen of a chain.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Number that the next event should have.
    next: u64,
    /// Hash of the newest event; none after one that cannot be believed.
    last: Option<Digest>,
    /// Numbers that were jumped over, with the place of the event after them.
    jumped: BTreeMap<u64, Place>,
}

impl Seen {
    /// A chain that begins in a segment that is no longer there.
    pub(super) fn from_head(head: &ChainHead) -> Self {
        Self {
            next: head.seq + 1,
            last: Some(head.hash),
            jumped: BTreeMap::new(),
        }
    }

    pub(super) fn head_is(&self, head: &ChainHead) -> bool {
        self.next == head.seq + 1 && self.last.is_none_or(|last| last == head.hash)
    }

    /// Takes an event; `hash` is none where the event cannot be believed.
    pub(super) fn event(
        &mut self,
        record: &EventRecord,
        hash: Option<Digest>,
        place: Place,
    ) -> Option<Problem> {
        let session = || record.session.clone();
        let seq = record.seq;
        if seq < self.next {
            return Some(match self.jumped.remove(&seq) {
                Some(_) => Problem::EventMoved {
                    session: session(),
                    seq,
                },
                None => Problem::EventRepeated {
                    session: session(),
                    seq,
                },
            });
        }
        let in_order = seq == self.next;
        let fits = match (seq, self.last) {
            (0, _) => record.prev.is_none(),
            (_, None) => true,
            (_, Some(last)) => record.prev == Some(last),
        };
        self.jump_to(seq, place);
        self.next = seq + 1;
        self.last = hash;
        (in_order && !fits).then(|| Problem::ChainBroken {
            session: session(),
            seq,
        })
    }

    /// Numbers from the next one up to `seq` are missing here. A hostile number must not make a set of that size.
    fn jump_to(&mut self, seq: u64, place: Place) {
        const MOST: u64 = 100_000;
        for missing in (self.next..seq).take(usize::try_from(MOST).unwrap_or(usize::MAX)) {
            self.jumped.insert(missing, place);
        }
    }

    /// Compares with what a checkpoint says, and believes the checkpoint afterwards.
    pub(super) fn checkpoint(&mut self, head: &ChainHead, checkpoint: u64) -> Option<Problem> {
        let session = head.session.clone();
        let problem = if self.next == 0 {
            Some(Problem::SessionRemoved {
                session,
                through: head.seq,
                checkpoint,
            })
        } else if self.next <= head.seq {
            let (from, through) = (self.next, head.seq);
            Some(Problem::TailCut {
                session,
                from,
                through,
                checkpoint,
            })
        } else if self.next == head.seq + 1 && self.last.is_some_and(|last| last != head.hash) {
            Some(Problem::HeadDiffers {
                session,
                seq: head.seq,
                checkpoint,
            })
        } else {
            None
        };
        if problem.is_some() {
            self.next = self.next.max(head.seq + 1);
            self.last = Some(head.hash);
        }
        problem
    }

    /// How many numbers were jumped over and have not come yet.
    pub(super) fn jumped(&self) -> usize {
        self.jumped.len()
    }

    /// What was jumped over and never came.
    pub(super) fn finish(self, session: &SessionId) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        for (seq, place) in self.jumped {
            if let Some(Finding {
                place: before,
                what: Problem::EventsRemoved { through, .. },
            }) = findings.last_mut()
                && *before == place
                && *through + 1 == seq
            {
                *through = seq;
                continue;
            }
            let what = Problem::EventsRemoved {
                session: session.clone(),
                from: seq,
                through: seq,
            };
            findings.push(Finding { place, what });
        }
        findings
    }
}
