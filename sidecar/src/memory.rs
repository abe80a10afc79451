//! A bound on the bytes of all bodies held at once (law 15): above it, new calls are refused, running ones finish.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::metrics::gauge::Gauge;

/// Bytes in use, shared by all calls.
#[derive(Clone, Debug)]
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
}
