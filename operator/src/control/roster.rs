//! What each sidecar said last, and what it should enforce.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sallyport_policy::control::{Enforces, FromOperator};
use sallyport_policy::name::Revision;
use tokio::sync::mpsc;

use crate::index::{Key, ObjectName};
use crate::metrics::Metrics;
use crate::queue::Queue;

/// Lines that wait for a slow sidecar; beyond it the stream is ended.
const WAITING: usize = 16;

/// Sidecars on the line, by the uid of their pod.
#[derive(Clone, Debug)]
pub struct Roster {
    inner: Arc<Mutex<Inner>>,
    queue: Arc<Queue>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Inner {
    sidecars: HashMap<String, Entry>,
    expected: HashMap<ObjectName, Expected>,
    /// Numbers streams, so that an old one that ends does not take a newer one's place away.
    streams: u64,
}

#[derive(Debug)]
struct Entry {
    stream: u64,
    caller: Caller,
    said: Said,
    tell: mpsc::Sender<FromOperator>,
}

/// A sidecar whose word is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub pod: ObjectName,
    pub pod_uid: String,
    pub gateway: ObjectName,
    pub gateway_uid: String,
    pub version: String,
}

/// What a sidecar said last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub enforces: Option<Enforces>,
    /// Why what lies in its volume is not put in force.
    pub refused: Option<String>,
}

/// What the sidecars of a gateway should enforce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub revision: Revision,
    pub generation: u64,
    /// Uid of the gateway that it was signed for.
    pub uid: String,
}

/// A sidecar's place in the roster; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    roster: Roster,
    caller: Caller,
    stream: u64,
}

impl Roster {
    #[must_use]
    pub fn new(queue: Arc<Queue>, metrics: Metrics) -> Self {
        Self {
            inner: Arc::default(),
            queue,
            metrics,
        }
    }

    /// Whether the sidecar of this pod enforces this revision.
    #[must_use]
    pub fn enforces(&self, pod_uid: &str, revision: &Revision) -> bool {
        self.said(pod_uid)
            .and_then(|said| said.enforces)
            .is_some_and(|enforces| enforces.revision.as_ref() == Some(revision))
    }

    /// What the sidecar of this pod said last; nothing where it is not on the line.
    #[must_use]
    pub fn said(&self, pod_uid: &str) -> Option<Said> {
        self.lock()
            .sidecars
            .get(pod_uid)
            .map(|entry| entry.said.clone())
    }

    /// How many sidecars are on the line.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().sidecars.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From now on the sidecars of a gateway should enforce this; those on the line hear it.
    pub fn expect(&self, gateway: &ObjectName, expected: Expected) {
        let mut inner = self.lock();
        if inner.expected.get(gateway) == Some(&expected) {
            return;
        }
        let announced = announcement(&expected);
        for entry in inner.sidecars.values() {
            let concerned =
                entry.caller.gateway == *gateway && entry.caller.gateway_uid == expected.uid;
            // One that does not listen hears it when it connects again.
            if concerned && entry.tell.try_send(announced.clone()).is_err() {
                tracing::debug!(pod = %entry.caller.pod, "a sidecar is not told");
            }
        }
        inner.expected.insert(gateway.clone(), expected);
    }

    /// Nothing is expected of a gateway's sidecars any more.
    pub fn forget(&self, gateway: &ObjectName) {
        self.lock().expected.remove(gateway);
    }

    /// Takes a sidecar in: its place, and what it is to be told, beginning with what is expected of it.
    pub(super) fn enter(&self, caller: Caller) -> (Place, mpsc::Receiver<FromOperator>) {
        let (tell, told) = mpsc::channel(WAITING);
        let mut inner = self.lock();
        inner.streams = inner.streams.wrapping_add(1);
        let stream = inner.streams;
        let expected = inner.expected.get(&caller.gateway);
        let expected = expected.filter(|expected| expected.uid == caller.gateway_uid);
        let minimum_generation = expected.map_or(0, |expected| expected.generation);
        let first = [
            Some(FromOperator::Welcome { minimum_generation }),
            expected.map(announcement),
        ];
        for line in first.into_iter().flatten() {
            // There is room: the channel is new.
            tell.try_send(line).ok();
        }
        let entry = Entry {
            stream,
            caller: caller.clone(),
            said: Said::default(),
            tell,
        };
        if inner
            .sidecars
            .insert(caller.pod_uid.clone(), entry)
            .is_none()
        {
            self.metrics.sidecars.inc();
        }
        drop(inner);
        let place = Place {
            roster: self.clone(),
            caller,
            stream,
        };
        (place, told)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The sidecar has something to say; who reckons with it hears of it where it is news.
    pub(super) fn say(&self, change: impl FnOnce(&mut Said)) {
        let mut inner = self.roster.lock();
        let entry = inner.sidecars.get_mut(&self.caller.pod_uid);
        let Some(entry) = entry.filter(|entry| entry.stream == self.stream) else {
            return;
        };
        let before = entry.said.clone();
        change(&mut entry.said);
        let news = entry.said != before;
        drop(inner);
        if news {
            let gateway = self.caller.gateway.clone();
            self.roster.queue.push([Key::Gateway(gateway)]);
        }
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.roster.lock();
        let entry = inner.sidecars.get(&self.caller.pod_uid);
        if entry.is_some_and(|entry| entry.stream == self.stream) {
            inner.sidecars.remove(&self.caller.pod_uid);
            self.roster.metrics.sidecars.dec();
            drop(inner);
            let gateway = self.caller.gateway.clone();
            self.roster.queue.push([Key::Gateway(gateway)]);
        }
    }
}

fn announcement(expected: &Expected) -> FromOperator {
    FromOperator::Announce {
        revision: expected.revision,
        generation: expected.generation,
    }
}
