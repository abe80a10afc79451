//! Verification: a pure pass over the lines of all segments that names what is not as it was written.
//!
//! It says no more than it can prove (law 33). Chains and checkpoints prove that what is there is consistent; that
//! nothing was cut off the end is proved only against a head that was kept elsewhere; and the signing key proves
//! something only to somebody who got its public half by another way than the folder itself.

mod finding;
#[cfg(test)]
mod laws;
mod session;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use crate::name::{Digest, SessionId};

use super::chain::{Carried, EventRecord};
use super::checkpoint::{self, Checkpoint, CheckpointError, Head, VerifyingKey};
use super::event::Event;
use super::line::{self, Damage, LineKind};
use super::segment::{FORMAT, SegmentHeader};
use session::Seen;

pub use finding::{Finding, Place, Problem};
pub use verdict::{PayloadState, Tombstones, Verdict};

/// Takes segments in order, line by line.
pub struct Verifier {
    trust: Option<VerifyingKey>,
    tombstones: Tombstones,
    sessions: BTreeMap<SessionId, Seen>,
    heads: BTreeMap<u64, Digest>,
    last_checkpoint: Option<Head>,
    current: Option<Current>,
    previous: Option<Previous>,
    /// Something is not as it was written; no later checkpoint is consistent any more.
    bad: bool,
    verdict: Verdict,
}

/// The segment before.
#[derive(Clone, Copy)]
struct Previous {
    number: u64,
    bytes: u64,
    digest: Digest,
    tainted: bool,
}

/// The segment being read.
struct Current {
    file: u64,
    number: u64,
    offset: u64,
    digest: Context,
    header_seen: bool,
    /// Something was found in this segment, so that its digests differ too and would only repeat it.
    tainted: bool,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} findings)", self.verdict.findings.len())
    }
}

impl Verifier {
    /// `trust` is the public key of the recording, if it is known from elsewhere; otherwise the first segment's own
    /// is taken.
    #[must_use]
    pub fn new(trust: Option<VerifyingKey>, tombstones: Tombstones) -> Self {
        Self {
            trust,
            tombstones,
            sessions: BTreeMap::new(),
            heads: BTreeMap::new(),
            last_checkpoint: None,
            current: None,
            previous: None,
            bad: false,
            verdict: Verdict::default(),
        }
    }

    /// Begins the file of segment `file`. Files come in the order of the numbers in their heads.
    pub fn begin_segment(&mut self, file: u64) {
        self.end_segment();
        self.verdict.segments += 1;
        self.current = Some(Current {
            file,
            number: file,
            offset: 0,
            digest: Context::new(&SHA256),
            header_seen: false,
            tainted: false,
        });
    }

    /// Takes the next line, without its newline; gives the event in it, so that its payloads can be looked at.
    pub fn line(&mut self, text: &[u8]) -> Option<EventRecord> {
        let place = self.place();
        let record = match line::decode(text) {
            Ok(line) => self.intact(line.kind, line.json, line.hash, place),
            Err(damage) => {
                self.damaged(damage, place);
                None
            }
        };
        if let Some(current) = &mut self.current {
            current.digest.update(text);
            current.digest.update(b"\n");
            current.offset += text.len() as u64 + 1;
        }
        record
    }

    /// Tells of bytes without a newline at the end of a segment.
    pub fn torn(&mut self, bytes: u64, last_segment: bool) {
        if last_segment {
            self.verdict.torn_bytes = bytes;
        } else {
            self.find(self.place(), Problem::Unreadable);
        }
    }

    /// Tells how a payload of `record` was found.
    pub fn payload(&mut self, record: &EventRecord, place: Place, state: PayloadState) {
        let (session, seq) = (record.session.clone(), record.seq);
        let purged = self.tombstones.covers(&session, seq);
        match state {
            PayloadState::Intact => {}
            PayloadState::Changed | PayloadState::Missing if purged => {
                self.verdict.purged_payloads += 1;
            }
            PayloadState::Changed => self.note(place, Problem::PayloadChanged { session, seq }),
            PayloadState::Missing => self.note(place, Problem::PayloadMissing { session, seq }),
        }
    }

    /// Where the next line stands.
    #[must_use]
    pub fn place(&self) -> Place {
        self.current.as_ref().map_or(
            Place {
                segment: 0,
                offset: 0,
            },
            |current| Place {
                segment: current.file,
                offset: current.offset,
            },
        )
    }

    /// Ends the pass; `expected` is a head that was kept elsewhere.
    #[must_use]
    pub fn finish(mut self, expected: Option<Head>) -> Verdict {
        let end = self.place();
        self.end_segment();
        for (session, seen) in std::mem::take(&mut self.sessions) {
            self.verdict.sessions += 1;
            self.verdict.findings.extend(seen.finish(&session));
        }
        if let Some(head) = expected {
            self.check_expected(head, end);
        }
        self.verdict.findings.sort_by_key(|finding| finding.place);
        self.verdict
    }

