//! What a client hears without having asked: the one stream of the oldest transport, and a session's own stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::{HeaderValue, Method};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::{Client, Heard};
use super::tally::{Outcome, Report, Tally};
use super::wire::{Connection, Events, is_events, text_of};

/// How long a client listens where the server has nothing to say.
const LISTENS: Duration = Duration::from_millis(700);

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// The stream of 2024-11-05, read by a task of its own.
pub(crate) struct Pipe {
    /// Where to post.
    pub(crate) address: String,
    waiting: Waiting,
    reading: JoinHandle<()>,
}

impl Pipe {
    pub(crate) async fn open(client: &Client) -> Result<Self> {
        let mut connection = Connection::new(client.target.address);
        let request = client.request(Method::GET, "/sse", "initialize", String::new());
        let response = connection.send(request).await?;
        let status = response.status();
        if !status.is_success() {
            bail!("/sse: {status}");
        }
        let mut events = Events::of(response);
        let endpoint = events.next().await.context("no first event")?;
        if endpoint.kind.as_deref() != Some("endpoint") {
            bail!("the first event is {endpoint:?}");
        }
        let tally = &client.tally;
        tally.opened(&client.target.name, &endpoint.data, &client.owner);
        let waiting = Waiting::default();
        let owner = client.owner.clone();
        let tally = Arc::clone(&client.tally);
        let reading = tokio::spawn(read(connection, events, Arc::clone(&waiting), owner, tally));
        Ok(Self {
            address: endpoint.data,
            waiting,
            reading,
        })
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.reading.is_finished()
    }

    /// The answer to a request that is about to be posted.
    pub(crate) fn expect(&self, id: u64) -> oneshot::Receiver<Value> {
        let (sender, answer) = oneshot::channel();
        if self.is_open() {
            lock(&self.waiting).insert(id, sender);
        }
        answer
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Value>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(
    connection: Connection,
    mut events: Events,
    waiting: Waiting,
    owner: String,
    tally: Arc<Tally>,
) {
    while let Some(event) = events.next().await {
        tally.look(&event.data, &owner);
        let message = event
            .message()
            .filter(|message| message.get("method").is_none());
        let id = message
            .as_ref()
            .and_then(|message| message.get("id")?.as_u64());
        let known = id.and_then(|id| lock(&waiting).remove(&id));
        if let (Some(message), Some(answer)) = (message, known)
            && answer.send(message).is_err()
        {
            continue; // nobody waits for it any more
        }
    }
    drop(connection);
    lock(&waiting).clear();
}

impl Client {
    /// Listens to the session's own stream, leaves it, and resumes where it was.
    pub(crate) async fn listen(&mut self) -> Outcome {
        let mut last: Option<String> = None;
        for _ in 0..2 {
            match self.listened(last.as_deref(), 2).await {
                Ok((next, problem)) => {
                    if let Some(problem) = problem {
                        return Outcome::Unexpected(problem);
                    }
                    last = next.or(last);
                }
                Err(error) => return self.without_answer(&format!("{error:#}")),
            }
        }
        Outcome::Answered
    }

    /// Hears some pushes: the last id, and what was wrong with them.
    async fn listened(
        &mut self,
        last: Option<&str>,
        most: usize,
    ) -> Result<(Option<String>, Option<String>)> {
        let mut request = self.request(Method::GET, "/mcp", "", String::new());
        request.headers_mut().remove("content-type");
        if let Some(last) = last {
            request
                .headers_mut()
                .insert("last-event-id", HeaderValue::from_str(last)?);
        }
        let mut connection = Connection::new(self.target.address);
        let response = connection.send(request).await?;
        let status = response.status().as_u16();
        if !is_events(&response) {
            bail!("GET: {status} {}", text_of(response).await?);
        }
        let mut events = Events::of(response);
        let (mut heard, mut id) = (0, last.map(str::to_owned));
        while heard < most {
            let Ok(Some(event)) = tokio::time::timeout(LISTENS, events.next()).await else {
                break;
            };
            self.tally.look(&event.data, &self.owner);
            let number = |id: &str| {
                id.rsplit('.')
                    .next()
                    .and_then(|text| text.parse::<u64>().ok())
            };
            let pushed = event.data.contains("push");
            if let (Some(before), Some(now), true) = (
                id.as_deref().and_then(number),
                event.id.as_deref().and_then(number),
                pushed,
            ) && now != before + 1
            {
                return Ok((id, Some(format!("push {now} after {before}"))));
            }
            heard += usize::from(pushed);
            id = event.id.or(id);
        }
        Ok((id, None))
    }

    /// Fetches the answer of a call whose stream ended before it.
    pub(crate) async fn resumed(&mut self, id: u64, last: &str) -> Result<Heard> {
        let mut request = self.request(Method::GET, "/mcp", "", String::new());
        request
            .headers_mut()
            .insert("last-event-id", HeaderValue::from_str(last)?);
        let response = self.connection.send(request).await?;
        let status = response.status().as_u16();
        if !is_events(&response) {
            return Ok(Heard::Status(status, text_of(response).await?));
        }
        let mut events = Events::of(response);
        while let Some(event) = events.next().await {
            self.tally.look(&event.data, &self.owner);
            let message = event.message();
            let answers = |message: &Value| message.get("id").and_then(Value::as_u64) == Some(id);
            if let Some(message) = message.filter(answers) {
                return Ok(Heard::Answer(message));
            }
        }
        Ok(Heard::Lost(
            "a resumed stream ended without the answer".into(),
        ))
    }

    /// What a request that got no answer comes to.
    pub(crate) fn without_answer(&mut self, error: &str) -> Outcome {
        if self.plan.outages {
            self.shaken = true;
            if error.contains("404") {
                self.session = None;
                self.tally.with(Report::stale);
            }
            return Outcome::Lost;
        }
        if self.tokens.renewed(error, &self.tally) {
            return Outcome::Refused;
        }
        Outcome::Unexpected(error.to_owned())
    }
}
