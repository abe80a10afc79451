//! What the index keeps of sessions and calls: enough to list, search and find them.

use std::collections::BTreeSet;

use sallyport_policy::name::{CallId, SessionId};
use sallyport_policy::record::EventRecord;
use sallyport_policy::record::event::{
    CallRequested, Decided, Event, MaskCounts, Outcome, SessionBegan, SessionEnd, Verdict,
};
use sallyport_policy::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// One session at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionSummary {
    pub id: SessionId,
    pub user: String,
    pub issuer: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client: Option<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub groups: BTreeSet<String>,
    /// `namespace/name`.
    pub gateway: String,
    pub began: UnixMillis,
    /// Of its newest event.
    pub last: UnixMillis,
    /// None while it is open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended: Option<SessionEnd>,
    pub events: u64,
    pub calls: u64,
    pub denied: u64,
    pub held: u64,
    /// Spans masked in answers, streams and requests of the server.
    pub masked: u64,
    /// Events lost in gaps.
    pub lost: u64,
    pub first_segment: u64,
    pub last_segment: u64,
}

/// One call at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallSummary {
    pub session: SessionId,
    pub call: CallId,
    pub at: UnixMillis,
    pub user: String,
    pub issuer: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client: Option<String>,
    pub gateway: String,
    pub method: String,
    /// Tool, prompt or resource.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// The last decision; a held call that resumed has had several.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict: Option<Verdict>,
    /// Whether it was ever held.
    #[serde(default)]
    pub held: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<Outcome>,
    pub executed: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub millis: Option<u64>,
    #[serde(skip_serializing_if = "MaskCounts::is_empty", default)]
    pub masks: MaskCounts,
}

impl SessionSummary {
    pub(crate) fn begin(record: &EventRecord, began: &SessionBegan, segment: u64) -> Self {
        Self {
            id: record.session.clone(),
            user: began.caller.subject.to_string(),
            issuer: began.caller.issuer.to_string(),
            email: began.email.clone(),
            client: began.caller.client.as_ref().map(ToString::to_string),
            groups: began.groups.clone(),
            gateway: began.gateway.to_string(),
            began: record.at,
            last: record.at,
            ended: None,
            events: 0,
            calls: 0,
            denied: 0,
            held: 0,
            masked: 0,
            lost: 0,
            first_segment: segment,
            last_segment: segment,
        }
    }

    /// Counts one more event of the session.
    pub(crate) fn take(&mut self, record: &EventRecord, segment: u64) {
        self.events += 1;
        self.last = record.at;
        self.last_segment = segment;
        self.masked += masks(&record.event).map_or(0, |masks| masks.values().sum());
        if let Event::CallRequested(_) = &record.event {
            self.calls += 1;
        } else if let Event::Decided(decided) = &record.event {
            self.denied += u64::from(decided.verdict == Verdict::Deny);
            self.held += u64::from(decided.verdict == Verdict::Hold);
        } else if let Event::Gap(gap) = &record.event {
            self.lost += gap.lost;
        } else if let Event::SessionEnded(ended) = &record.event {
            self.ended = Some(ended.reason);
        }
    }
}

impl CallSummary {
    pub(crate) fn begin(
        record: &EventRecord,
        requested: &CallRequested,
        of: &SessionSummary,
    ) -> Self {
        Self {
            session: record.session.clone(),
            call: requested.call.clone(),
            at: record.at,
            user: of.user.clone(),
            issuer: of.issuer.clone(),
            client: of.client.clone(),
            gateway: of.gateway.clone(),
            method: requested.method.clone(),
            target: requested
                .tool
                .clone()
                .or_else(|| requested.resource.clone()),
            verdict: None,
            held: false,
            rule: None,
            reason: None,
            outcome: None,
            executed: false,
            millis: None,
            masks: MaskCounts::new(),
        }
    }

    /// Takes one more event of the call.
    pub(crate) fn take(&mut self, event: &Event) {
        for (kind, count) in masks(event).into_iter().flatten() {
            *self.masks.entry(kind.clone()).or_default() += count;
        }
        if let Event::Decided(decided) = event {
            self.decide(decided);
        } else if let Event::Forwarded(_) = event {
            self.executed = true;
        } else if let Event::CallEnded(ended) = event {
            self.outcome = Some(ended.outcome);
            self.executed = ended.executed;
            self.millis = ended.millis;
            if ended.reason.is_some() {
                self.reason.clone_from(&ended.reason);
            }
        }
    }

    fn decide(&mut self, decided: &Decided) {
        self.verdict = Some(decided.verdict);
        self.held |= decided.verdict == Verdict::Hold;
        self.rule = decided.rule.as_ref().map(ToString::to_string);
        self.reason.clone_from(&decided.reason);
    }
}

fn masks(event: &Event) -> Option<&MaskCounts> {
    if let Event::Answered(event) = event {
        Some(&event.masks)
    } else if let Event::StreamEvent(event) = event {
        Some(&event.masks)
    } else if let Event::ServerRequest(event) = event {
        Some(&event.masks)
    } else {
        None
    }
}
