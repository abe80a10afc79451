//! What the spool's thread does with one event: link, find room, buffer; and with a group: write, sync, tell.
//!
//! Room is found for each event before it is linked into its chain, and what was reserved for terminal events of
//! open calls and sessions is never given to anything else. So a full disk refuses single events and harms nothing;
//! an error while writing, which room does not explain, stops the writer until a restart reads the disk again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use sallyport_policy::name::{Digest, SessionId};
use sallyport_policy::record::event::{CallEnded, Event, Gap, GapCause, PayloadKind, SessionBegan};
use sallyport_policy::record::layout;
use sallyport_policy::record::segment::{Composer, Prepared};
use sallyport_policy::record::{EventRef, Head, PayloadRef};
use sallyport_policy::time::UnixMillis;
use tokio::sync::oneshot;

use super::anchor::Anchor;
use super::disk::{Growing, Quota, sync_folder};
use super::durable::Stored;
use super::room::{self, cause_of, compose_error};
use super::{Options, RecordError};

/// How many bytes of payloads a segment may have for each byte of events.
const PAYLOAD_FACTOR: u64 = 8;

/// What a buffer may keep between two groups, in bytes.
const KEPT_BUFFER: usize = 256 << 10;

/// Events of a session that were lost and not yet told of.
#[derive(Clone, Copy, Debug)]
struct Lost {
    count: u64,
    cause: GapCause,
    since: UnixMillis,
}

