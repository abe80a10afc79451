//! Verification of a folder, its payloads and its audit chain, offline.

use std::io::BufRead;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sallyport_policy::name::{Digest, SessionId};
use sallyport_policy::record::event::{Event, Purged};
use sallyport_policy::record::line;
use sallyport_policy::record::segment;
use sallyport_policy::record::verify::{Finding, PayloadState, Tombstones, Verdict, Verifier};
use sallyport_policy::record::{EventRecord, Head, VerifyingKey};

use crate::audit::AuditLog;
use crate::error::ReadError;
use crate::export::ExportedEvent;
use crate::folder::{Folder, Payload};

/// What a verification is held against.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions {
    /// The recording's public key, known from elsewhere than the folder.
    pub key: Option<VerifyingKey>,
    /// A head that was kept elsewhere.
    pub head: Option<Head>,
}

/// What was found in the recordings and in the audit chain beside them.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub recordings: Verdict,
    /// None where nobody ever read or purged anything.
    pub audit: Option<Verdict>,
    /// Payloads whose digests were checked.
    pub payloads: u64,
}

impl Report {
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.recordings.is_good() && self.audit.as_ref().is_none_or(Verdict::is_good)
    }

    /// The first bad thing: of the recordings, else of the audit chain.
    #[must_use]
    pub fn first(&self) -> Option<&Finding> {
        let audit = self.audit.iter().flat_map(|verdict| &verdict.findings);
        self.recordings.findings.iter().chain(audit).next()
    }

    /// Findings that bear on one session: its own, and those of no session in particular.
    pub fn of_session<'a>(&'a self, session: &'a SessionId) -> impl Iterator<Item = &'a Finding> {
        self.recordings
            .findings
            .iter()
            .filter(move |finding| finding.what.session().is_none_or(|named| named == session))
    }
}

/// Verifies everything in a folder.
///
/// # Errors
/// A file cannot be read at all; what is wrong inside files is in the report.
pub fn verify(folder: &Folder, options: VerifyOptions) -> Result<Report, ReadError> {
    // Both chains have one key; an audit chain of another key could forge tombstones.
    let key = match options.key {
        Some(key) => Some(key),
        None => own_key(folder)?,
    };
    let options = VerifyOptions { key, ..options };
    let mut tombstones = Tombstones::default();
    let mut audit = None;
    let log = AuditLog::of(folder.path());
    if let Some(audit_folder) = log.folder()? {
        let no_head = VerifyOptions {
            head: None,
            ..options
        };
        let (verdict, _) = pass(&audit_folder, no_head, Tombstones::default())?;
        for purged in signed_tombstones(&log, &verdict)? {
            tombstones.add(&purged);
        }
        audit = Some(verdict);
    }
    let (recordings, payloads) = pass(folder, options, tombstones)?;
    Ok(Report {
        recordings,
        audit,
        payloads,
    })
}

/// Tombstones that a checkpoint of a sound audit chain covers; any other could have been added by hand.
fn signed_tombstones(log: &AuditLog, audit: &Verdict) -> Result<Vec<Purged>, ReadError> {
    if !audit.is_good() || audit.consistent_through.is_none() {
        return Ok(Vec::new());
    }
    let events = log.events()?;
    let signed = audit.events.saturating_sub(audit.unsigned_events);
    let signed = usize::try_from(signed).unwrap_or(usize::MAX);
    let purged = events.into_iter().take(signed).filter_map(|record| {
        if let Event::Purged(purged) = record.event {
            Some(purged)
        } else {
            None
        }
    });
    Ok(purged.collect())
}

/// The key that the oldest segment names.
fn own_key(folder: &Folder) -> Result<Option<VerifyingKey>, ReadError> {
    let Some(first) = folder.segments()?.first().copied() else {
        return Ok(None);
    };
    Ok(segment::header(&folder.segment(first)?).map(|header| header.key))
}

