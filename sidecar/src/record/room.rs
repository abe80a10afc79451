//! How much room is kept for what must still be written (law 31), and why an event found none.

use sallyport_policy::record::chain::ChainError;
use sallyport_policy::record::event::{Event, GapCause};
use sallyport_policy::record::segment::{ComposeError, Composer};

use super::RecordError;

/// For the terminal event of each open call, with a gap before it.
const CALL: u64 = 2048;
/// For the last event of each open session, with a gap before it.
const SESSION: u64 = 1280;
/// For each chain that the next checkpoint names.
const HEAD: u64 = 256;
/// For the writer's own goodbye and its checkpoint.
const BASE: u64 = 8192;
/// Most that a gap's line takes.
pub(super) const GAP: u64 = 512;

/// Bytes that nothing but terminal events and the last checkpoint may use.
pub(super) fn kept(composer: &Composer) -> u64 {
    let chains = composer.chains();
    let (sessions, calls) = chains.open_counts();
    let heads = chains.unsigned_count();
    BASE + sessions as u64 * SESSION + calls as u64 * CALL + heads as u64 * HEAD
}

/// What must be kept once `event` is written: more where it opens something, less where it is what was waited for.
pub(super) fn kept_after(event: &Event, composer: &Composer) -> u64 {
    let kept = kept(composer) + HEAD;
    if matches!(event, Event::CallRequested(_)) {
        kept + CALL
    } else if matches!(event, Event::SessionBegan(_)) {
        kept + SESSION
    } else if matches!(event, Event::CallEnded(_)) {
        kept.saturating_sub(CALL)
    } else if matches!(event, Event::SessionEnded(_)) {
        kept.saturating_sub(SESSION)
    } else if matches!(event, Event::WriterEnded(_)) {
        kept.saturating_sub(BASE)
    } else {
        kept
    }
}

pub(super) fn compose_error(error: ComposeError) -> RecordError {
    match error {
        ComposeError::Chain(ChainError::NoSession(session)) => RecordError::NoSession(session),
        ComposeError::TooLarge(size) => RecordError::TooLarge(size),
        ComposeError::Chain(error) => RecordError::Compose(error.to_string()),
        ComposeError::Json(error) => RecordError::Compose(error),
        ComposeError::Checkpoint(error) => RecordError::Compose(error.to_string()),
    }
}

pub(super) fn cause_of(error: &RecordError) -> GapCause {
    if let RecordError::TooLarge(_) = error {
        GapCause::TooLarge
    } else if let RecordError::QueueFull(_) = error {
        GapCause::QueueFull
    } else {
        GapCause::NoSpace
    }
}
