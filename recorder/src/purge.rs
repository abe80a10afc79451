//! Deleting by order (law 32): the tombstone is durable and signed before anything goes, and legal hold stops it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use sallyport_policy::name::{Digest, SessionId};
use sallyport_policy::record::PayloadRef;
use sallyport_policy::record::event::{Event, LegalHold, PurgeCause, Purged, PurgedThing};
use sallyport_policy::record::layout;
use sallyport_policy::record::segment::Resumed;
use sallyport_policy::time::UnixMillis;

use crate::error::{ReadError, failed};
use crate::folder::Position;
use crate::index::Index;
use crate::recordings::{Actor, Recordings};

/// What a purge took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub payloads: u64,
    pub segments: Vec<u64>,
    pub bytes: u64,
    /// Segments that are old enough, and stay because of sessions on hold.
    pub held: Vec<u64>,
}

impl Recordings {
    /// Sessions on legal hold, with the reason given.
    ///
    /// # Errors
    /// The audit chain cannot be read.
    pub fn holds(&self) -> Result<BTreeMap<SessionId, String>, ReadError> {
        let mut holds = BTreeMap::new();
        for record in self.audit.events()? {
            if let Event::LegalHold(hold) = record.event {
                if hold.held {
                    holds.insert(hold.session, hold.reason);
                } else {
                    holds.remove(&hold.session);
                }
            }
        }
        Ok(holds)
    }

    /// Places a session on legal hold, or lifts it.
    ///
    /// # Errors
    /// There is no such session, or the audit chain cannot be written.
    pub fn set_hold(
        &self,
        actor: &Actor,
        id: &str,
        held: bool,
        reason: &str,
    ) -> Result<(), ReadError> {
        let hold = LegalHold {
            session: self.resolve(id)?,
            held,
            user: actor.user.clone(),
            uid: actor.uid,
            reason: reason.to_owned(),
        };
        self.audit
            .append(Event::LegalHold(hold), self.now())
            .map(|_| ())
    }

    /// Deletes all payloads of one session; its events stay, and verify.
    ///
    /// # Errors
    /// The session is on hold, the tombstone cannot be written, or a file cannot be changed.
    pub fn purge_payloads(
        &self,
        actor: &Actor,
        id: &str,
        cause: PurgeCause,
        reason: Option<&str>,
    ) -> Result<Taken, ReadError> {
        let summary = self.find(id)?;
        let session = summary.id.clone();
        if let Some(reason) = self.holds()?.remove(&session) {
            return Err(ReadError::Held { session, reason });
        }
        let entries = self
            .folder
            .session(&session, summary.first_segment, summary.last_segment)?;
        let through = entries.last().map_or(0, |entry| entry.record.seq);
        let payloads: Vec<PayloadRef> = entries
            .into_iter()
            .flat_map(|entry| entry.record.payloads)
            .collect();
        let taken = Taken {
            payloads: payloads.len() as u64,
            bytes: payloads.iter().map(|payload| payload.length).sum(),
            ..Taken::default()
        };
        self.bury(
            actor,
            cause,
            reason,
            PurgedThing::Payloads {
                session,
                through,
                payloads: taken.payloads,
                bytes: taken.bytes,
            },
        )?;
        self.erase(&payloads)?;
        Ok(taken)
    }

    /// Deletes whole segments with their payloads whose last event is before `before`. The segment that may still be
    /// written, and segments with a session on hold, stay.
    ///
    /// # Errors
    /// A tombstone cannot be written, or a file cannot be read or deleted.
    pub fn purge_segments(
        &self,
        actor: &Actor,
        before: UnixMillis,
        reason: Option<&str>,
    ) -> Result<Taken, ReadError> {
        let holds = self.holds()?;
        let mut taken = Taken::default();
        let mut segments = self.folder.segments()?;
        segments.pop();
        for number in segments {
            match self.age(number, &holds)? {
                Age {
                    last: Some(last), ..
                } if last >= before => {}
                Age { on_hold: true, .. } => taken.held.push(number),
                Age { .. } => {
                    taken.bytes += self.purge_segment(actor, number, reason)?;
                    taken.segments.push(number);
                }
            }
        }
        if !taken.segments.is_empty() {
            Index::discard(&self.folder)?;
        }
        Ok(taken)
    }

