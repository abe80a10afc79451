//! Tokens that were verified before, by digest: bounded, and only ever filled with good ones, so that nobody can
//! flush it without being trusted.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sallyport_policy::name::Digest;

use super::verified::Verified;

const SHARDS: usize = 16;

/// A map from token digest to principal, in shards so that threads seldom wait for each other.
#[derive(Debug)]
pub(super) struct TokenCache {
    shards: [Mutex<Shard>; SHARDS],
    /// Entries of one generation of one shard.
    generation: usize,
}

/// Two generations: what is used moves to the young one; when that is full the old one is dropped. An approximation
/// of least-recently-used without a list to keep in order.
#[derive(Debug, Default)]
struct Shard {
    young: HashMap<Digest, Arc<Verified>>,
    old: HashMap<Digest, Arc<Verified>>,
}

impl TokenCache {
    /// Holds at most `capacity` tokens, and at least the half of it that was used last.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            generation: (capacity / SHARDS / 2).max(1),
        }
    }

    pub(super) fn get(&self, token: &Digest) -> Option<Arc<Verified>> {
        let mut shard = self.shard(token)?;
        if let Some(found) = shard.young.get(token) {
            return Some(Arc::clone(found));
        }
        let found = shard.old.remove(token)?;
        shard.insert(*token, Arc::clone(&found), self.generation);
        Some(found)
    }

    pub(super) fn insert(&self, token: Digest, verified: Arc<Verified>) {
        if let Some(mut shard) = self.shard(&token) {
            shard.insert(token, verified, self.generation);
        }
    }

    pub(super) fn remove(&self, token: &Digest) {
        if let Some(mut shard) = self.shard(token) {
            shard.young.remove(token);
            shard.old.remove(token);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let sizes = self.shards.iter().map(|shard| {
            let shard = shard.lock().unwrap();
            shard.young.len() + shard.old.len()
        });
        sizes.sum()
    }

    /// A panic while the lock was held left whole entries behind, so a poisoned shard is as good as any.
    fn shard(&self, token: &Digest) -> Option<MutexGuard<'_, Shard>> {
        let [first, ..] = token.as_bytes();
        let shard = self.shards.get(usize::from(*first) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    fn insert(&mut self, token: Digest, verified: Arc<Verified>, generation: usize) {
        if self.young.len() >= generation && !self.young.contains_key(&token) {
            self.old = mem::take(&mut self.young);
        }
        self.old.remove(&token);
        self.young.insert(token, verified);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::config::Anonymous;
    use crate::identity::principal::guest;
    use sallyport_policy::name::Subject;

    fn anyone() -> Arc<Verified> {
        let user = Subject::new("anyone");
        let groups = std::collections::BTreeSet::new();
        Arc::new(Verified::anonymous(guest(Anonymous { user, groups })))
    }

    fn digest(number: u32) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    #[test]
    fn the_cache_never_holds_more_than_its_capacity() {
        let cache = TokenCache::new(320);
        for number in 0..10_000 {
            cache.insert(digest(number), anyone());
            assert!(cache.len() <= 320);
        }
        assert!(cache.len() >= 160);
    }

    #[test]
    fn what_is_used_outlives_what_is_not() {
        let cache = TokenCache::new(320);
        cache.insert(digest(0), anyone());
        for number in 1..10_000 {
            assert!(cache.get(&digest(0)).is_some(), "after {number}");
            cache.insert(digest(number), anyone());
        }
        assert!(cache.get(&digest(1)).is_none());
    }

    #[test]
    fn what_is_removed_is_gone() {
        let cache = TokenCache::new(320);
        cache.insert(digest(1), anyone());
        cache.remove(&digest(1));
        assert!(cache.get(&digest(1)).is_none());
    }
}
