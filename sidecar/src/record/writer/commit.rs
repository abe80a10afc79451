//! From buffers to the disk: groups are written, synced and told of, checkpoints signed, segments begun.

use std::path::Path;
use std::time::{Duration, Instant};

use sallyport_policy::record::layout;
use sallyport_policy::record::line::OVERHEAD;

use super::super::anchor::{Anchor, AnchorAt};
use super::super::disk::{Growing, Quota, sync_folder};
use super::super::room::{self, compose_error};
use super::{RecordError, Writer, tell};

/// Longest time that events which nobody waits for are written and not synced.
const LINGER: Duration = Duration::from_millis(50);

/// What the buffer of payloads may keep between two groups, in bytes.
const KEPT_BUFFER: usize = 256 << 10;

/// How many bytes of payloads a segment may have for each byte of events.
const PAYLOAD_FACTOR: u64 = 8;

impl Writer {
    /// Writes and syncs everything buffered, then tells everybody who waits.
    pub(in crate::record) fn flush(&mut self) -> Result<(), RecordError> {
        let result = self.attempt(Self::write_and_sync);
        if result.is_ok() {
            self.head = self.composer.head();
        }
        for (reply, stored) in self.waiting.drain(..) {
            let told = result.clone().map(|()| stored);
            tell(Some(reply), told);
        }
        result
    }

    /// Where nobody waits, lines are only written: a killed process loses nothing of them, and the sync is shared
    /// with whatever comes within a moment.
    pub(in crate::record) fn flush_for_whoever_waits(&mut self) -> Result<(), RecordError> {
        // A line must not reach the disk before the payloads that it names.
        if self.waiting.is_empty() && self.payload_bytes == 0 {
            self.attempt(Self::write_lines)
        } else {
            self.flush()
        }
    }

    /// How long what is written may still wait for its sync; none where all is synced.
    pub(in crate::record) fn sync_due_in(&self) -> Option<Duration> {
        self.unsynced
            .map(|since| LINGER.saturating_sub(since.elapsed()))
    }

    pub(in crate::record) fn sync_if_due(&mut self) {
        if self.sync_due_in().is_some_and(|due| due.is_zero()) {
            // Nobody waits; the trouble has been logged and is seen in the health.
            drop(self.flush());
        }
    }

    /// The first failure stops the writer until a restart.
    fn attempt(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        if let Some(error) = &self.broken {
            return Err(RecordError::Broken(error.to_string()));
        }
        let result = write(self);
        if let Err(error) = &result {
            tracing::error!(%error, "the recorder stops");
            self.broken = Some(error.clone());
            self.unsynced = None;
        }
        result
    }

    /// Payloads first: an event that is durable never names a payload that is not.
    fn write_and_sync(&mut self) -> Result<(), RecordError> {
        if self.payload_bytes > 0 {
            self.payloads.append(&self.payload_buffer)?;
            self.payloads.sync()?;
            self.payload_bytes = 0;
            // A rush may have made it large; the next one may be long in coming.
            self.payload_buffer.clear();
            self.payload_buffer.shrink_to(KEPT_BUFFER);
        }
        self.write_lines()?;
        if self.unsynced.take().is_some() {
            self.events.sync()?;
        }
        Ok(())
    }

    fn write_lines(&mut self) -> Result<(), RecordError> {
        if !self.event_buffer.is_empty() {
            self.unsynced.get_or_insert_with(Instant::now);
            self.events.append(&self.event_buffer)?;
            self.event_buffer.clear();
        }
        Ok(())
    }

    pub(in crate::record) fn checkpoint_due(&self) -> bool {
        let unsigned = self.composer.unsigned_events();
        unsigned >= self.options.checkpoint_events
            || (unsigned > 0 && self.signed_at.elapsed() >= self.checkpoint_every())
    }

    /// An anchor that is to learn heads more often needs them signed as often.
    fn checkpoint_every(&self) -> Duration {
        let every = self.options.checkpoint_every;
        self.anchor_every()
            .map_or(every, |anchor| anchor.min(every))
    }

    /// Signs a checkpoint over everything buffered. The last one of all may use what was kept for it.
    pub(in crate::record) fn checkpoint(&mut self, last: bool) -> Result<(), RecordError> {
        self.signed_at = Instant::now();
        let at = (self.options.clock)();
        let json = self
            .composer
            .prepare_checkpoint(at)
            .map_err(compose_error)?;
        let keep = if last { 0 } else { room::kept(&self.composer) };
        let line = json.len() + OVERHEAD;
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

    /// Copies checkpoints to another place from now on.
    pub(in crate::record) fn anchor_to(&mut self, anchor: Option<AnchorAt>) {
        if self.anchor.as_ref().map(Anchor::at) == anchor.as_ref() {
            return;
        }
        self.anchor = anchor.and_then(|at| {
            Anchor::open(&at)
                .inspect_err(
                    |error| tracing::error!(%error, "checkpoints cannot be copied to the anchor"),
                )
                .ok()
        });
        if let (Some(anchor), Some(head)) = (&mut self.anchor, self.head) {
            anchor.learn(head, false);
        }
    }

    pub(in crate::record) fn anchor_every(&self) -> Option<Duration> {
        self.anchor.as_ref().map(|anchor| anchor.at().every)
    }

    pub(in crate::record) fn anchor_if_due(&mut self) {
        if let Some(anchor) = &mut self.anchor {
            anchor.write_if_due();
        }
    }

    /// Begins the next segment where this one is large or old enough. On a full disk the present one just grows on.
    pub(in crate::record) fn rotate_if_due(&mut self) {
        let events = self.events.written() + self.event_buffer.len() as u64;
        let payloads = self.payloads.written() + self.payload_bytes;
        let due = events >= self.options.segment_bytes
            || payloads >= self.options.segment_bytes.saturating_mul(PAYLOAD_FACTOR);
        let aged = self
            .options
            .segment_age
            .is_some_and(|most| self.segment_events > 0 && self.segment_since.elapsed() >= most);
        if !(due || aged) || self.broken.is_some() || Instant::now() < self.rotate_after {
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
        let room = header.len() as u64 + OVERHEAD as u64 + room::kept(&self.composer);
        let next = self.composer.segment() + 1;
        let (events, payloads) = new_files(&self.folder, next, room, &mut self.quota)?;
        let mut old_events = std::mem::replace(&mut self.events, events);
        let mut old_payloads = std::mem::replace(&mut self.payloads, payloads);
        self.composer
            .commit_segment(&header, &mut self.event_buffer);
        self.segment_since = Instant::now();
        self.segment_events = 0;
        self.flush()?;
        old_events.trim(&mut self.quota)?;
        old_payloads.trim(&mut self.quota)
    }

    /// Gives back what was reserved. Nothing may be appended afterwards.
    pub(in crate::record) fn finish(&mut self) -> Result<(), RecordError> {
        self.events.trim(&mut self.quota)?;
        self.payloads.trim(&mut self.quota)
    }
}

/// Makes the files of a segment, or none of them.
pub(super) fn new_files(
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
