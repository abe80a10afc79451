//! One client: its revision, its token, its session, and how it sends a request and hears the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use http::{Method, Response};

use hyper::body::Incoming;
use serde_json::{Value, json};

use super::chance::Chance;
use super::plan::{Plan, Target};
use super::streams::Pipe;
use super::tally::{Outcome, Tally};
use super::tokens::Tokens;
use super::wire::{Connection, Events, is_events, text_of};
use crate::marks;

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revision {
    /// 2024-11-05, over HTTP+SSE.
    Oldest,
    Batches,
    Headers,
    Polling,
    /// Without sessions.
    Newest,
}

impl Revision {
    pub(crate) const ALL: [Self; 5] = [
        Self::Oldest,
        Self::Batches,
        Self::Headers,
        Self::Polling,
        Self::Newest,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Oldest => "2024-11-05",
            Self::Batches => "2025-03-26",
            Self::Headers => "2025-06-18",
            Self::Polling => "2025-11-25",
            Self::Newest => "2026-07-28",
        }
    }

    /// Streamable HTTP with sessions.
    pub(crate) fn streams(self) -> bool {
        matches!(self, Self::Batches | Self::Headers | Self::Polling)
    }
}

/// What a client hears of a request.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    Answer(Value),
    /// An HTTP status that is no answer.
    Status(u16, String),
    Lost(String),
}

pub(crate) struct Client {
    pub(crate) revision: Revision,
    pub(crate) plan: Arc<Plan>,
    pub(crate) target: Arc<Target>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) chance: Chance,
    pub(crate) tokens: Tokens,
    /// How all marks of this client begin.
    pub(crate) owner: String,
    pub(crate) session: Option<String>,
    pub(crate) pipe: Option<Pipe>,
    pub(crate) connection: Connection,
    /// A fault of the server may have cost the session, or a pipe.
    pub(crate) shaken: bool,
    next: u64,
}

impl Client {
    pub(crate) fn new(
        number: u32,
        revision: Revision,
        plan: &Arc<Plan>,
        target: &Arc<Target>,
        tally: &Arc<Tally>,
    ) -> Result<Self> {
        Ok(Self {
            revision,
            tokens: Tokens::mint(&target.state, &plan.run, number)?,
            connection: Connection::new(target.address),
            chance: Chance::new(plan.seed, number),
            owner: marks::owner(&plan.run, number),
            plan: Arc::clone(plan),
            target: Arc::clone(target),
            tally: Arc::clone(tally),
            session: None,
            pipe: None,
            shaken: false,
            next: 0,
        })
    }

    /// Takes steps until the end, and leaves in good order.
    pub(crate) async fn run(mut self, until: Instant) {
        // Not all in the same moment.
        self.pause(400).await;
        while Instant::now() < until {
            if !self.is_open() && !self.opened(until).await {
                break;
            }
            self.step().await;
            self.pause(60).await;
            if self.plan.calm && self.shaken {
                break; // the guard has gone for good
            }
        }
        self.close().await;
    }

