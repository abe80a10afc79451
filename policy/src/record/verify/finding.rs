//! What a verification can find, in words.

use std::fmt;

use crate::name::SessionId;
use crate::record::checkpoint::Head;

/// Where something was seen: segments in order, then bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the segment, by its file's name.
    pub segment: u64,
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} byte {}", self.segment, self.offset)
    }
}

/// One thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub place: Place,
    pub what: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// The kinds of findings. Each names the event, session, segment or checkpoint that it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the line cannot be read")]
    Unreadable,
    #[error("event {seq} of session `{session}` ({name}) was changed: its hash does not fit")]
    EventChanged {
        session: SessionId,
        seq: u64,
        name: &'static str,
    },
    #[error("a line was changed: its hash does not fit")]
    LineChanged,
    #[error("{} of session `{session}` removed", events(*from, *through))]
    EventsRemoved {
        session: SessionId,
        from: u64,
        through: u64,
    },
    #[error("event {seq} of session `{session}` was moved behind later ones")]
    EventMoved { session: SessionId, seq: u64 },
    #[error("event {seq} of session `{session}` stands here a second time")]
    EventRepeated { session: SessionId, seq: u64 },
    #[error(
        "event {seq} of session `{session}` follows another event than the one before it here: that one was replaced"
    )]
    ChainBroken { session: SessionId, seq: u64 },
    #[error("session `{session}` was removed whole: checkpoint {checkpoint} names {} of it", events(0, *through))]
    SessionRemoved {
        session: SessionId,
        through: u64,
        checkpoint: u64,
    },
    #[error("the end of session `{session}` was cut: checkpoint {checkpoint} names {}, which {} not here", events(*from, *through), are(*from, *through))]
    TailCut {
        session: SessionId,
        from: u64,
        through: u64,
        checkpoint: u64,
    },
    #[error("event {seq} of session `{session}` is not the one that checkpoint {checkpoint} names")]
    HeadDiffers {
        session: SessionId,
        seq: u64,
        checkpoint: u64,
    },
    #[error("the file of segment {file} holds segment {found}: segments were swapped or renamed")]
    SegmentSwapped { file: u64, found: u64 },
    #[error("{} removed", segments(*from, *through))]
    SegmentsRemoved { from: u64, through: u64 },
    #[error(
        "the end of segment {segment} was cut: segment {next} found {found} bytes of it, {now} are here"
    )]
    SegmentCut {
        segment: u64,
        next: u64,
        found: u64,
        now: u64,
    },
    #[error("segment {segment} is not as segment {next} found it")]
    SegmentChanged { segment: u64, next: u64 },
    #[error("the head of the segment is missing or cannot be read")]
    NoHeader,
    #[error("the head of the segment tells other open sessions than the segment before leaves")]
    CarriedDiffers,
    #[error("the segment names another signing key than the one that is trusted")]
    KeyChanged,
    #[error("checkpoint {checkpoint} is not signed by the recording's key")]
    BadSignature { checkpoint: u64 },
    #[error(
        "checkpoint {found} stands where checkpoint {expected} should: checkpoints were removed or moved"
    )]
    CheckpointMissing { expected: u64, found: u64 },
    #[error("checkpoint {checkpoint} follows another checkpoint than the one before it here")]
    CheckpointBroken { checkpoint: u64 },
    #[error("lines before checkpoint {checkpoint} in this segment were added, removed or moved")]
    PrefixChanged { checkpoint: u64 },
    #[error("a payload of event {seq} of session `{session}` was changed")]
    PayloadChanged { session: SessionId, seq: u64 },
    #[error(
        "a payload of event {seq} of session `{session}` is missing, and no tombstone says why"
    )]
    PayloadMissing { session: SessionId, seq: u64 },
    #[error(
        "the recording ends before the head `{head}` that was kept elsewhere: its tail was cut"
    )]
    HeadNotReached { head: Head },
    #[error("checkpoint {} is not the one of the head that was kept elsewhere: the recording was rewritten", head.checkpoint)]
    HeadRewritten { head: Head },
}

impl Problem {
    /// The session that it is about; none where it is about a segment, a checkpoint or the whole.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        match self {
            Self::EventChanged { session, .. }
            | Self::EventsRemoved { session, .. }
            | Self::EventMoved { session, .. }
            | Self::EventRepeated { session, .. }
            | Self::ChainBroken { session, .. }
            | Self::SessionRemoved { session, .. }
            | Self::TailCut { session, .. }
            | Self::HeadDiffers { session, .. }
            | Self::PayloadChanged { session, .. }
            | Self::PayloadMissing { session, .. } => Some(session),
            Self::Unreadable
            | Self::LineChanged
            | Self::SegmentSwapped { .. }
            | Self::SegmentsRemoved { .. }
            | Self::SegmentCut { .. }
            | Self::SegmentChanged { .. }
            | Self::NoHeader
            | Self::CarriedDiffers
            | Self::KeyChanged
            | Self::BadSignature { .. }
            | Self::CheckpointMissing { .. }
            | Self::CheckpointBroken { .. }
            | Self::PrefixChanged { .. }
            | Self::HeadNotReached { .. }
            | Self::HeadRewritten { .. } => None,
        }
    }
}

fn events(from: u64, through: u64) -> String {
    if from == through {
        format!("event {from}")
    } else {
        format!("events {from} to {through}")
    }
}

fn are(from: u64, through: u64) -> &'static str {
    if from == through { "is" } else { "are" }
}

fn segments(from: u64, through: u64) -> String {
    if from == through {
        format!("segment {from} was")
    } else {
        format!("segments {from} to {through} were")
    }
}
