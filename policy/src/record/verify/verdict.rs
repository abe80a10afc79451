//! What a verification starts from and what it ends with.

use std::collections::BTreeMap;

use crate::name::{Digest, SessionId};
use crate::record::checkpoint::Head;
use crate::record::event::{Purged, PurgedThing};

use super::finding::Finding;

/// What was deleted by order, as the audit chain tells.
#[derive(Clone, Debug, Default)]
pub struct Tombstones {
    payloads: BTreeMap<SessionId, u64>,
    pub(super) segments: BTreeMap<u64, (Digest, Option<Head>)>,
}

impl Tombstones {
    pub fn add(&mut self, purged: &Purged) {
        match &purged.what {
            PurgedThing::Payloads {
                session, through, ..
            } => {
                let until = self.payloads.entry(session.clone()).or_default();
                *until = (*until).max(*through);
            }
            PurgedThing::Segment {
                segment,
                digest,
                checkpoint,
                ..
            } => {
                self.segments.insert(*segment, (*digest, *checkpoint));
            }
        }
    }

    /// Whether the payloads of that event were purged.
    #[must_use]
    pub fn covers(&self, session: &SessionId, seq: u64) -> bool {
        self.payloads
            .get(session)
            .is_some_and(|through| seq <= *through)
    }

    #[must_use]
    pub fn has_segment(&self, segment: u64) -> bool {
        self.segments.contains_key(&segment)
    }
}

/// How a payload was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadState {
    Intact,
    Changed,
    Missing,
}

/// The outcome of a verification.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// In the order of the recording: the first is the first bad thing.
    pub findings: Vec<Finding>,
    /// The newest checkpoint up to which everything is consistent; none where no checkpoint was reached unharmed.
    pub consistent_through: Option<Head>,
    /// Whether a head kept elsewhere was reached, so that nothing before it is missing.
    pub complete: Option<Head>,
    pub segments: u64,
    pub events: u64,
    pub sessions: u64,
    /// Events after the last checkpoint: chained, not yet signed.
    pub unsigned_events: u64,
    /// Payloads that a tombstone accounts for.
    pub purged_payloads: u64,
    /// Segments that a tombstone accounts for.
    pub purged_segments: u64,
    /// Bytes of an unfinished line at the very end.
    pub torn_bytes: u64,
    /// Whether the last writer said goodbye. If not, it still runs, or was killed, or the tail was cut.
    pub ended: bool,
}

impl Verdict {
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }
}
