//! What the spool's thread does with one event: link, find room, buffer.
//!
//! Room is found for each event before it is linked into its chain, and what was reserved for terminal events of
//! open calls and sessions is never given to anything else. So a full disk refuses single events and harms nothing;
//! an error while writing, which room does not explain, stops the writer until a restart reads the disk again.

mod batch;
mod commit;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use sallyport_policy::name::{Digest, SessionId};
use sallyport_policy::record::event::{CallEnded, Event, Gap, GapCause, PayloadKind, SessionBegan};
use sallyport_policy::record::segment::{Composer, Prepared};
use sallyport_policy::record::{EventRef, Head, PayloadRef};
use sallyport_policy::time::UnixMillis;
use tokio::sync::oneshot;

use super::anchor::Anchor;
use super::disk::{Growing, Quota};
use super::durable::Stored;
use super::room::{self, cause_of, compose_error};
use super::{Options, RecordError};
use commit::new_files;

pub(super) use batch::{Batch, Item, tell, weight};

/// Events of a session that were lost and not yet told of.
#[derive(Clone, Copy, Debug)]
struct Lost {
    count: u64,
    cause: GapCause,
    since: UnixMillis,
}

/// The files that are being written, and what waits to be written.
pub(super) struct Writer {
    folder: PathBuf,
    pub(super) composer: Composer,
    events: Growing,
    payloads: Growing,
    quota: Quota,
    options: Options,
    event_buffer: Vec<u8>,
    payload_buffer: Vec<u8>,
    payload_bytes: u64,
    waiting: Vec<(oneshot::Sender<Stored>, EventRef)>,
    /// Since when lines are written that no sync has covered yet.
    unsynced: Option<Instant>,
    /// Sessions whose first event found no room; tried again before any later event.
    unborn: BTreeMap<SessionId, (UnixMillis, Box<SessionBegan>)>,
    lost: BTreeMap<SessionId, Lost>,
    pub(super) lost_total: u64,
    pub(super) written_total: u64,
    broken: Option<RecordError>,
    /// Why there is no room, as long as there is none.
    no_room: Option<RecordError>,
    signed_at: Instant,
    rotate_after: Instant,
    segment_since: Instant,
    /// Events of the present segment, so that one without any is never followed by another.
    segment_events: u64,
    anchor: Option<Anchor>,
    /// Newest checkpoint that is durable.
    pub(super) head: Option<Head>,
}

impl Writer {
    /// Makes the files of the composer's segment and writes its head, which is in `header`.
    pub(super) fn new(
        folder: &Path,
        options: Options,
        composer: Composer,
        header: Vec<u8>,
    ) -> Result<Self, RecordError> {
        let mut quota = Quota::new(folder, options.quota);
        let room = header.len() as u64 + room::kept(&composer);
        let (events, payloads) = new_files(folder, composer.segment(), room, &mut quota)?;
        let anchor = options.anchor.as_ref().map(Anchor::open).transpose()?;
        let now = Instant::now();
        Ok(Self {
            folder: folder.to_owned(),
            composer,
            events,
            payloads,
            quota,
            options,
            event_buffer: header,
            payload_buffer: Vec::new(),
            payload_bytes: 0,
            waiting: Vec::new(),
            unsynced: None,
            unborn: BTreeMap::new(),
            lost: BTreeMap::new(),
            lost_total: 0,
            written_total: 0,
            broken: None,
            no_room: None,
            signed_at: now,
            rotate_after: now,
            segment_since: now,
            segment_events: 0,
            anchor,
            head: None,
        })
    }

    /// Takes events that belong together. The first that is refused takes the others with it, except a terminal one,
    /// which has its own room and its own answer.
    pub(super) fn append(&mut self, batch: Batch) {
        let Batch {
            session,
            items,
            reply,
        } = batch;
        let mut result = None;
        for item in items {
            let terminal = matches!(item.event, Event::CallEnded(_));
            match &result {
                Some(Err(error)) if !terminal => {
                    let cause = cause_of(error);
                    self.lose(&session, item.at, cause, 1);
                }
                Some(_) | None => result = Some(self.take(&session, item)),
            }
        }
        match (result, reply) {
            (Some(Ok(stored)), Some(reply)) => self.waiting.push((reply, stored)),
            (Some(Err(error)), reply) => tell(reply, Err(error)),
            (Some(Ok(_)), None) | (None, _) => {}
        }
    }

    fn take(&mut self, session: &SessionId, item: Item) -> Stored {
        let at = item.at;
        // A session's beginning is kept and tried again, so it is not lost.
        let begins = matches!(item.event, Event::SessionBegan(_));
        // Terminal events find room on a full disk too, so they do not show that it is over.
        let ends = matches!(item.event, Event::CallEnded(_) | Event::SessionEnded(_));
        let stored = self.store(session, item);
        match &stored {
            Ok(_) if ends => {}
            Ok(_) => self.no_room = None,
            Err(error) => {
                if !begins {
                    self.lose(session, at, cause_of(error), 1);
                }
                if matches!(error, RecordError::NoSpace(_) | RecordError::Quota(_)) {
                    self.no_room = Some(error.clone());
                }
            }
        }
        stored
    }

    /// Appends an event of our own, of now, that nobody waits for.
    pub(super) fn record(
        &mut self,
        session: &SessionId,
        event: Event,
    ) -> Result<EventRef, RecordError> {
        let item = Item {
            at: (self.options.clock)(),
            event,
            payloads: Vec::new(),
        };
        self.store(session, item)
    }

