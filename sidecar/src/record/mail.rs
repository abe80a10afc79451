//! What the handles send to the writer's thread, and when that is woken.
//!
//! Nobody waits for most events at the moment they are sent. They lie here a little, so that one waking of the thread
//! and one sync serve many of them; whoever waits hurries the thread.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an event lies here that nobody waits for.
const LINGER: Duration = Duration::from_millis(20);
/// So many messages are enough for a group of their own.
const ENOUGH: usize = 1024;

/// The sending end. The thread ends with the last one.
#[derive(Debug)]
pub(super) struct Sender<T>(Arc<Shared<T>>);

/// The thread's end.
#[derive(Debug)]
pub(super) struct Receiver<T>(Arc<Shared<T>>);

/// What wakes the thread, for those who wait for it.
#[derive(Debug)]
pub(super) struct Bell<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    news: Condvar,
}

#[derive(Debug)]
struct State<T> {
    messages: Vec<T>,
    /// The thread was told that something lies here; it lingers, or is about to.
    told: bool,
    /// Somebody waits for what lies here.
    urgent: bool,
    senders: usize,
    receiver: bool,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Messages,
    /// Nothing, for as long as the thread wanted to wait.
    Nothing,
    /// Nothing, and nobody is left to send.
    Over,
}

pub(super) fn mail<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            messages: Vec::new(),
            told: false,
            urgent: false,
            senders: 1,
            receiver: true,
        }),
        news: Condvar::new(),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Sender<T> {
    /// Leaves a message that nobody waits for. It comes back where the thread is gone.
    pub(super) fn send(&self, message: T) -> Result<(), T> {
        self.0.put(message)?;
        self.0.remind();
        Ok(())
    }

    /// Leaves a message of whoever holds the bell, and rings it or drops it.
    pub(super) fn send_belled(&self, message: T) -> Result<Bell<T>, T> {
        self.0.put(message)?;
        Ok(Bell(Arc::clone(&self.0)))
    }

    /// Wakes the thread for what lies here.
    pub(super) fn hurry(&self) {
        self.0.hurry();
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        if state.senders == 0 {
            drop(state);
            self.0.news.notify_one();
        }
    }
}

impl<T> Bell<T> {
    /// Wakes the thread for what lies here.
    pub(super) fn ring(&self) {
        self.0.hurry();
    }
}

impl<T> Drop for Bell<T> {
    /// Nobody waits any more, and the message must come all the same.
    fn drop(&mut self) {
        self.0.remind();
    }
}

impl<T> Receiver<T> {
    /// Moves everything that lies here into `to`, which must be empty; waits at most `patience` for the first.
    pub(super) fn take(&self, to: &mut Vec<T>, patience: Duration) -> Delivery {
        let until = Instant::now() + patience;
        let mut state = self.0.lock();
        while state.messages.is_empty() {
            if state.senders == 0 {
                return Delivery::Over;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Delivery::Nothing;
            }
            state = self.0.wait(state, left);
        }
        let until = Instant::now() + LINGER;
        while !state.urgent && state.senders > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.0.wait(state, left);
        }
        state.told = false;
        state.urgent = false;
        std::mem::swap(&mut state.messages, to);
        Delivery::Messages
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.receiver = false;
        // Whoever waits for an answer to one of these hears that there will be none.
        let unread = std::mem::take(&mut state.messages);
        drop(state);
        drop(unread);
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Whole messages only ever lie here, whatever panicked beside them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, message: T) -> Result<(), T> {
        let mut state = self.lock();
        if !state.receiver {
            return Err(message);
        }
        state.messages.push(message);
        let enough = state.messages.len() >= ENOUGH;
        drop(state);
        if enough {
            self.hurry();
        }
        Ok(())
    }

    /// Lets the thread know that something lies here, if it does not know yet.
    fn remind(&self) {
        let mut state = self.lock();
        if state.told || state.messages.is_empty() {
            return;
        }
        state.told = true;
        drop(state);
        self.news.notify_one();
    }

    fn hurry(&self) {
        let mut state = self.lock();
        if state.urgent || state.messages.is_empty() {
            return;
        }
        state.told = true;
        state.urgent = true;
        drop(state);
        self.news.notify_one();
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State<T>>,
        time: Duration,
    ) -> MutexGuard<'a, State<T>> {
        let waited = self.news.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn all<T>(receiver: &Receiver<T>) -> (Delivery, Vec<T>) {
        let mut messages = Vec::new();
        let delivery = receiver.take(&mut messages, LONG);
        (delivery, messages)
    }

    #[test]
    fn what_nobody_waits_for_comes_all_the_same_and_in_order() {
        let (sender, receiver) = mail();
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        assert_eq!(all(&receiver), (Delivery::Messages, vec![1, 2]));
    }

    #[test]
    fn who_hurries_wakes_a_thread_that_lingers() {
        let (sender, receiver) = mail();
        let thread = std::thread::spawn(move || all(&receiver));
        sender.send(1).unwrap();
        sender.hurry();
        assert_eq!(thread.join().unwrap(), (Delivery::Messages, vec![1]));
    }

    #[test]
    fn a_bell_wakes_the_thread_when_it_rings_and_when_it_is_dropped() {
        for ring in [true, false] {
            let (sender, receiver) = mail();
            let thread = std::thread::spawn(move || all(&receiver));
            let bell = sender.send_belled(1).unwrap();
            if ring {
                bell.ring();
                assert_eq!(thread.join().unwrap(), (Delivery::Messages, vec![1]));
            } else {
                drop(bell);
                assert_eq!(thread.join().unwrap(), (Delivery::Messages, vec![1]));
            }
        }
    }

    #[test]
    fn the_last_sender_ends_the_thread_after_the_last_message() {
        let (sender, receiver) = mail();
        let other = sender.clone();
        other.send(1).unwrap();
        drop(sender);
        drop(other);
        assert_eq!(all(&receiver), (Delivery::Messages, vec![1]));
        assert_eq!(all(&receiver), (Delivery::Over, vec![]));
    }

    #[test]
    fn nothing_comes_where_nothing_was_sent() {
        let (_sender, receiver) = mail::<u8>();
        let mut none = Vec::new();
        assert_eq!(receiver.take(&mut none, Duration::ZERO), Delivery::Nothing);
    }

    #[test]
    fn a_message_to_a_thread_that_is_gone_comes_back() {
        let (sender, receiver) = mail();
        drop(receiver);
        assert_eq!(sender.send(7), Err(7));
    }
}
