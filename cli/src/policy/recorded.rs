//! Calls of a state folder, as `policy diff` decides them again.
//!
//! Recordings hold what callers said, masked: a masked value stands as its mark. They tell neither scopes nor further
//! claims. Reading them is written down like any other look at them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sallyport_policy::compile::Probe;
use sallyport_policy::mcp::Method;
use sallyport_policy::mcp::method::Judged;
use sallyport_policy::name::GatewayName;
use sallyport_policy::record::event::{
    CallRequested, Direction, Event, PayloadKind, SessionBegan, ViewKind,
};
use sallyport_policy::record::{EventRecord, PayloadRef};
use sallyport_policy::source::policy::{TestCall, TestCaller};
use sallyport_policy::time::UnixMillis;
use sallyport_recorder::{Actor, Payload, ReadError, Recordings, Session, SessionFilter};
use sallyport_sidecar::clock::{Clock as _, SystemClock};
use serde_json::{Map, Value};

use crate::output::Failure;

/// Why a call cannot be decided again.
const NO_BODY: &str = "their arguments were not recorded, or are purged";
const CHANGED: &str = "what was recorded of them was changed afterwards; see `sallyport verify`";
const UNREADABLE: &str = "what was recorded of them is no call";

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) calls: Vec<RecordedCall>,
    pub(super) left_out: BTreeMap<&'static str, usize>,
}

/// One call with its time.
#[derive(Debug)]
pub(super) struct RecordedCall {
    pub(super) probe: Probe,
    pub(super) at: UnixMillis,
}

/// Reads all calls that were made at a gateway. `state` may also be the folder of recordings itself.
pub(super) fn read(
    state: &Path,
    gateway: &GatewayName,
    scopes: &[String],
) -> Result<Recorded, Failure> {
    let clock = SystemClock::new();
    let recordings = Recordings::open(&folder(state), Arc::new(move || clock.now()))
        .map_err(|error| failed(&error))?;
    let actor = actor();
    let filter = SessionFilter {
        gateway: Some(gateway.to_string()),
        ..SessionFilter::default()
    };
    let typed = format!("policy diff --gateway {gateway}");
    let mut recorded = Recorded::default();
    for summary in recordings
        .sessions(&actor, &filter, &typed)
        .map_err(|error| failed(&error))?
    {
        let session = recordings
            .session(&actor, ViewKind::Replay, summary.id.as_str())
            .map_err(|error| failed(&error))?;
        recorded
            .add(&session, scopes)
            .map_err(|error| failed(&error))?;
    }
    Ok(recorded)
}

fn folder(state: &Path) -> PathBuf {
    let inner = state.join("recordings");
    if inner.is_dir() {
        inner
    } else {
        state.to_owned()
    }
}

fn actor() -> Actor {
    let uid = rustix::process::getuid().as_raw();
    Actor {
        user: account_name(uid).unwrap_or_else(|| uid.to_string()),
        uid,
    }
}