    pub(crate) async fn pause(&mut self, most: u64) {
        let pause = self.chance.below(most);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    fn is_open(&self) -> bool {
        match self.revision {
            Revision::Oldest => self.pipe.as_ref().is_some_and(Pipe::is_open),
            Revision::Newest => true,
            Revision::Batches | Revision::Headers | Revision::Polling => self.session.is_some(),
        }
    }

    /// Tries until there is a session; false at the end of the time.
    async fn opened(&mut self, until: Instant) -> bool {
        while Instant::now() < until {
            let opened = self.open().await;
            let error = match opened {
                Ok(()) => {
                    self.shaken = false;
                    return true;
                }
                Err(error) => format!("{error:#}"),
            };
            if self.plan.calm {
                self.shaken = true;
                return false;
            }
            if self.tokens.renewed(&error, &self.tally) {
                continue;
            }
            let outcome = match self.plan.outages {
                true => Outcome::Lost,
                false => Outcome::Unexpected(error),
            };
            self.count("open", outcome, None);
            self.connection.leave();
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        false
    }

    async fn open(&mut self) -> Result<()> {
        match self.revision {
            Revision::Newest => return Ok(()),
            Revision::Oldest => self.pipe = Some(Pipe::open(self).await?),
            Revision::Batches | Revision::Headers | Revision::Polling => self.session = None,
        }
        let (id, hello) = self.hello();
        if self.revision == Revision::Oldest {
            match self.through_pipe(id, &hello).await {
                Heard::Answer(answer) if answer.get("result").is_some() => {}
                other @ (Heard::Answer(_) | Heard::Status(..) | Heard::Lost(_)) => {
                    bail!("initialize: {other:?}")
                }
            }
        } else {
            let request = self.post(&hello);
            let response = self.connection.send(request).await?;
            let session = response.headers().get("mcp-session-id").cloned();
            let status = response.status().as_u16();
            let text = text_of(response).await?;
            self.tally.look(&text, &self.owner);
            if status != 200 {
                bail!("initialize: {status} {text}");
            }
            let session = session.with_context(|| format!("no session: {text}"))?;
            let session = session.to_str()?.to_owned();
            self.tally.opened(&self.target.name, &session, &self.owner);
            self.session = Some(session);
        }
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        match self.notify(&ready).await {
            Ok(202) => Ok(()),
            Ok(status) => bail!("initialized: {status}"),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn hello(&mut self) -> (u64, Value) {
        let id = self.fresh();
        let params = json!({
            "protocolVersion": self.revision.name(), "capabilities": {},
            "clientInfo": { "name": self.owner, "version": "1.0.0" },
        });
        (
            id,
            json!({ "jsonrpc": "2.0", "id": id, "method": "initialize", "params": params }),
        )
    }

    /// Ends the session, as a client that is done does.
    pub(crate) async fn close(&mut self) {
        self.pipe = None;
        if self.session.is_some() {
            let request = self.request(Method::DELETE, "/mcp", "", String::new());
            // The guard may be away, or know the session no longer.
            if let Ok(response) = self.connection.send(request).await {
                text_of(response).await.ok();
            }
        }
        self.session = None;
        self.connection.leave();
    }

    pub(crate) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A mark that no other call has.
    pub(crate) fn nonce(&mut self) -> String {
        let number = self.fresh();
        format!("{}{number}", self.owner)
    }

    /// Sends what has no answer; the status.
    pub(crate) async fn notify(&mut self, message: &Value) -> Result<u16> {
        let request = self.post(message);
        let response = self.connection.send(request).await?;
        let status = response.status().as_u16();
        text_of(response).await?;
        Ok(status)
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask(&mut self, id: u64, message: &Value, pace: Duration) -> Heard {
        if self.pipe.is_some() {
            return self.through_pipe(id, message).await;
        }
        let request = self.post(message);
        let heard = match self.connection.send(request).await {
            Ok(response) => self.hear(id, response, pace).await,
            Err(error) => Err(error),
        };
        heard.unwrap_or_else(|error| {
            self.connection.leave();
            Heard::Lost(format!("{error:#}"))
        })
    }

    async fn through_pipe(&mut self, id: u64, message: &Value) -> Heard {
        let Some(answer) = self.pipe.as_ref().map(|pipe| pipe.expect(id)) else {
            return Heard::Lost("there is no stream".into());
        };
        match self.notify(message).await {
            Ok(202) => {}
            Ok(status) => return Heard::Status(status, "to a post".into()),
            Err(error) => {
                self.connection.leave();
                return Heard::Lost(format!("{error:#}"));
            }
        }
        match tokio::time::timeout(super::wire::LIMIT, answer).await {
            Ok(Ok(answer)) => Heard::Answer(answer),
            Ok(Err(_)) => Heard::Lost("the stream ended".into()),
            Err(_) => Heard::Lost("no answer on the stream in time".into()),
        }
    }

    /// Reads what comes back for a POST, to its end.
    pub(crate) async fn hear(
        &mut self,
        id: u64,
        response: Response<Incoming>,
        pace: Duration,
    ) -> Result<Heard> {
        let status = response.status().as_u16();
        if !is_events(&response) {
            let text = text_of(response).await?;
            self.tally.look(&text, &self.owner);
            return Ok(match serde_json::from_str::<Value>(&text) {
                Ok(answer) if status == 200 => same_id(answer, id),
                Ok(_) | Err(_) => Heard::Status(status, text),
            });
        }
        let mut events = Events::of(response);
        events.pace = pace;
        let (mut found, mut last) = (None, None);
        while let Some(event) = events.next().await {
            self.tally.look(&event.data, &self.owner);
            let message = event.message();
            last = event.id.or(last);
            if let Some(message) = message.filter(|message| message.get("id").is_some()) {
                if found.is_some() {
                    return Ok(Heard::Lost(format!("a second answer: {message}")));
                }
                found = Some(message);
            }
        }
        match (found, last) {
            (Some(answer), _) => Ok(same_id(answer, id)),
            // A server that polls: the answer is to be fetched.
            (None, Some(last)) => self.resumed(id, &last).await,
            (None, None) => Ok(Heard::Lost("the stream ended without an answer".into())),
        }
    }

    pub(crate) fn count(&self, step: &str, mut outcome: Outcome, took: Option<u32>) {
        if let Outcome::Unexpected(what) = &mut outcome {
            *what = format!("before {}: {what}", self.target.name);
        }
        self.tally.count(self.revision.name(), step, outcome, took);
    }
}

/// An answer to another request is no answer.
fn same_id(answer: Value, id: u64) -> Heard {
    match answer.get("id").and_then(Value::as_u64) {
        Some(found) if found == id => Heard::Answer(answer),
        Some(_) | None if answer.is_array() => Heard::Answer(answer),
        Some(_) | None => Heard::Lost(format!("not an answer to {id}: {answer}")),
    }
}
