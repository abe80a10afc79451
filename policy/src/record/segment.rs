//! Segments: composing the lines of one, and resuming after whatever the last writer left.
//!
//! The first line of a segment tells which chains are still open and what the segment before it was, so a writer
//! that starts again reads one file only, however long the recordings are.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::name::{Digest, SessionId};
use crate::time::UnixMillis;

use super::chain::{Carried, ChainError, Chains, EventRecord, EventRef, PayloadRef};
use super::checkpoint::{self, Checkpoint, CheckpointError, Head, SigningKey, VerifyingKey};
use super::event::Event;
use super::line::{self, LineKind, MAX_EVENT, OVERHEAD};

/// The format that this module writes and reads.
pub const FORMAT: &str = "sallyport-recording/1";

/// Most events' JSON is no longer, in bytes.
const COMMON_EVENT: usize = 1024;

/// The first line of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SegmentHeader {
    pub format: String,
    /// From 1, without holes.
    pub segment: u64,
    /// Chain of the process that writes it.
    pub writer: SessionId,
    pub at: UnixMillis,
    /// The key that signs its checkpoints.
    pub key: VerifyingKey,
    /// The segment before; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousSegment>,
    /// The last checkpoint before this segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Head>,
    /// Chains that were open when it began.
    pub carried: Vec<Carried>,
}

/// A whole segment as the next one found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreviousSegment {
    pub segment: u64,
    pub bytes: u64,
    /// SHA-256 of the file.
    pub digest: Digest,
}

/// Why a line cannot be composed. Our fault or the disk's history, never a caller's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("an event of {0} bytes is larger than a line may be")]
    TooLarge(usize),
    #[error("cannot write an event as JSON: {0}")]
    Json(String),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// An event that is linked and written out, but not yet part of its chain.
#[derive(Debug)]
pub struct Prepared {
    record: EventRecord,
    json: Vec<u8>,
}

impl Prepared {
    /// Bytes that the line will take in the segment.
    #[must_use]
    pub fn line_bytes(&self) -> u64 {
        (self.json.len() + OVERHEAD) as u64
    }

    #[must_use]
    pub fn record(&self) -> &EventRecord {
        &self.record
    }
}

/// Composes the lines of one segment after another. It only fills buffers; whoever owns the file must write all
/// that was composed, in order, or stop using the composer.
pub struct Composer {
    key: Arc<SigningKey>,
    writer: SessionId,
    segment: u64,
    offset: u64,
    digest: Context,
    chains: Chains,
    checkpoint: Option<Head>,
    events_since_checkpoint: u64,
}

impl Composer {
    /// Begins the first segment of a writer: after `resumed`, where an earlier writer left something.
    ///
    /// # Errors
    /// The header cannot be written as JSON.
    pub fn begin(
        key: Arc<SigningKey>,
        writer: SessionId,
        at: UnixMillis,
        resumed: Option<Resumed>,
        out: &mut Vec<u8>,
    ) -> Result<Self, ComposeError> {
        let mut composer = Self {
            key,
            writer,
            segment: 0,
            offset: 0,
            digest: Context::new(&SHA256),
            chains: Chains::default(),
            checkpoint: None,
            events_since_checkpoint: 0,
        };
        if let Some(resumed) = resumed {
            composer.segment = resumed.segment;
            composer.offset = resumed.bytes;
            composer.digest = resumed.digest;
            composer.chains = resumed.chains;
            composer.checkpoint = resumed.checkpoint;
        }
        let header = composer.prepare_segment(at)?;
        composer.commit_segment(&header, out);
        Ok(composer)
    }

    /// Goes on in the segment that the last writer left, where that writer was this one's kind and left it whole.
    #[must_use]
    pub fn resume(key: Arc<SigningKey>, writer: SessionId, resumed: Resumed) -> Self {
        Self {
            key,
            writer,
            segment: resumed.segment,
            offset: resumed.bytes,
            digest: resumed.digest,
            events_since_checkpoint: resumed.chains.unsigned().len() as u64,
            chains: resumed.chains,
            checkpoint: resumed.checkpoint,
        }
    }