/// One event on its way.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) session: SessionId,
    pub(super) at: UnixMillis,
    pub(super) event: Event,
    pub(super) payloads: Vec<(PayloadKind, Bytes)>,
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
        let anchor = options.anchor.as_deref();
        let anchor = anchor.map(|path| Anchor::open(path, options.anchor_every));
        let anchor = anchor.transpose()?;
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
            unborn: BTreeMap::new(),
            lost: BTreeMap::new(),
            lost_total: 0,
            written_total: 0,
            broken: None,
            no_room: None,
            signed_at: now,
            rotate_after: now,
            anchor,
            head: None,
        })
    }

    /// Takes one event; `reply` hears when its group is durable.
    pub(super) fn append(&mut self, item: Item, reply: Option<oneshot::Sender<Stored>>) {
        let (session, at) = (item.session.clone(), item.at);
        // A session's beginning is kept and tried again, so it is not lost.
        let begins = matches!(item.event, Event::SessionBegan(_));
        // Terminal events find room on a full disk too, so they do not show that it is over.
        let ends = matches!(item.event, Event::CallEnded(_) | Event::SessionEnded(_));
        match self.store(item) {
            Ok(stored) => {
                if !ends {
                    self.no_room = None;
                }
                if let Some(reply) = reply {
                    self.waiting.push((reply, stored));
                }
            }
            Err(error) => {
                if !begins {
                    self.lose(&session, at, cause_of(&error), 1);
                }
                if matches!(error, RecordError::NoSpace(_) | RecordError::Quota(_)) {
                    self.no_room = Some(error.clone());
                }
                tell(reply, Err(error));
            }
        }
    }

    /// Appends an event of our own, of now, that nobody waits for.
    pub(super) fn record(
        &mut self,
        session: &SessionId,
        event: Event,
    ) -> Result<EventRef, RecordError> {
        self.store(Item {
            session: session.clone(),
            at: (self.options.clock)(),
            event,
            payloads: Vec::new(),
        })
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

    fn store(&mut self, item: Item) -> Result<EventRef, RecordError> {
        if let Some(error) = &self.broken {
            return Err(RecordError::Broken(error.to_string()));
        }
        self.be_born(&item)?;
        if let Event::SessionBegan(began) = item.event {
            return self.begin(item.session, item.at, began);
        }
        let refs = self.refs(&item.payloads);
        let size: u64 = refs.iter().map(|payload| payload.length).sum();
        if let Some(gap) = self.lost.get(&item.session).copied() {
            self.tell_gap(&item, &refs, size, gap)?;
        }
        let Item {
            session,
            at,
            event,
            payloads,
        } = item;
        let prepared = self
            .composer
            .prepare(&session, at, event, refs)
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
        session: SessionId,
        at: UnixMillis,
        began: Box<SessionBegan>,
    ) -> Result<EventRef, RecordError> {
        let event = Event::SessionBegan(began.clone());
        let result = self
            .composer
            .prepare(&session, at, event, Vec::new())
            .map_err(compose_error)
            .and_then(|prepared| {
                self.find_room(&prepared, 0, 0)?;
                Ok(self.commit(&prepared))
            });
        if result.is_err() {
            self.unborn.insert(session, (at, began));
        }
        result
    }

    /// A session whose beginning found no room begins now, or the event finds none either.
    fn be_born(&mut self, item: &Item) -> Result<(), RecordError> {
        let Some((at, began)) = self.unborn.remove(&item.session) else {
            return Ok(());
        };
        if matches!(item.event, Event::SessionEnded(_)) {
            return Ok(());
        }
        self.begin(item.session.clone(), at, began).map(|_| ())
    }

    fn commit(&mut self, prepared: &Prepared) -> EventRef {
        self.written_total += 1;
        self.composer.commit(prepared, &mut self.event_buffer)
    }

    /// Tells of a gap right before the event that follows it, if there is room for both.
    fn tell_gap(
        &mut self,
        item: &Item,
        refs: &[PayloadRef],
        size: u64,
        gap: Lost,
    ) -> Result<(), RecordError> {
        let following = self
            .composer
            .prepare(&item.session, item.at, item.event.clone(), refs.to_vec())
            .map_err(compose_error)?;
        self.find_room(&following, room::GAP, size)?;
        let event = Event::Gap(Gap {
            lost: gap.count,
            cause: gap.cause,
            since: gap.since,
        });
        let prepared = self
            .composer
            .prepare(&item.session, item.at, event, Vec::new())
            .map_err(compose_error)?;
        self.commit(&prepared);
        self.lost.remove(&item.session);
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

    /// Writes and syncs everything buffered, then tells everybody who waits.
    pub(super) fn flush(&mut self) -> Result<(), RecordError> {
        let result = match &self.broken {
            Some(error) => Err(RecordError::Broken(error.to_string())),
            None => self.write_out(),
        };
        if let (Err(error), None) = (&result, &self.broken) {
            tracing::error!(%error, "the recorder stops");
            self.broken = Some(error.clone());
        }
        if result.is_ok() {
            self.head = self.composer.head();
        }
        for (reply, stored) in self.waiting.drain(..) {
            let told = result.clone().map(|()| stored);
            tell(Some(reply), told);
        }
        result
    }

    /// Payloads first: an event that is durable never names a payload that is not.
    fn write_out(&mut self) -> Result<(), RecordError> {
        if self.payload_bytes > 0 {
            self.payloads.append(&self.payload_buffer)?;
            self.payloads.sync()?;
            self.payload_bytes = 0;
            // A rush may have made it large; the next one may be long in coming.
            self.payload_buffer.clear();
            self.payload_buffer.shrink_to(KEPT_BUFFER);
        }
        if !self.event_buffer.is_empty() {
            self.events.append(&self.event_buffer)?;
            self.event_buffer.clear();
            self.events.sync()?;
        }
        Ok(())
    }

    pub(super) fn checkpoint_due(&self) -> bool {
        let unsigned = self.composer.unsigned_events();
        unsigned >= self.options.checkpoint_events
            || (unsigned > 0 && self.signed_at.elapsed() >= self.options.checkpoint_every)
    }

    /// Signs a checkpoint over everything buffered. The last one of all may use what was kept for it.
    pub(super) fn checkpoint(&mut self, last: bool) -> Result<(), RecordError> {
        self.signed_at = Instant::now();
        let at = (self.options.clock)();
        let json = self
            .composer
            .prepare_checkpoint(at)
            .map_err(compose_error)?;
        let keep = if last { 0 } else { room::kept(&self.composer) };
        let line = json.len() + sallyport_policy::record::line::OVERHEAD;
        self.event_room(line as u64, keep)?;
        let head = self
            .composer
            .commit_checkpoint(&json, &mut self.event_buffer);
        self.flush()?;
        if let Some(anchor) = &mut self.anchor {
            anchor.learn(head, last);
        }
        Ok(())
    }

    pub(super) fn anchor_if_due(&mut self) {
        if let Some(anchor) = &mut self.anchor {
            anchor.write_if_due();
        }
    }

    /// Begins the next segment where this one is large enough. On a full disk the present one just grows on.
    pub(super) fn rotate_if_due(&mut self) {
        let events = self.events.written() + self.event_buffer.len() as u64;
        let payloads = self.payloads.written() + self.payload_bytes;
        let due = events >= self.options.segment_bytes
            || payloads >= self.options.segment_bytes.saturating_mul(PAYLOAD_FACTOR);
        if !due || self.broken.is_some() || Instant::now() < self.rotate_after {
            return;
        }
        if let Err(error) = self.rotate() {
            self.rotate_after = Instant::now() + self.options.checkpoint_every;
            tracing::warn!(%error, "no new segment could be begun; the present one grows on");
        }
    }

    fn rotate(&mut self) -> Result<(), RecordError> {
        // A segment ends with a checkpoint, so that its last events are signed in it.
        self.checkpoint(false)?;
        let at = (self.options.clock)();
        let header = self.composer.prepare_segment(at).map_err(compose_error)?;
        let room = header.len() as u64
            + sallyport_policy::record::line::OVERHEAD as u64
            + room::kept(&self.composer);
        let next = self.composer.segment() + 1;
        let (events, payloads) = new_files(&self.folder, next, room, &mut self.quota)?;
        let mut old_events = std::mem::replace(&mut self.events, events);
        let mut old_payloads = std::mem::replace(&mut self.payloads, payloads);
        self.composer
            .commit_segment(&header, &mut self.event_buffer);
        self.flush()?;
        old_events.trim(&mut self.quota)?;
        old_payloads.trim(&mut self.quota)
    }

    /// Gives back what was reserved. Nothing may be appended afterwards.
    pub(super) fn finish(&mut self) -> Result<(), RecordError> {
        self.events.trim(&mut self.quota)?;
        self.payloads.trim(&mut self.quota)
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

/// Tells one who may have stopped waiting.
pub(super) fn tell<T>(reply: Option<oneshot::Sender<T>>, told: T) {
    if let Some(reply) = reply {
        // Nobody waits for an event under `BestEffort`; that is no error.
        drop(reply.send(told));
    }
}

fn new_files(
    folder: &Path,
    number: u64,
    room: u64,
    quota: &mut Quota,
) -> Result<(Growing, Growing), RecordError> {
    let segments = folder.join(layout::SEGMENTS);
    let payloads = folder.join(layout::PAYLOADS);
    let mut event_file = Growing::create(segments.join(layout::segment_file(number)))?;
    if let Err(error) = event_file.room(room, quota) {
        event_file.discard(quota);
        return Err(error);
    }
    let payload_file = match Growing::create(payloads.join(layout::payload_file(number))) {
        Ok(file) => file,
        Err(error) => {
            event_file.discard(quota);
            return Err(error);
        }
    };
    sync_folder(&segments)?;
    sync_folder(&payloads)?;
    Ok((event_file, payload_file))
}
