//! Since when something has not been used. What a call is under way in is in use, however long the call takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use sallyport_policy::time::UnixMillis;

use crate::clock::Clock;

/// When something was last used, and by how many calls it is now.
#[derive(Debug)]
pub struct LastUse {
    at: AtomicI64,
    users: AtomicUsize,
}

impl LastUse {
    pub fn new(now: UnixMillis) -> Arc<Self> {
        Arc::new(Self {
            at: AtomicI64::new(now.0),
            users: AtomicUsize::new(0),
        })
    }

    /// Used in this moment.
    pub fn touch(&self, now: UnixMillis) {
        self.at.store(now.0, Ordering::Relaxed);
    }

    /// In use until the guard object is dropped.
    pub fn begin(self: &Arc<Self>, clock: &Arc<dyn Clock>) -> InUse {
        self.users.fetch_add(1, Ordering::AcqRel);
        InUse {
            what: Arc::clone(self),
            clock: Arc::clone(clock),
        }
    }

    /// Whether nobody has used it for longer than `idle`.
    pub fn is_over(&self, now: UnixMillis, idle: Duration) -> bool {
        self.users.load(Ordering::Acquire) == 0
            && UnixMillis(self.at.load(Ordering::Relaxed)).until(now) > idle
    }
}

/// One use; the idle time begins at its end.
#[derive(Debug)]
pub struct InUse {
    what: Arc<LastUse>,
    clock: Arc<dyn Clock>,
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.what.touch(self.clock.now());
        self.what.users.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn what_is_in_use_is_not_idle_and_idles_from_the_end_of_its_last_use() {
        let idle = Duration::from_secs(1);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let long_ago = UnixMillis(0);
        let used = LastUse::new(long_ago);
        assert!(used.is_over(clock.now(), idle));
        let one = used.begin(&clock);
        let other = used.begin(&clock);
        assert!(!used.is_over(clock.now(), idle));
        drop(one);
        used.touch(long_ago);
        assert!(!used.is_over(clock.now(), idle), "the other goes on");
        drop(other);
        let now = clock.now();
        assert!(!used.is_over(now, idle), "it has only just ended");
        assert!(used.is_over(UnixMillis(now.0 + 1_500), idle));
    }
}
