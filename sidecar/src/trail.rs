//! The guard object of one call: its record, its metrics and its line in the log end together, once, on every path.
//!
//! Dropping a trail (a panic, a client that left) ends it too; a path that forgets it does not exist.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sallyport_policy::name::{CallId, RuleId};
use sallyport_policy::record::event::{Event, Mode, Outcome, PayloadKind};

use crate::clock::Clock;
use crate::idle::InUse;
use crate::metrics::{self, Metrics};
use crate::record::{CallRecord, Ended, RecordError};

/// What the log line says of a call besides how it ended.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub caller: String,
    pub client: String,
    pub method: String,
    pub target: String,
    pub rule: Option<RuleId>,
    pub masked: u64,
}

/// One call between its first and its terminal event.
#[derive(Debug)]
pub struct Trail {
    record: Option<CallRecord>,
    pub line: Line,
    mode: Mode,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    started: Duration,
    uses: Uses,
}

/// What must not be taken for idle while the call lasts.
#[derive(Debug)]
pub struct Uses {
    pub recording: InUse,
    /// The protocol's session, where there is one.
    pub session: Option<InUse>,
}

impl Trail {
    pub fn new(
        record: CallRecord,
        line: Line,
        mode: Mode,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
        uses: Uses,
    ) -> Self {
        metrics.in_flight.inc();
        let started = clock.monotonic();
        Self {
            record: Some(record),
            line,
            mode,
            metrics,
            clock,
            started,
            uses,
        }
    }

    /// The call's id; none only after the end, when nobody can ask.
    pub fn id(&self) -> CallId {
        self.record
            .as_ref()
            .map_or_else(|| CallId::new("-"), |record| record.id().clone())
    }

    /// The client may come back for the answer, or never: its session may idle meanwhile.
    pub fn park(&mut self) {
        self.uses.session = None;
    }

    /// Appends an event made with the call's id.
    pub fn note(
        &mut self,
        event: impl FnOnce(CallId) -> Event,
        payloads: Vec<(PayloadKind, Bytes)>,
    ) {
        let id = self.id();
        if let Some(record) = &mut self.record {
            record.note(event(id), payloads);
        }
    }

    /// In `Strict`, waits until everything noted is durable.
    pub async fn settle(&mut self) -> Result<(), RecordError> {
        match &mut self.record {
            Some(record) => record.settle().await,
            None => Ok(()),
        }
    }

    /// The terminal event. In `Strict` it is durable when this returns, or the trouble has been told; where the answer
    /// is durable already its space is kept and nobody waits for it.
    pub async fn end(mut self, outcome: Outcome, reason: Option<&str>, status: Option<u16>) {
        let Some(record) = self.record.take() else {
            return;
        };
        self.tell(outcome, reason);
        let answered = record.answer_is_durable();
        let ended = Ended {
            outcome,
            reason: reason.map(str::to_owned),
            status,
        };
        match self.mode {
            Mode::Strict if !answered => {
                if let Err(error) = record.end(ended).await {
                    tracing::error!(%error, "the end of a call could not be recorded");
                }
            }
            // Nobody waits: a gap is recorded by the spool itself.
            Mode::Strict | Mode::BestEffort | Mode::Disabled => record.end_unheard(ended),
        }
    }

    fn tell(&self, outcome: Outcome, reason: Option<&str>) {
        let took = self.clock.monotonic().saturating_sub(self.started);
        self.metrics.in_flight.dec();
        self.metrics.ended(label(outcome), took.as_secs_f64());
        let line = &self.line;
        let rule = line
            .rule
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let word = word(outcome);
        let millis = took.as_secs_f64() * 1000.0;
        tracing::info!(
            target: "sallyport::call",
            caller = line.caller, client = line.client, method = line.method, target = line.target, outcome = word,
            rule, reason = reason.unwrap_or_default(), masked = line.masked, millis,
            "{}", sentence(line, word, &rule, reason, millis)
        );
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        if self.record.is_some() {
            // The record's own destructor writes whether the server may have run it.
            self.tell(Outcome::Disconnected, Some("dropped"));
        }
    }
}

fn sentence(line: &Line, word: &str, rule: &str, reason: Option<&str>, millis: f64) -> String {
    let mut text = format!("{word:<9} {} {}", line.caller, line.method);
    if !line.target.is_empty() {
        text.push(' ');
        text.push_str(&line.target);
    }
    if !rule.is_empty() {
        text.push_str(&format!(" by {rule}"));
    }
    if let Some(reason) = reason {
        text.push_str(&format!(" ({reason})"));
    }
    if line.masked > 0 {
        text.push_str(&format!(", {} masked", line.masked));
    }
    text.push_str(&format!(", {millis:.1} ms"));
    text
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "ok",
        Outcome::Failed => "failed",
        Outcome::Denied => "denied",
        Outcome::Pending => "pending",
        Outcome::Withheld => "withheld",
        Outcome::Cancelled => "cancelled",
        Outcome::Revoked => "revoked",
        Outcome::Disconnected => "left",
        Outcome::UpstreamFailed => "upstream",
        Outcome::Unknown => "unknown",
    }
}

fn label(outcome: Outcome) -> metrics::Ended {
    match outcome {
        Outcome::Succeeded => metrics::Ended::Succeeded,
        Outcome::Failed | Outcome::UpstreamFailed => metrics::Ended::Failed,
        Outcome::Denied => metrics::Ended::Denied,
        Outcome::Pending => metrics::Ended::Pending,
        Outcome::Withheld => metrics::Ended::Withheld,
        Outcome::Cancelled | Outcome::Revoked | Outcome::Disconnected => metrics::Ended::Cancelled,
        Outcome::Unknown => metrics::Ended::Unknown,
    }
}
