//! `sessions`, `replay`, `export`, `verify`: what was recorded, shown and proved; `purge` and `legal-hold`: what of it
//! goes and what stays. Reading and purging are themselves written down.

mod export;
mod hold;
mod purge;
mod replay;
mod sessions;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use sallyport_policy::time::UnixMillis;
use sallyport_recorder::{Actor, ReadError, Recordings};
use sallyport_sidecar::clock::{Clock, SystemClock};

use crate::output::Failure;
use crate::state::StateArgs;

pub(crate) use export::{ExportArgs, run as export};
pub(crate) use hold::{HoldArgs, run as legal_hold};
pub(crate) use purge::{PurgeArgs, run as purge};
pub(crate) use replay::{ReplayArgs, run as replay};
pub(crate) use sessions::{SessionsArgs, run as sessions};
pub(crate) use verify::{VerifyArgs, run as verify};

/// The folder of recordings inside the state folder.
fn folder(state: &StateArgs) -> Result<PathBuf, Failure> {
    Ok(state.path()?.join("recordings"))
}

fn open(state: &StateArgs) -> Result<Recordings, Failure> {
    let clock = SystemClock::new();
    Recordings::open(&folder(state)?, Arc::new(move || clock.now())).map_err(failed)
}

/// Who reads, as the operating system knows them.
fn actor() -> Actor {
    let uid = rustix::process::getuid().as_raw();
    let user = std::env::var("USER").unwrap_or_else(|_| format!("uid {uid}"));
    Actor { user, uid }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "handed to map_err, which gives the error away"
)]
fn failed(error: ReadError) -> Failure {
    match &error {
        ReadError::NoSession(_) | ReadError::Ambiguous(_) | ReadError::Held { .. } => {
            Failure::no(error.to_string())
        }
        ReadError::NoRecordings(_)
        | ReadError::Io { .. }
        | ReadError::Audit(_)
        | ReadError::BadKey(_)
        | ReadError::NotWritten(_)
        | ReadError::Index(_)
        | ReadError::Output(_)
        | ReadError::Export { .. } => Failure::outside(error.to_string()),
    }
}

/// How many of something, in words.
fn counted(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// A point in time: RFC 3339, or an age such as `2h` or `30m` before now.
fn moment(text: &str) -> Result<UnixMillis, String> {
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Ok(UnixMillis(stamp.as_millisecond()));
    }
    let ago: sallyport_policy::source::scalar::GoDuration = text.parse().map_err(|_| {
        format!("`{text}` is neither a time such as 2026-11-23T08:00:00Z nor an age such as 2h")
    })?;
    let back = i64::try_from(ago.get().as_millis()).unwrap_or(i64::MAX);
    Ok(UnixMillis(SystemClock::new().now().0.saturating_sub(back)))
}