    /// Ends every call of a session that has no end yet.
    pub(super) fn end_calls(&mut self, session: &SessionId) -> Result<u64, RecordError> {
        let calls = self.composer.chains().open_calls(session);
        let count = calls.len() as u64;
        for (call, progress) in calls {
            let ended = CallEnded {
                call,
                outcome: progress.outcome(),
                executed: progress.executed(),
                reason: None,
                status: None,
                millis: None,
            };
            self.record(session, Event::CallEnded(ended))?;
        }
        Ok(count)
    }

    /// Notes events that were lost before they came here.
    pub(super) fn lose(
        &mut self,
        session: &SessionId,
        since: UnixMillis,
        cause: GapCause,
        count: u64,
    ) {
        self.lost_total += count;
        // A session that is over has no next event that could tell of the gap.
        if self.composer.chains().is_open(session) || self.unborn.contains_key(session) {
            let fresh = Lost {
                count: 0,
                cause,
                since,
            };
            self.lost.entry(session.clone()).or_insert(fresh).count += count;
        }
    }

    fn store(&mut self, session: &SessionId, item: Item) -> Result<EventRef, RecordError> {
        if let Some(error) = &self.broken {
            return Err(RecordError::Broken(error.to_string()));
        }
        self.be_born(session, &item)?;
        if let Event::SessionBegan(began) = item.event {
            return self.begin(session, item.at, began);
        }
        let refs = self.refs(&item.payloads);
        let size: u64 = refs.iter().map(|payload| payload.length).sum();
        if let Some(gap) = self.lost.get(session).copied() {
            self.tell_gap(session, &item, &refs, gap)?;
        }
        let Item {
            at,
            event,
            payloads,
        } = item;
        let prepared = self
            .composer
            .prepare(session, at, event, refs)
            .map_err(compose_error)?;
        self.find_room(&prepared, 0, size)?;
        self.payload_bytes += size;
        for (_, bytes) in payloads {
            self.payload_buffer.extend_from_slice(&bytes);
        }
        Ok(self.commit(&prepared))
    }

    fn begin(
        &mut self,
        session: &SessionId,
        at: UnixMillis,
        began: Box<SessionBegan>,
    ) -> Result<EventRef, RecordError> {
        let event = Event::SessionBegan(began.clone());
        let result = self
            .composer
            .prepare(session, at, event, Vec::new())
            .map_err(compose_error)
            .and_then(|prepared| {
                self.find_room(&prepared, 0, 0)?;
                Ok(self.commit(&prepared))
            });
        if result.is_err() {
            self.unborn.insert(session.clone(), (at, began));
        }
        result
    }

    /// A session whose beginning found no room begins now, or the event finds none either.
    fn be_born(&mut self, session: &SessionId, item: &Item) -> Result<(), RecordError> {
        let Some((at, began)) = self.unborn.remove(session) else {
            return Ok(());
        };
        if matches!(item.event, Event::SessionEnded(_)) {
            return Ok(());
        }
        self.begin(session, at, began).map(|_| ())
    }

    fn commit(&mut self, prepared: &Prepared) -> EventRef {
        self.written_total += 1;
        self.segment_events += 1;
        self.composer.commit(prepared, &mut self.event_buffer)
    }

    /// Tells of a gap right before the event that follows it, if there is room for both.
    fn tell_gap(
        &mut self,
        session: &SessionId,
        item: &Item,
        refs: &[PayloadRef],
        gap: Lost,
    ) -> Result<(), RecordError> {
        let size = refs.iter().map(|payload| payload.length).sum();
        let following = self
            .composer
            .prepare(session, item.at, item.event.clone(), refs.to_vec())
            .map_err(compose_error)?;
        self.find_room(&following, room::GAP, size)?;
        let event = Event::Gap(Gap {
            lost: gap.count,
            cause: gap.cause,
            since: gap.since,
        });
        let prepared = self
            .composer
            .prepare(session, item.at, event, Vec::new())
            .map_err(compose_error)?;
        self.commit(&prepared);
        self.lost.remove(session);
        Ok(())
    }

    fn refs(&self, payloads: &[(PayloadKind, Bytes)]) -> Vec<PayloadRef> {
        let mut offset = self.payloads.written() + self.payload_bytes;
        let mut refs = Vec::with_capacity(payloads.len());
        for (kind, bytes) in payloads {
            let length = bytes.len() as u64;
            refs.push(PayloadRef {
                kind: *kind,
                digest: Digest::of(bytes),
                length,
                file: self.composer.segment(),
                offset,
            });
            offset += length;
        }
        refs
    }

    /// Room for this event, on top of what stays reserved once it is there.
    fn find_room(
        &mut self,
        prepared: &Prepared,
        extra: u64,
        payloads: u64,
    ) -> Result<(), RecordError> {
        let event = &prepared.record().event;
        let keep = room::kept_after(event, &self.composer);
        self.event_room(prepared.line_bytes() + extra, keep)?;
        let total = self.payloads.written() + self.payload_bytes + payloads;
        self.payloads.room(total, &mut self.quota)
    }

    fn event_room(&mut self, bytes: u64, keep: u64) -> Result<(), RecordError> {
        let total = self.events.written() + self.event_buffer.len() as u64 + bytes + keep;
        self.events.room(total, &mut self.quota)
    }

    /// Why nothing can be stored at present.
    pub(super) fn trouble(&self) -> Option<RecordError> {
        let broken = self
            .broken
            .as_ref()
            .map(|error| RecordError::Broken(error.to_string()));
        broken.or_else(|| self.no_room.clone())
    }
}
