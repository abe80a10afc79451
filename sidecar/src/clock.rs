//! The one place that reads the machine's clocks, so that every other line can be tested at any time of day.
//!
//! Two clocks on purpose: expiry is written in wall time by somebody else and must be compared with wall time;
//! the age of what we fetched ourselves is measured on a clock that no administrator and no NTP step can move.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sallyport_policy::time::UnixMillis;

/// Where the time comes from.
pub trait Clock: Debug + Send + Sync {
    /// Wall time; it may jump in both directions.
    fn now(&self) -> UnixMillis;

    /// Time since an arbitrary start; it never goes back.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    /// A clock set before 1970 reads as the last representable time, at which everything has expired.
    fn now(&self) -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since
            .ok()
            .and_then(|since| i64::try_from(since.as_millis()).ok());
        UnixMillis(millis.unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that tests move by hand.
#[cfg(test)]
pub(crate) mod hand {
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    use super::{Clock, Duration, UnixMillis};

    #[derive(Debug)]
    pub(crate) struct HandClock {
        wall: AtomicI64,
        monotonic: AtomicU64,
    }

    impl HandClock {
        pub(crate) fn at(now: UnixMillis) -> Self {
            Self {
                wall: AtomicI64::new(now.0),
                monotonic: AtomicU64::new(0),
            }
        }

        /// Time passes: both clocks move.
        pub(crate) fn pass(&self, duration: Duration) {
            let millis = u64::try_from(duration.as_millis()).expect("a test's duration");
            self.monotonic.fetch_add(millis, Ordering::SeqCst);
            self.jump(i64::try_from(millis).expect("a test's duration"));
        }

        /// Somebody sets the wall clock; the monotonic one does not notice.
        pub(crate) fn jump(&self, millis: i64) {
            self.wall.fetch_add(millis, Ordering::SeqCst);
        }
    }

    impl Clock for HandClock {
        fn now(&self) -> UnixMillis {
            UnixMillis(self.wall.load(Ordering::SeqCst))
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.monotonic.load(Ordering::SeqCst))
        }
    }
}