/// The name that the system has for an account; the environment could claim any.
fn account_name(uid: u32) -> Option<String> {
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

fn failed(error: &ReadError) -> Failure {
    Failure::outside(error.to_string())
}

impl Recorded {
    fn add(&mut self, session: &Session, scopes: &[String]) -> Result<(), ReadError> {
        let mut caller = None;
        for entry in session.entries() {
            match &entry.record.event {
                Event::SessionBegan(began) => caller = Some(caller_of(began)),
                Event::CallRequested(requested) => {
                    if let Some(caller) = &caller {
                        self.call(session, &entry.record, requested, caller, scopes)?;
                    }
                }
                Event::WriterBegan(_)
                | Event::Recovered(_)
                | Event::Decided(_)
                | Event::ApprovalRequested(_)
                | Event::ApprovalDecided(_)
                | Event::ApprovalConsumed(_)
                | Event::Forwarded(_)
                | Event::Answered(_)
                | Event::StreamEvent(_)
                | Event::ServerRequest(_)
                | Event::CallEnded(_)
                | Event::SessionEnded(_)
                | Event::PolicyChanged(_)
                | Event::Gap(_)
                | Event::Viewed(_)
                | Event::Purged(_)
                | Event::LegalHold(_)
                | Event::WriterEnded(_) => {}
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        session: &Session,
        record: &EventRecord,
        requested: &CallRequested,
        caller: &TestCaller,
        scopes: &[String],
    ) -> Result<(), ReadError> {
        let Some(wanted) = wanted(requested) else {
            return Ok(());
        };
        let body = record
            .payloads
            .iter()
            .find(|payload| payload.kind == PayloadKind::Request);
        let call = match self.body(session, body)? {
            Some(params) => call_of(wanted, &params, requested),
            None => return Ok(()),
        };
        let Some(call) = call else {
            self.leave_out(UNREADABLE);
            return Ok(());
        };
        let address = requested.source.map(|source| source.to_string());
        let caller = TestCaller {
            address: address.or_else(|| caller.address.clone()),
            ..caller.clone()
        };
        let probe = Probe {
            caller,
            call,
            scopes: scopes.to_vec(),
        };
        self.calls.push(RecordedCall {
            probe,
            at: record.at,
        });
        Ok(())
    }

    /// The params of the recorded message.
    fn body(
        &mut self,
        session: &Session,
        body: Option<&PayloadRef>,
    ) -> Result<Option<Map<String, Value>>, ReadError> {
        let payload = match body {
            Some(body) => session.payload(body)?,
            None => Payload::Missing,
        };
        let bytes = match payload {
            Payload::Intact(bytes) => bytes,
            Payload::Changed => {
                self.leave_out(CHANGED);
                return Ok(None);
            }
            Payload::Missing => {
                self.leave_out(NO_BODY);
                return Ok(None);
            }
        };
        let message: Option<Map<String, Value>> = serde_json::from_slice(&bytes).ok();
        Ok(message.map(|mut message| match message.remove("params") {
            Some(Value::Object(params)) => params,
            Some(_) | None => Map::new(),
        }))
    }

    fn leave_out(&mut self, why: &'static str) {
        *self.left_out.entry(why).or_default() += 1;
    }
}

fn caller_of(began: &SessionBegan) -> TestCaller {
    TestCaller {
        user: Some(began.caller.subject.to_string()),
        email: began.email.clone(),
        groups: began.groups.iter().cloned().collect(),
        issuer: Some(began.caller.issuer.to_string()),
        client: began.caller.client.as_ref().map(ToString::to_string),
        actor: began.caller.actor.clone(),
        address: began.source.map(|source| source.to_string()),
        ..TestCaller::default()
    }
}

/// What rules judge of a call; none for what needs no rule.
fn wanted(requested: &CallRequested) -> Option<Judged> {
    if requested.direction != Direction::ClientToServer {
        return None;
    }
    let judged = Method::named(&requested.method)?.judged;
    match judged {
        Judged::Tool | Judged::Prompt | Judged::Resource | Judged::Rule | Judged::As(_) => {
            Some(judged)
        }
        Judged::Open
        | Judged::List(_)
        | Judged::Completion
        | Judged::Listen
        | Judged::Task
        | Judged::Relayed => None,
    }
}

fn call_of(
    judged: Judged,
    params: &Map<String, Value>,
    requested: &CallRequested,
) -> Option<TestCall> {
    let text = |member: &str| {
        params
            .get(member)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let arguments = params.get("arguments").and_then(Value::as_object).cloned();
    let call = match judged {
        Judged::Tool => TestCall {
            tool: Some(text("name")?),
            arguments,
            ..TestCall::default()
        },
        Judged::Prompt => TestCall {
            prompt: Some(text("name")?),
            arguments,
            ..TestCall::default()
        },
        Judged::Resource => TestCall {
            resource: Some(text("uri")?),
            ..TestCall::default()
        },
        Judged::As(method) => TestCall {
            method: Some(method.to_owned()),
            ..TestCall::default()
        },
        Judged::Rule => TestCall {
            method: Some(requested.method.clone()),
            ..TestCall::default()
        },
        Judged::Open
        | Judged::List(_)
        | Judged::Completion
        | Judged::Listen
        | Judged::Task
        | Judged::Relayed => {
            return None;
        }
    };
    Some(call)
}
