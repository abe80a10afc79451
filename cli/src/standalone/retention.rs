//! `recording.retention` carried out: what is older is purged at the start of the guard and every hour (law 32).
//!
//! It is the same purge that `sallyport purge` does, in the guard's name: a signed tombstone for everything that goes,
//! nothing of a session on legal hold, and never the segment that is being written.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sallyport_policy::bundle::Settings;
use sallyport_policy::record::event::PurgeCause;
use sallyport_policy::source::scalar::GoDuration;
use sallyport_policy::source::settings::RecordingMode;
use sallyport_policy::time::UnixMillis;
use sallyport_recorder::purge::{Order, Taken};
use sallyport_recorder::{Actor, ReadError, Recordings};
use sallyport_sidecar::clock::Clock;
use sallyport_sidecar::gateway::Gateway;

/// How often old recordings are looked for.
const EVERY: Duration = Duration::from_secs(3600);
/// Shortest time between two looks, and shortest segment, however short the retention is.
const LEAST: Duration = Duration::from_secs(60);
/// Longest time that one segment is written.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How many segments a retention's worth of recordings has at least.
const PARTS: u32 = 24;

/// Whole segments are purged, so a segment spans only a part of the retention.
pub(super) fn segment_age(retention: Duration) -> Duration {
    (retention / PARTS).clamp(LEAST, DAY)
}

/// Purges what is older than the policy of the moment says, again and again; never returns.
pub(super) async fn keep(gateway: &Arc<Gateway>, state: &Path) {
    let folder = state.join("recordings");
    loop {
        let policy = gateway.policy();
        let settings = policy.bundle.settings();
        if settings.recording.mode != RecordingMode::Disabled {
            look(&folder, settings, &gateway.clock).await;
        }
        let pause = segment_age(settings.recording.retention).min(EVERY);
        tokio::time::sleep(pause).await;
    }
}

async fn look(folder: &Path, settings: &Settings, clock: &Arc<dyn Clock>) {
    let (folder, clock) = (folder.to_owned(), Arc::clone(clock));
    let retention = settings.recording.retention;
    let purging = tokio::task::spawn_blocking(move || purge(&folder, retention, clock));
    match purging.await {
        Ok(Ok(taken)) => tell(&taken, retention),
        Ok(Err(error)) => {
            tracing::error!(%error, "old recordings are not purged; it is tried again");
        }
        Err(error) => tracing::error!(%error, "purging ended badly; this is a defect"),
    }
}

fn purge(folder: &Path, retention: Duration, clock: Arc<dyn Clock>) -> Result<Taken, ReadError> {
    let back = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
    let before = UnixMillis(clock.now().0.saturating_sub(back));
    let actor = Actor {
        user: "sallyport up".to_owned(),
        uid: rustix::process::getuid().as_raw(),
    };
    let reason = format!("recording.retention: {}", written(retention));
    let order = Order {
        actor: &actor,
        cause: PurgeCause::Retention,
        reason: Some(&reason),
        dry_run: false,
    };
    Recordings::open(folder, Arc::new(move || clock.now()))?.purge_before(order, before)
}

fn tell(taken: &Taken, retention: Duration) {
    if !taken.unreadable.is_empty() {
        tracing::warn!(segments = ?taken.unreadable, "segments that cannot be read are kept whatever their age; run `sallyport verify`");
    }
    if taken.is_empty() {
        return;
    }
    tracing::info!(
        segments = taken.segments.len(),
        payloads = taken.payloads,
        bytes = taken.bytes,
        held = taken.held.len(),
        "purged what is older than {}",
        written(retention)
    );
}

/// As it is written in a policy.
fn written(retention: Duration) -> GoDuration {
    GoDuration::from_secs(u32::try_from(retention.as_secs()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_short_beside_the_retention_and_never_tiny() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(segment_age(hours(9600)), DAY);
        assert_eq!(segment_age(hours(48)), hours(2));
        assert_eq!(segment_age(Duration::from_secs(10)), LEAST);
    }
}