    fn check_expected(&mut self, head: Head, end: Place) {
        match self.heads.get(&head.checkpoint) {
            Some(digest) if *digest == head.digest => self.verdict.complete = Some(head),
            Some(_) => self.note(end, Problem::HeadRewritten { head }),
            None => self.note(end, Problem::HeadNotReached { head }),
        }
    }

    fn intact(
        &mut self,
        kind: LineKind,
        json: &[u8],
        hash: Digest,
        place: Place,
    ) -> Option<EventRecord> {
        self.check_first_line(kind, place);
        match kind {
            LineKind::Segment => {
                self.header(json, place);
                None
            }
            LineKind::Event => self.event(json, hash, place),
            LineKind::Checkpoint => {
                self.checkpoint(json, hash, place);
                None
            }
        }
    }

    fn check_first_line(&mut self, kind: LineKind, place: Place) {
        let Some(current) = &mut self.current else {
            return;
        };
        if place.offset == 0 && kind != LineKind::Segment {
            self.find(place, Problem::NoHeader);
        } else if kind == LineKind::Segment && current.header_seen {
            self.find(place, Problem::Unreadable);
        } else {
            current.header_seen = true;
        }
    }

    fn header(&mut self, json: &[u8], place: Place) {
        let header = match serde_json::from_slice::<SegmentHeader>(json) {
            Ok(header) if header.format == FORMAT => header,
            Ok(_) | Err(_) => return self.find(place, Problem::NoHeader),
        };
        if header.segment != place.segment {
            let (file, found) = (place.segment, header.segment);
            self.find(place, Problem::SegmentSwapped { file, found });
        }
        if let Some(current) = &mut self.current {
            current.number = header.segment;
        }
        if *self.trust.get_or_insert(header.key) != header.key {
            self.find(place, Problem::KeyChanged);
        }
        self.check_previous(&header, place);
    }

    /// Compares the head of a segment with the segment before it, or with the tombstone in its place.
    fn check_previous(&mut self, header: &SegmentHeader, place: Place) {
        let before = self.previous.map_or(0, |previous| previous.number);
        let missing: Vec<u64> = (before + 1..header.segment)
            .take(1_000_000)
            .filter(|number| !self.tombstones.has_segment(*number))
            .collect();
        let gone = header.segment.saturating_sub(before + 1);
        self.verdict.purged_segments += gone.saturating_sub(missing.len() as u64);
        if let (Some(from), Some(through)) = (missing.first(), missing.last()) {
            let (from, through) = (*from, *through);
            self.find(place, Problem::SegmentsRemoved { from, through });
        }
        if gone > 0 {
            self.believe(header, place);
        } else {
            self.compare_previous(header, place);
        }
    }

    /// The segment before is not here: its tombstone and this head must agree, and chains go on from this head.
    fn believe(&mut self, header: &SegmentHeader, place: Place) {
        let stone = header
            .segment
            .checked_sub(1)
            .and_then(|number| self.tombstones.segments.get(&number));
        if let (Some((digest, _)), Some(previous)) = (stone, &header.previous)
            && *digest != previous.digest
        {
            let (segment, next) = (previous.segment, header.segment);
            self.find(place, Problem::SegmentChanged { segment, next });
        }
        for chain in &header.carried {
            self.sessions
                .insert(chain.head.session.clone(), Seen::from_head(&chain.head));
        }
        self.last_checkpoint = header.checkpoint;
        for (_, head) in self.tombstones.segments.values() {
            if let Some(head) = head {
                self.heads.insert(head.checkpoint, head.digest);
            }
        }
        if let Some(head) = header.checkpoint {
            self.heads.insert(head.checkpoint, head.digest);
        }
    }

    fn compare_previous(&mut self, header: &SegmentHeader, place: Place) {
        let next = header.segment;
        if let (Some(here), Some(told)) = (self.previous, &header.previous) {
            let (segment, now, found) = (here.number, here.bytes, told.bytes);
            let end = Place {
                segment,
                offset: now,
            };
            if now < found {
                self.find(
                    end,
                    Problem::SegmentCut {
                        segment,
                        next,
                        found,
                        now,
                    },
                );
            } else if here.digest != told.digest && !here.tainted {
                self.find(end, Problem::SegmentChanged { segment, next });
            }
        }
        let tainted = self.previous.is_some_and(|previous| previous.tainted);
        if !tainted && !self.carried_fits(&header.carried) {
            self.find(place, Problem::CarriedDiffers);
        }
    }

    fn carried_fits(&self, carried: &[Carried]) -> bool {
        carried.iter().all(|chain| {
            self.sessions
                .get(&chain.head.session)
                .is_some_and(|seen| seen.head_is(&chain.head))
        })
    }