fn pass(
    folder: &Folder,
    options: VerifyOptions,
    tombstones: Tombstones,
) -> Result<(Verdict, u64), ReadError> {
    let mut verifier = Verifier::new(options.key, tombstones);
    let mut payloads = 0;
    let files = in_order_of_their_heads(folder)?;
    let last = files.last().copied();
    for file in files {
        let bytes = folder.segment(file)?;
        verifier.begin_segment(file);
        for raw in line::lines(&bytes) {
            if !raw.whole {
                verifier.torn(raw.text.len() as u64, Some(file) == last);
                continue;
            }
            let place = verifier.place();
            if let Some(record) = verifier.line(raw.text) {
                for state in payload_states(folder, &record)? {
                    payloads += 1;
                    verifier.payload(&record, place, state);
                }
            }
        }
    }
    Ok((verifier.finish(options.head), payloads))
}

/// Files by the number in their heads, so that swapped files are named as swapped and nothing else is.
fn in_order_of_their_heads(folder: &Folder) -> Result<Vec<u64>, ReadError> {
    let mut files = Vec::new();
    for file in folder.segments()? {
        let bytes = folder.segment(file)?;
        let number = segment::header(&bytes).map_or(file, |header| header.segment);
        files.push((number, file));
    }
    files.sort_unstable();
    Ok(files.into_iter().map(|(_, file)| file).collect())
}

fn payload_states(folder: &Folder, record: &EventRecord) -> Result<Vec<PayloadState>, ReadError> {
    record
        .payloads
        .iter()
        .map(|payload| {
            Ok(match folder.payload(payload)? {
                Payload::Intact(_) => PayloadState::Intact,
                Payload::Changed => PayloadState::Changed,
                Payload::Missing => PayloadState::Missing,
            })
        })
        .collect()
}

/// Verifies an export of one session by itself: hashes, order and payloads, with the words of what is wrong, by line.
/// An export holds no checkpoints, so this proves consistency only.
///
/// # Errors
/// A line is no exported event.
pub fn verify_export(input: impl BufRead) -> Result<Vec<String>, ReadError> {
    let mut problems = Vec::new();
    let mut before: Option<(SessionId, u64, Digest)> = None;
    for (index, text) in input.lines().enumerate() {
        let line = index + 1;
        let bad = |error: serde_json::Error| ReadError::Export {
            line,
            why: error.to_string(),
        };
        let exported: ExportedEvent = serde_json::from_str(&text?).map_err(bad)?;
        let record: EventRecord = serde_json::from_str(exported.record.get()).map_err(bad)?;
        let name = format!(
            "line {line}: event {} of session `{}`",
            record.seq, record.session
        );
        if Digest::of(exported.record.get().as_bytes()) != exported.hash {
            problems.push(format!("{name} was changed: its hash does not fit"));
        }
        problems
            .extend(order_problem(&record, before.as_ref()).map(|what| format!("{name} {what}")));
        problems.extend(
            changed_payloads(&exported, &record)
                .map(|kind| format!("{name}: payload {kind} was changed")),
        );
        before = Some((record.session.clone(), record.seq, exported.hash));
    }
    Ok(problems)
}

fn order_problem(
    record: &EventRecord,
    before: Option<&(SessionId, u64, Digest)>,
) -> Option<String> {
    let (expected, prev) = match before {
        Some((session, seq, hash)) if *session == record.session => (seq + 1, Some(*hash)),
        Some(_) | None => (0, None),
    };
    if record.seq != expected {
        Some(format!("stands where event {expected} should"))
    } else if record.prev != prev {
        Some("follows another event than the one before it here".to_owned())
    } else {
        None
    }
}

fn changed_payloads(
    exported: &ExportedEvent,
    record: &EventRecord,
) -> impl Iterator<Item = String> {
    let digests: Vec<Digest> = record
        .payloads
        .iter()
        .map(|payload| payload.digest)
        .collect();
    exported
        .payloads
        .iter()
        .enumerate()
        .filter(move |(index, payload)| {
            let bytes = match (&payload.text, &payload.base64) {
                (Some(text), _) => Some(text.clone().into_bytes()),
                (None, Some(text)) => STANDARD.decode(text).ok(),
                (None, None) => return false,
            };
            bytes.map(|bytes| Digest::of(&bytes)).as_ref() != digests.get(*index)
        })
        .map(|(index, _)| index.to_string())
        .collect::<Vec<_>>()
        .into_iter()
}