    /// The head of the next segment, changing nothing yet.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn prepare_segment(&self, at: UnixMillis) -> Result<Vec<u8>, ComposeError> {
        let previous = (self.segment > 0).then(|| PreviousSegment {
            segment: self.segment,
            bytes: self.offset,
            digest: self.digest_so_far(),
        });
        to_json(&SegmentHeader {
            format: FORMAT.to_owned(),
            segment: self.segment + 1,
            writer: self.writer.clone(),
            at,
            key: self.key.verifying(),
            previous,
            checkpoint: self.checkpoint,
            carried: self.chains.carried(),
        })
    }

    /// Begins the next segment with its prepared head; what is composed from here on belongs into a new file.
    /// Nothing may have been committed between.
    pub fn commit_segment(&mut self, header: &[u8], out: &mut Vec<u8>) {
        self.segment += 1;
        self.offset = 0;
        self.digest = Context::new(&SHA256);
        self.push(LineKind::Segment, header, out);
    }

    /// Links an event and writes it out, changing nothing yet.
    ///
    /// # Errors
    /// It fits no chain, or is too large.
    pub fn prepare(
        &self,
        session: &SessionId,
        at: UnixMillis,
        event: Event,
        payloads: Vec<PayloadRef>,
    ) -> Result<Prepared, ComposeError> {
        let record = self.chains.link(session, at, event, payloads)?;
        let json = to_json(&record)?;
        if json.len() > MAX_EVENT {
            return Err(ComposeError::TooLarge(json.len()));
        }
        Ok(Prepared { record, json })
    }

    /// Makes a prepared event the head of its chain and appends its line. Nothing may have been committed between.
    pub fn commit(&mut self, prepared: &Prepared, out: &mut Vec<u8>) -> EventRef {
        let hash = self.push(LineKind::Event, &prepared.json, out);
        self.chains.accept(&prepared.record, hash);
        self.events_since_checkpoint += 1;
        EventRef {
            session: prepared.record.session.clone(),
            seq: prepared.record.seq,
            hash,
        }
    }

    /// The line of a checkpoint over everything committed so far, changing nothing yet.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn prepare_checkpoint(&self, at: UnixMillis) -> Result<Vec<u8>, ComposeError> {
        let checkpoint = Checkpoint {
            checkpoint: self.checkpoint.map_or(1, |head| head.checkpoint + 1),
            at,
            previous: self.checkpoint.map(|head| head.digest),
            segment: self.segment,
            offset: self.offset,
            digest: self.digest_so_far(),
            heads: self.chains.unsigned(),
        };
        Ok(checkpoint::sign(&checkpoint, &self.key)?)
    }

    /// Appends a prepared checkpoint. Nothing may have been committed between.
    pub fn commit_checkpoint(&mut self, json: &[u8], out: &mut Vec<u8>) -> Head {
        let digest = self.push(LineKind::Checkpoint, json, out);
        let head = Head {
            checkpoint: self.checkpoint.map_or(1, |head| head.checkpoint + 1),
            digest,
        };
        self.checkpoint = Some(head);
        self.chains.signed();
        self.events_since_checkpoint = 0;
        head
    }

    #[must_use]
    pub fn chains(&self) -> &Chains {
        &self.chains
    }

    #[must_use]
    pub fn segment(&self) -> u64 {
        self.segment
    }

    /// Bytes of the current segment, all that was composed included.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.checkpoint
    }

    /// Events that no checkpoint covers yet.
    #[must_use]
    pub fn unsigned_events(&self) -> u64 {
        self.events_since_checkpoint
    }

    fn push(&mut self, kind: LineKind, json: &[u8], out: &mut Vec<u8>) -> Digest {
        let start = out.len();
        let hash = line::encode(kind, json, out);
        if let Some(line) = out.get(start..) {
            self.digest.update(line);
            self.offset += line.len() as u64;
        }
        hash
    }

    fn digest_so_far(&self) -> Digest {
        Digest::from_slice(self.digest.clone().finish().as_ref())
    }
}

impl fmt::Debug for Composer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Composer({}:{})", self.segment, self.offset)
    }
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, ComposeError> {
    let mut json = Vec::with_capacity(COMMON_EVENT);
    serde_json::to_writer(&mut json, value)
        .map_err(|error| ComposeError::Json(error.to_string()))?;
    Ok(json)
}

/// What the last writer left in its last segment.
pub struct Resumed {
    pub segment: u64,
    /// Bytes to keep: all but a torn end.
    pub bytes: u64,
    /// Bytes of the torn end. Nothing readable follows them, so they were never acknowledged, or were cut by hand;
    /// only a head kept elsewhere tells these two apart.
    pub torn: u64,
    /// Unreadable lines that readable ones follow.
    pub damaged: u64,
    pub chains: Chains,
    pub checkpoint: Option<Head>,
    pub header: SegmentHeader,
    digest: Context,
}

impl fmt::Debug for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Resumed({}:{}, {} torn)",
            self.segment, self.bytes, self.torn
        )
    }
}

impl Resumed {
    /// Reads a segment's bytes; none where not even its head is whole, as when a crash met a segment just made.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header = header(bytes)?;
        let keep = readable_bytes(bytes);
        let kept = bytes.get(..keep)?;
        let mut digest = Context::new(&SHA256);
        digest.update(kept);
        let mut resumed = Self {
            segment: header.segment,
            bytes: keep as u64,
            torn: (bytes.len() - keep) as u64,
            damaged: 0,
            chains: Chains::from_carried(&header.carried),
            checkpoint: header.checkpoint,
            header,
            digest,
        };
        for raw in line::lines(kept).skip(1) {
            resumed.take(raw.text);
        }
        Some(resumed)
    }

    fn take(&mut self, text: &[u8]) {
        let Ok(line) = line::decode(text) else {
            self.damaged += 1;
            return;
        };
        match line.kind {
            LineKind::Segment => self.damaged += 1,
            LineKind::Event => match serde_json::from_slice::<EventRecord>(line.json) {
                Ok(record) => self.chains.accept(&record, line.hash),
                Err(_) => self.damaged += 1,
            },
            LineKind::Checkpoint => match checkpoint::open(line.json, &self.header.key) {
                Ok(checkpoint) => {
                    self.checkpoint = Some(Head {
                        checkpoint: checkpoint.checkpoint,
                        digest: line.hash,
                    });
                    self.chains.signed();
                }
                Err(_) => self.damaged += 1,
            },
        }
    }
}

/// The head of a segment, if its first line is whole and of this format.
#[must_use]
pub fn header(bytes: &[u8]) -> Option<SegmentHeader> {
    let first = line::lines(bytes).next().filter(|line| line.whole)?;
    let line = line::decode(first.text).ok()?;
    let header: SegmentHeader = serde_json::from_slice(line.json).ok()?;
    (line.kind == LineKind::Segment && header.format == FORMAT).then_some(header)
}

/// How many bytes there are up to the end of the last readable line.
fn readable_bytes(bytes: &[u8]) -> usize {
    line::lines(bytes)
        .filter(|line| line.whole && line::decode(line.text).is_ok())
        .last()
        .map_or(0, |line| line.at + line.text.len() + 1)
}
