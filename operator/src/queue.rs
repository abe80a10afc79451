//! What is to be worked on, each thing once, one worker a thing, later after each failure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::index::Key;

/// Several changes that come together are worked on together.
const SETTLE: Duration = Duration::from_millis(10);
/// After a failure, doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A queue of keys with due times.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    due: BTreeMap<Key, Instant>,
    running: BTreeSet<Key>,
    failures: BTreeMap<Key, u32>,
}

impl Queue {
    /// Soon.
    pub fn push(&self, keys: impl IntoIterator<Item = Key>) {
        let due = Instant::now() + SETTLE;
        {
            let mut state = self.lock();
            for key in keys {
                state.put(key, due);
            }
        }
        self.changed.notify_waiters();
    }

    /// After a while, unless sooner for another reason.
    pub fn push_after(&self, key: Key, pause: Duration) {
        self.lock().put(key, Instant::now() + pause);
        self.changed.notify_waiters();
    }

    /// The next thing that is due; nobody else is given it until [`Self::done`].
    pub async fn next(&self) -> Key {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no notification is missed.
            changed.as_mut().enable();
            let due = match self.lock().take(Instant::now()) {
                Taken::Now(key) => return key,
                Taken::At(due) => due,
            };
            match due {
                Some(due) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(due) => {}
                },
                None => changed.await,
            }
        }
    }

    /// A thing was worked on: with success, or to be tried again.
    pub fn done(&self, key: &Key, success: bool) {
        {
            let mut state = self.lock();
            state.running.remove(key);
            if success {
                state.failures.remove(key);
            } else {
                let failures = state.failures.entry(key.clone()).or_default();
                let pause = pause(*failures, crate::random::bytes::<1>());
                *failures = failures.saturating_add(1);
                state.put(key.clone(), Instant::now() + pause);
            }
        }
        self.changed.notify_waiters();
    }

    /// Forgets everything: another replica works on it now.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.due.clear();
        state.failures.clear();
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().due.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Taken {
    Now(Key),
    At(Option<Instant>),
}

impl State {
    fn put(&mut self, key: Key, due: Instant) {
        self.due
            .entry(key)
            .and_modify(|at| *at = (*at).min(due))
            .or_insert(due);
    }

    fn take(&mut self, now: Instant) -> Taken {
        let free = self
            .due
            .iter()
            .filter(|(key, _)| !self.running.contains(key));
        let Some((key, due)) = free.min_by_key(|(_, due)| **due) else {
            return Taken::At(None);
        };
        if *due > now {
            return Taken::At(Some(*due));
        }
        let key = key.clone();
        self.due.remove(&key);
        self.running.insert(key.clone());
        Taken::Now(key)
    }
}

/// Doubled with each failure, and up to half as much again, so that what failed together is not tried together.
fn pause(failures: u32, jitter: Option<[u8; 1]>) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(failures.min(16)).unwrap_or(1));
    let [jitter] = jitter.unwrap_or_default();
    let pause = doubled.min(LONGEST_PAUSE);
    pause + pause * u32::from(jitter) / 512
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::ObjectName;

    fn key(name: &str) -> Key {
        Key::Gateway(ObjectName::new("shop", name))
    }

    #[tokio::test]
    async fn a_thing_pushed_twice_is_worked_on_once_and_again_when_pushed_meanwhile() {
        let queue = Queue::default();
        queue.push([key("a"), key("a")]);
        assert_eq!(queue.next().await, key("a"));
        assert!(queue.is_empty());
        queue.push([key("a")]);
        let waiting = tokio::time::timeout(Duration::from_millis(200), queue.next()).await;
        assert!(waiting.is_err(), "it is still being worked on");
        queue.done(&key("a"), true);
        assert_eq!(queue.next().await, key("a"));
    }

    #[tokio::test]
    async fn what_fails_waits_longer_each_time_and_keeps_nobody_waiting() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.push([key("bad")]);
        for _ in 0..4 {
            assert_eq!(queue.next().await, key("bad"));
            queue.done(&key("bad"), false);
        }
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(200 + 400 + 800), "{took:?}");
        queue.push([key("good")]);
        assert_eq!(queue.next().await, key("good"));
    }
}