    fn age(&self, number: u64, holds: &BTreeMap<SessionId, String>) -> Result<Age, ReadError> {
        let mut age = Age {
            last: None,
            on_hold: false,
        };
        for entry in self.folder.entries(Position {
            segment: number,
            offset: 0,
        })? {
            let (entry, _) = entry?;
            if entry.place.segment != number {
                break;
            }
            age.last = age.last.max(Some(entry.record.at));
            age.on_hold |= holds.contains_key(&entry.record.session);
        }
        Ok(age)
    }

    fn purge_segment(
        &self,
        actor: &Actor,
        number: u64,
        reason: Option<&str>,
    ) -> Result<u64, ReadError> {
        let text = self.folder.segment(number)?;
        let (path, payloads) = (
            self.folder.segment_path(number),
            self.folder.payload_path(number),
        );
        let payload_bytes = fs::metadata(&payloads).map_or(0, |facts| facts.len());
        let bytes = text.len() as u64 + payload_bytes;
        self.bury(
            actor,
            PurgeCause::Retention,
            reason,
            PurgedThing::Segment {
                segment: number,
                digest: Digest::of(&text),
                bytes,
                checkpoint: Resumed::read(&text).and_then(|resumed| resumed.checkpoint),
            },
        )?;
        for path in [&payloads, &path] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed("delete", path)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        for folder in [layout::SEGMENTS, layout::PAYLOADS] {
            sync(&self.folder.path().join(folder))?;
        }
        Ok(bytes)
    }

    /// Writes the tombstone: durable and signed when this returns.
    fn bury(
        &self,
        actor: &Actor,
        cause: PurgeCause,
        reason: Option<&str>,
        what: PurgedThing,
    ) -> Result<(), ReadError> {
        let purged = Purged {
            user: actor.user.clone(),
            uid: actor.uid,
            cause,
            reason: reason.map(ToOwned::to_owned),
            what,
        };
        self.audit
            .append(Event::Purged(purged), self.now())
            .map(|_| ())
    }

    fn erase(&self, payloads: &[PayloadRef]) -> Result<(), ReadError> {
        let mut by_file: BTreeMap<u64, Vec<&PayloadRef>> = BTreeMap::new();
        for payload in payloads.iter().filter(|payload| payload.length > 0) {
            by_file.entry(payload.file).or_default().push(payload);
        }
        for (number, payloads) in by_file {
            let path = self.folder.payload_path(number);
            let file = match OpenOptions::new().write(true).open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                opened => opened.map_err(failed("open", &path))?,
            };
            for payload in payloads {
                erase_span(&file, payload).map_err(failed("erase in", &path))?;
            }
            file.sync_all().map_err(failed("sync", &path))?;
        }
        Ok(())
    }
}

/// How old a segment is.
struct Age {
    /// None where no event in it can be read.
    last: Option<UnixMillis>,
    on_hold: bool,
}

/// Gives the span back to the disk; where the file system cannot, overwrites it.
fn erase_span(file: &File, payload: &PayloadRef) -> std::io::Result<()> {
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match fallocate(file, punch, payload.offset, payload.length) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => overwrite(file, payload),
        done => done.map_err(Into::into),
    }
}

fn overwrite(file: &File, payload: &PayloadRef) -> std::io::Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut at = payload.offset;
    let mut left = payload.length;
    while left > 0 {
        let step = left.min(ZEROS.len() as u64);
        let zeros = usize::try_from(step)
            .ok()
            .and_then(|step| ZEROS.get(..step));
        file.write_all_at(zeros.unwrap_or_default(), at)?;
        at += step;
        left -= step;
    }
    Ok(())
}

fn sync(folder: &Path) -> Result<(), ReadError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("sync", folder))
}
