//! Deleting by order (law 32): the tombstone is durable and signed before anything goes, and legal hold stops it.

use std::collections::{BTreeMap, BTreeSet};
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
use sallyport_policy::record::verify::Tombstones;
use sallyport_policy::time::UnixMillis;
use serde::Serialize;

use crate::error::{ReadError, failed};
use crate::folder::Position;
use crate::index::Index;
use crate::query::SessionFilter;
use crate::recordings::{Actor, Recordings};
use crate::summary::SessionSummary;

/// Who orders a purge and why.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    pub actor: &'a Actor,
    pub cause: PurgeCause,
    pub reason: Option<&'a str>,
    /// Tell what would be taken, and take nothing.
    pub dry_run: bool,
}

/// What a purge took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// Payloads of single sessions; those of whole segments are not counted.
    pub payloads: u64,
    pub segments: Vec<u64>,
    pub bytes: u64,
    /// Segments that are old enough, and stay because of sessions on hold.
    pub held: Vec<u64>,
    /// Segments whose age nobody can read; they stay as evidence.
    pub unreadable: Vec<u64>,
}

impl Taken {
    /// Whether nothing was deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.payloads == 0
    }
}

impl Recordings {
    /// Sessions on legal hold, each with the event that placed it and its time, in the order of the sessions.
    ///
    /// # Errors
    /// The audit chain cannot be read.
    pub fn holds(&self) -> Result<BTreeMap<SessionId, Hold>, ReadError> {
        let mut holds = BTreeMap::new();
        for record in self.audit.events()? {
            if let Event::LegalHold(hold) = record.event {
                if hold.held {
                    let since = record.at;
                    let LegalHold {
                        session,
                        user,
                        uid,
                        reason,
                        held: _,
                    } = hold;
                    let hold = Hold {
                        since,
                        user,
                        uid,
                        reason,
                    };
                    holds.insert(session, hold);
                } else {
                    holds.remove(&hold.session);
                }
            }
        }
        Ok(holds)
    }

    /// Places a session on legal hold, or lifts it. Gives the session's whole id.
    ///
    /// # Errors
    /// There is no such session, or the audit chain cannot be written.
    pub fn set_hold(
        &self,
        actor: &Actor,
        id: &str,
        held: bool,
        reason: &str,
    ) -> Result<SessionId, ReadError> {
        // A purge that runs has looked at the holds already.
        let _purging = self.audit.purge_lock()?;
        let session = self.resolve(id)?;
        let hold = LegalHold {
            session: session.clone(),
            held,
            user: actor.user.clone(),
            uid: actor.uid,
            reason: reason.to_owned(),
        };
        self.audit.append(Event::LegalHold(hold), self.now())?;
        Ok(session)
    }

    /// Deletes all payloads of one session; its events stay, and verify.
    ///
    /// # Errors
    /// The session is on hold, the tombstone cannot be written, or a file cannot be changed.
    pub fn purge_payloads(&self, order: Order<'_>, id: &str) -> Result<Taken, ReadError> {
        let _purging = self.audit.purge_lock()?;
        let summary = self.find(id)?;
        if let Some(hold) = self.holds()?.remove(&summary.id) {
            let session = summary.id;
            let reason = hold.reason;
            return Err(ReadError::Held { session, reason });
        }
        let mut taken = Taken::default();
        self.take_payloads(order, &summary, &self.tombstones()?, &mut taken)?;
        Ok(taken)
    }

    /// Deletes whole segments with their payloads whose last event is before `before`. The segment that may still be
    /// written stays. So do segments with a session on hold; of their other sessions those that are old enough lose
    /// their payloads.
    ///
    /// # Errors
    /// A tombstone cannot be written, or a file cannot be read or deleted.
    pub fn purge_before(&self, order: Order<'_>, before: UnixMillis) -> Result<Taken, ReadError> {
        let _purging = self.audit.purge_lock()?;
        let holds = self.holds()?;
        let mut taken = Taken::default();
        let mut beside_holds = BTreeSet::new();
        let mut segments = self.folder.segments()?;
        segments.pop();
        for number in segments {
            let age = self.age(number, &holds)?;
            match age.last {
                None => taken.unreadable.push(number),
                Some(last) if last >= before => {}
                Some(_) if age.on_hold => {
                    taken.held.push(number);
                    beside_holds.extend(age.others);
                }
                Some(_) => {
                    taken.bytes += self.purge_segment(order, number)?;
                    taken.segments.push(number);
                }
            }
        }
        self.take_beside_holds(order, before, &beside_holds, &mut taken)?;
        if !taken.segments.is_empty() && !order.dry_run {
            Index::discard(&self.folder)?;
        }
        Ok(taken)
    }