    fn event(&mut self, json: &[u8], hash: Digest, place: Place) -> Option<EventRecord> {
        let Ok(record) = serde_json::from_slice::<EventRecord>(json) else {
            self.find(place, Problem::Unreadable);
            return None;
        };
        self.verdict.events += 1;
        self.verdict.unsigned_events += 1;
        self.verdict.ended = matches!(record.event, Event::WriterEnded(_));
        let seen = self.sessions.entry(record.session.clone()).or_default();
        let jumped = seen.jumped();
        let problem = seen.event(&record, Some(hash), place);
        if seen.jumped() > jumped {
            self.taint();
        }
        if let Some(problem) = problem {
            self.find(place, problem);
        }
        Some(record)
    }

    fn checkpoint(&mut self, json: &[u8], hash: Digest, place: Place) {
        let expected = self.last_checkpoint.map_or(1, |head| head.checkpoint + 1);
        let checkpoint = match self.trust.map(|key| checkpoint::open(json, &key)) {
            Some(Ok(checkpoint)) => checkpoint,
            Some(Err(CheckpointError::Signature)) | None => {
                self.last_checkpoint = Some(Head {
                    checkpoint: expected,
                    digest: hash,
                });
                return self.find(
                    place,
                    Problem::BadSignature {
                        checkpoint: expected,
                    },
                );
            }
            Some(Err(CheckpointError::Form(_))) => return self.find(place, Problem::Unreadable),
        };
        let head = Head {
            checkpoint: checkpoint.checkpoint,
            digest: hash,
        };
        self.check_order(&checkpoint, expected, place);
        for chain in &checkpoint.heads {
            let seen = self.sessions.entry(chain.session.clone()).or_default();
            if let Some(problem) = seen.checkpoint(chain, head.checkpoint) {
                self.find(place, problem);
            }
        }
        self.check_prefix(&checkpoint, place);
        self.heads.insert(head.checkpoint, head.digest);
        self.last_checkpoint = Some(head);
        self.verdict.unsigned_events = 0;
        if !self.bad {
            self.verdict.consistent_through = Some(head);
        }
    }

    fn check_order(&mut self, checkpoint: &Checkpoint, expected: u64, place: Place) {
        let found = checkpoint.checkpoint;
        if found != expected {
            self.find(place, Problem::CheckpointMissing { expected, found });
        } else if checkpoint.previous != self.last_checkpoint.map(|head| head.digest) {
            self.find(place, Problem::CheckpointBroken { checkpoint: found });
        }
    }

    fn check_prefix(&mut self, checkpoint: &Checkpoint, place: Place) {
        let Some(current) = &self.current else { return };
        let digest = Digest::from_slice(current.digest.clone().finish().as_ref());
        let fits = digest == checkpoint.digest
            && current.offset == checkpoint.offset
            && current.number == checkpoint.segment;
        if !fits && !current.tainted {
            let checkpoint = checkpoint.checkpoint;
            self.find(place, Problem::PrefixChanged { checkpoint });
        }
    }

    fn damaged(&mut self, damage: Damage<'_>, place: Place) {
        if place.offset == 0 {
            return self.find(place, Problem::NoHeader);
        }
        let problem = match damage {
            Damage::Form => Problem::Unreadable,
            Damage::Altered {
                kind: LineKind::Event,
                json,
            } => self.altered_event(json, place),
            Damage::Altered {
                kind: LineKind::Segment | LineKind::Checkpoint,
                ..
            } => Problem::LineChanged,
        };
        self.find(place, problem);
    }

    /// A changed event that still reads as one: it is named, and its chain goes on after it.
    fn altered_event(&mut self, json: &[u8], place: Place) -> Problem {
        let Ok(record) = serde_json::from_slice::<EventRecord>(json) else {
            return Problem::LineChanged;
        };
        let name = record.event.name();
        if let Some(seen) = self.sessions.get_mut(&record.session) {
            // Whether it also fits its neighbours says nothing once its own hash does not.
            drop(seen.event(&record, None, place));
        }
        Problem::EventChanged {
            session: record.session,
            seq: record.seq,
            name,
        }
    }

    fn end_segment(&mut self) {
        if let Some(current) = self.current.take() {
            let digest = Digest::from_slice(current.digest.finish().as_ref());
            self.previous = Some(Previous {
                number: current.number,
                bytes: current.offset,
                digest,
                tainted: current.tainted,
            });
        }
    }

    /// Adds a finding that throws doubt on the lines around it.
    fn find(&mut self, place: Place, what: Problem) {
        self.taint();
        self.note(place, what);
    }

    fn taint(&mut self) {
        self.bad = true;
        if let Some(current) = &mut self.current {
            current.tainted = true;
        }
    }

    fn note(&mut self, place: Place, what: Problem) {
        self.bad = true;
        self.verdict.findings.push(Finding { place, what });
    }
}
