//! A bound on the bytes of all bodies held at once (law 15): above it, new calls are refused, running ones finish.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use prometheus_client::metrics::gauge::Gauge;

/// Bytes in use, shared by all calls.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    used: Arc<AtomicUsize>,
    gauge: Gauge,
}

/// Bytes taken by one call; given back on drop.
#[must_use]
#[derive(Debug)]
pub struct Share {
    memory: Memory,
    bytes: usize,
}

/// Bytes that know what they are counted by.
struct Kept {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Memory {
    #[must_use]
    pub fn new(gauge: Gauge) -> Self {
        Self {
            used: Arc::default(),
            gauge,
        }
    }

    /// Takes `bytes` unless the sum would exceed `limit`.
    #[must_use]
    pub fn take(&self, bytes: usize, limit: usize) -> Option<Share> {
        let taken = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= limit)
            });
        taken.ok()?;
        self.gauge.inc_by(i64::try_from(bytes).unwrap_or(i64::MAX));
        Some(Share {
            memory: self.clone(),
            bytes,
        })
    }
}

/// Smaller bodies are not worth an entry: a stream's queue of them is a few dozen kilobytes.
const WORTH: usize = 4096;

impl Memory {
    /// The same bytes, counted until nobody holds them any more: the queue of a slow client, the connection, and
    /// whoever writes them down.
    #[must_use]
    pub fn keep(&self, bytes: Bytes) -> Bytes {
        if bytes.len() < WORTH {
            return bytes;
        }
        let _share = self.hold(bytes.len());
        Bytes::from_owner(Kept { bytes, _share })
    }

    /// Takes `bytes` whatever the sum is: for answers of calls that run already, which count and are not refused.
    pub fn hold(&self, bytes: usize) -> Share {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        self.gauge.inc_by(i64::try_from(bytes).unwrap_or(i64::MAX));
        Share {
            memory: self.clone(),
            bytes,
        }
    }
}

impl Share {
    /// Makes it exactly `bytes`, whatever the sum is.
    pub fn set(&mut self, bytes: usize) {
        let counted = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            self.memory.used.fetch_add(more, Ordering::AcqRel);
            self.memory.gauge.inc_by(counted(more));
        } else {
            let less = self.bytes - bytes;
            self.memory.used.fetch_sub(less, Ordering::AcqRel);
            self.memory.gauge.dec_by(counted(less));
        }
        self.bytes = bytes;
    }

    /// Makes it at least `bytes`; false, and unchanged, if the sum would exceed `limit`.
    pub fn grow(&mut self, bytes: usize, limit: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        let Some(mut taken) = self.memory.take(more, limit) else {
            return false;
        };
        // From here on one share gives back both.
        self.bytes = self.bytes.saturating_add(std::mem::take(&mut taken.bytes));
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::AcqRel);
        self.memory
            .gauge
            .dec_by(i64::try_from(self.bytes).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_beyond_the_limit_is_refused_until_another_is_given_back() {
        let memory = Memory::new(Gauge::default());
        let first = memory.take(600, 1000).unwrap();
        assert!(memory.take(500, 1000).is_none());
        drop(first);
        assert!(memory.take(500, 1000).is_some());
    }

    #[test]
    fn kept_bytes_count_until_the_last_slice_of_them_is_gone() {
        let memory = Memory::new(Gauge::default());
        let kept = memory.keep(Bytes::from(vec![1; 10_000]));
        let slice = kept.slice(5..10);
        drop(kept);
        assert!(memory.take(1, 10_000).is_none());
        drop(slice);
        assert!(memory.take(10_000, 10_000).is_some());
        let small = memory.keep(Bytes::from_static(b"small"));
        assert!(memory.take(10_000, 10_000).is_some(), "{small:?}");
    }

    #[test]
    fn a_share_follows_what_it_is_set_to() {
        let memory = Memory::new(Gauge::default());
        let mut share = memory.hold(0);
        share.set(800);
        assert!(memory.take(300, 1000).is_none());
        share.set(100);
        assert!(memory.take(900, 1000).is_some());
        drop(share);
        assert!(memory.take(1000, 1000).is_some());
    }

    #[test]
    fn a_share_grows_within_the_limit_and_gives_everything_back() {
        let memory = Memory::new(Gauge::default());
        let mut share = memory.take(100, 1000).unwrap();
        assert!(share.grow(900, 1000));
        assert!(!share.grow(1001, 1000));
        assert!(share.grow(50, 1000), "it never shrinks");
        assert!(memory.take(101, 1000).is_none());
        let held = memory.hold(5000);
        drop(share);
        assert!(memory.take(1, 1000).is_none(), "what is held counts");
        drop(held);
        assert!(memory.take(1000, 1000).is_some());
    }
}