    /// One session on hold must not keep everybody else's words for ever.
    fn take_beside_holds(
        &self,
        order: Order<'_>,
        before: UnixMillis,
        sessions: &BTreeSet<SessionId>,
        taken: &mut Taken,
    ) -> Result<(), ReadError> {
        if sessions.is_empty() {
            return Ok(());
        }
        let tombstones = self.tombstones()?;
        let all = Index::open(&self.folder)?.sessions(&SessionFilter::default())?;
        let old = all
            .iter()
            .filter(|session| sessions.contains(&session.id) && session.last < before);
        for summary in old {
            self.take_payloads(order, summary, &tombstones, taken)?;
        }
        Ok(())
    }

    /// What was purged before is not taken, nor told, again.
    fn take_payloads(
        &self,
        order: Order<'_>,
        summary: &SessionSummary,
        tombstones: &Tombstones,
        taken: &mut Taken,
    ) -> Result<(), ReadError> {
        let session = summary.id.clone();
        let entries = self
            .folder
            .session(&session, summary.first_segment, summary.last_segment)?;
        let through = entries.last().map_or(0, |entry| entry.record.seq);
        let payloads: Vec<PayloadRef> = entries
            .into_iter()
            .filter(|entry| !tombstones.covers(&session, entry.record.seq))
            .flat_map(|entry| entry.record.payloads)
            .collect();
        if payloads.is_empty() {
            return Ok(());
        }
        let (count, bytes) = (
            payloads.len() as u64,
            payloads.iter().map(|payload| payload.length).sum::<u64>(),
        );
        taken.payloads += count;
        taken.bytes += bytes;
        if order.dry_run {
            return Ok(());
        }
        let what = PurgedThing::Payloads {
            session,
            through,
            payloads: count,
            bytes,
        };
        self.bury(order, what)?;
        self.erase(&payloads)
    }

    fn age(&self, number: u64, holds: &BTreeMap<SessionId, Hold>) -> Result<Age, ReadError> {
        let mut age = Age {
            last: None,
            on_hold: false,
            others: BTreeSet::new(),
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
            if holds.contains_key(&entry.record.session) {
                age.on_hold = true;
            } else {
                age.others.insert(entry.record.session);
            }
        }
        Ok(age)
    }

    fn purge_segment(&self, order: Order<'_>, number: u64) -> Result<u64, ReadError> {
        let text = self.folder.segment(number)?;
        let (path, payloads) = (
            self.folder.segment_path(number),
            self.folder.payload_path(number),
        );
        let payload_bytes = fs::metadata(&payloads).map_or(0, |facts| facts.len());
        let bytes = text.len() as u64 + payload_bytes;
        if order.dry_run {
            return Ok(bytes);
        }
        let what = PurgedThing::Segment {
            segment: number,
            digest: Digest::of(&text),
            bytes,
            checkpoint: Resumed::read(&text).and_then(|resumed| resumed.checkpoint),
        };
        self.bury(order, what)?;
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
    fn bury(&self, order: Order<'_>, what: PurgedThing) -> Result<(), ReadError> {
        let purged = Purged {
            user: order.actor.user.clone(),
            uid: order.actor.uid,
            cause: order.cause,
            reason: order.reason.map(ToOwned::to_owned),
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
    /// Sessions in it that are not on hold.
    others: BTreeSet<SessionId>,
}

/// A session that must not be purged: who said so, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub since: UnixMillis,
    pub user: String,
    pub uid: u32,
    pub reason: String,
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
