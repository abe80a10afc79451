//! Every metric of the process, in one place: names, units, labels.
//!
//! Labels come from closed sets only: no caller, tool or argument ever becomes a label, both because series would
//! grow without end and because a scrape is no place for people's names.

use std::ops::Deref;
use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// How a call ended, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Ended {
    Succeeded,
    Failed,
    Denied,
    Pending,
    Withheld,
    Cancelled,
    Unknown,
}

/// Which transport a client came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Transport {
    Streamable,
    Sse,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    ended: Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    /// A stable reason code of ours, from a closed set.
    reason: &'static str,
}

/// The process's metrics; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<All>);

/// Every one of them.
#[derive(Debug)]
pub struct All {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    call_seconds: Histogram,
    masked: Counter,
    /// Open client streams.
    pub streams: Gauge,
    /// Live protocol sessions.
    pub sessions: Gauge,
    /// Calls between head and terminal record.
    pub in_flight: Gauge,
    /// Calls that wait for an approval.
    pub held: Gauge,
    /// Bytes of bodies held at the moment.
    pub body_bytes: Gauge,
    /// Tasks of the runtime, as of the last look.
    tasks: Gauge,
    /// Times a changed policy was put in force.
    pub policy_swaps: Counter,
    /// Times a changed policy was refused and the last good one kept.
    pub policy_rejections: Counter,
}

impl Deref for Metrics {
    type Target = All;

    fn deref(&self) -> &All {
        &self.0
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("sallyport");
        let calls = Family::<CallLabels, Counter>::default();
        let refusals = Family::<RefusalLabels, Counter>::default();
        // 0.1 ms to about 26 s: added latency at one end, waiting for people at the other.
        let call_seconds = Histogram::new(exponential_buckets(0.0001, 4.0, 10));
        registry.register("calls", "Calls by how they ended", calls.clone());
        let help = "Requests refused before or by policy, by reason code";
        registry.register("refusals", help, refusals.clone());
        let help = "Time from request head to terminal record";
        registry.register_with_unit("call", help, Unit::Seconds, call_seconds.clone());
        let body_bytes = Gauge::default();
        let help = "Bytes of bodies held";
        registry.register_with_unit("bodies", help, Unit::Bytes, body_bytes.clone());
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let masked = counter("masked_values", "Values masked in answers");
        let policy_swaps = counter("policy_swaps", "Policies put in force");
        let policy_rejections = counter("policy_rejections", "Changed policies refused");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let streams = gauge("streams", "Open client streams");
        let sessions = gauge("sessions", "Live protocol sessions");
        let in_flight = gauge("calls_in_flight", "Calls between head and terminal record");
        let held = gauge("calls_held", "Calls waiting for an approval");
        let tasks = gauge("tasks", "Tasks of the runtime that have not ended");
        Self(Arc::new(All {
            registry,
            calls,
            refusals,
            call_seconds,
            masked,
            streams,
            sessions,
            in_flight,
            held,
            body_bytes,
            tasks,
            policy_swaps,
            policy_rejections,
        }))
    }
}

impl All {
    /// Counts one finished call.
    pub fn ended(&self, ended: Ended, seconds: f64) {
        self.calls.get_or_create(&CallLabels { ended }).inc();
        self.call_seconds.observe(seconds);
    }

    /// Counts one refusal.
    pub fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { reason }).inc();
    }

    /// Counts masked values.
    pub fn masked(&self, values: u64) {
        self.masked.inc_by(values);
    }

    /// The whole registry in the OpenMetrics text format.
    #[must_use]
    pub fn exposition(&self) -> String {
        // A task that never ends is a leak that nothing else shows.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let alive = runtime.metrics().num_alive_tasks();
            self.tasks.set(i64::try_from(alive).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(std::fmt::Error) => String::from("# EOF\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exposition_names_what_was_counted() {
        let metrics = Metrics::new();
        metrics.ended(Ended::Denied, 0.002);
        metrics.refused("no_rule");
        let text = metrics.exposition();
        assert!(
            text.contains(r#"sallyport_calls_total{ended="Denied"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"sallyport_refusals_total{reason="no_rule"} 1"#),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
    }

    #[tokio::test]
    async fn tasks_that_have_not_ended_are_counted() {
        let metrics = Metrics::new();
        let task = tokio::spawn(std::future::pending::<()>());
        let text = metrics.exposition();
        assert!(text.contains("sallyport_tasks 1\n"), "{text}");
        task.abort();
        assert!(task.await.is_err());
        assert!(metrics.exposition().contains("sallyport_tasks 0\n"));
    }
}
