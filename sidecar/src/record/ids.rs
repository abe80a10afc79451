//! Names for sessions and calls: unique without asking anybody, sorted by time.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use sallyport_policy::name::{CallId, SessionId};
use sallyport_policy::time::UnixMillis;

/// Makes ids: 48 bits of time, 40 that one process drew at random, 40 that it counts, in Crockford's base 32.
#[derive(Debug)]
pub(super) struct Ids {
    process: u64,
    sessions: AtomicU64,
    calls: AtomicU64,
}

const COUNTED: u32 = 40;
const MASK: u64 = (1 << COUNTED) - 1;

impl Ids {
    /// None where the system has no randomness to give.
    pub(super) fn new() -> Option<Self> {
        let mut bytes = [0; 8];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self {
            process: u64::from_le_bytes(bytes) & MASK,
            sessions: AtomicU64::new(0),
            calls: AtomicU64::new(1),
        })
    }

    pub(super) fn session(&self, now: UnixMillis) -> SessionId {
        let count = self.sessions.fetch_add(1, Ordering::Relaxed) & MASK;
        let millis = u128::from(now.0.unsigned_abs() & ((1 << 48) - 1));
        let value =
            (millis << (2 * COUNTED)) | (u128::from(self.process) << COUNTED) | u128::from(count);
        SessionId::new(base32(value))
    }

    /// Unique in the process, and so in its session.
    pub(super) fn call(&self) -> CallId {
        CallId::new(format!("c{}", self.calls.fetch_add(1, Ordering::Relaxed)))
    }
}

/// 26 digits, most significant first.
fn base32(value: u128) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    (0..26u32)
        .rev()
        .filter_map(|place| {
            let digit = usize::try_from((value >> (place * 5)) & 31).ok()?;
            DIGITS.get(digit).copied().map(char::from)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_are_distinct_and_sorted_by_time() {
        let ids = Ids::new().unwrap();
        let a = ids.session(UnixMillis(1_000));
        let b = ids.session(UnixMillis(1_000));
        let c = ids.session(UnixMillis(2_000));
        assert!(a < b && b < c, "{a} {b} {c}");
        assert_eq!(a.as_str().len(), 26);
        assert_ne!(ids.call(), ids.call());
    }
}
