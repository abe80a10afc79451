//! The bridge itself: what the client says goes out in order, what is asked runs side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sallyport_policy::json::{Document, Limits, Node};
use sallyport_policy::mcp::answer::code;
use sallyport_policy::mcp::{Body, Id, Message};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::output::say;

use super::error::{Trouble, error_line};
use super::exchange::Sent;
use super::lines::{Input, Output, Said};
use super::mirror::{Known, modern_version};
use super::wire::{Content, Wire};

/// How long a notification may keep the next message waiting; their order matters, a slow server must not.
const IN_ORDER: Duration = Duration::from_secs(5);
/// How long answers are waited for once the client has said its last.
const LAST_ANSWERS: Duration = Duration::from_secs(60);
/// How long the end of a session may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// One client, one server.
#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) wire: Wire,
    pub(super) output: Output,
    known: Mutex<Known>,
    running: Mutex<BTreeMap<Id, Running>>,
    pub(super) tasks: TaskTracker,
    /// The client has said its last: streams without end are over.
    pub(super) ended: CancellationToken,
    /// Nothing is waited for any more.
    gone: CancellationToken,
    pub(super) listening: AtomicBool,
    pub(super) renewing: tokio::sync::Mutex<()>,
}

/// A request that the client waits for.
#[derive(Debug)]
struct Running {
    modern: bool,
    cancel: CancellationToken,
}

impl Bridge {
    pub(super) fn new(wire: Wire, output: Output) -> Self {
        Self {
            wire,
            output,
            known: Mutex::default(),
            running: Mutex::default(),
            tasks: TaskTracker::new(),
            ended: CancellationToken::new(),
            gone: CancellationToken::new(),
            listening: AtomicBool::new(false),
            renewing: tokio::sync::Mutex::default(),
        }
    }

    /// Passes on what the client says, until it has said its last.
    pub(super) async fn run(self: Arc<Self>, input: &mut Input) {
        while let Some(said) = input.next().await {
            match said {
                Said::Line(line) => self.take(line).await,
                Said::TooLong => {
                    let error = error_line(
                        None,
                        code::INVALID_REQUEST,
                        "Invalid Request: the line is too long",
                        &Value::Null,
                    );
                    self.output.say(error).await;
                }
            }
        }
    }

    /// Ends everything; `patient` waits for the answers that are still to come.
    pub(super) async fn finish(&self, patient: bool) {
        self.ended.cancel();
        self.tasks.close();
        if patient
            && tokio::time::timeout(LAST_ANSWERS, self.tasks.wait())
                .await
                .is_err()
        {
            say("sallyport: the client is gone; open requests are given up");
        }
        self.gone.cancel();
        self.tasks.wait().await;
        let headers = self.known().legacy();
        if headers.contains_key(sallyport_policy::mcp::headers::SESSION) {
            // Servers may forbid it or be gone; the session then ends by its age.
            tokio::time::timeout(FAREWELL, self.wire.delete(headers))
                .await
                .ok();
        }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Id, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(self: &Arc<Self>, line: Bytes) {
        let document = match Document::parse(line, Limits::RESPONSE) {
            Ok(document) => document,
            Err(error) => {
                let error = error_line(
                    None,
                    code::PARSE,
                    &format!("Parse error: {error}"),
                    &Value::Null,
                );
                return self.output.say(error).await;
            }
        };
        let plan = match Body::parse(&document) {
            Ok(body) => Plan::of(&body),
            Err(error) => {
                let text = format!("Invalid Request: {error}");
                // An error with the id of what the client answers would look like an answer to its own request.
                let id = error.id.filter(|_| document.root().get("method").is_some());
                return self
                    .output
                    .say(error_line(
                        id.as_ref(),
                        code::INVALID_REQUEST,
                        &text,
                        &Value::Null,
                    ))
                    .await;
            }
        };
        match plan {
            Plan::Ask {
                waiting,
                modern,
                method,
            } => {
                self.ask(Sent {
                    document,
                    waiting,
                    modern,
                    method,
                })
                .await;
            }
            Plan::Cancel(id) if self.cancel(&id) => {}
            Plan::Cancel(_) => self.tell(document, false).await,
            Plan::Tell { opens } => self.tell(document, opens).await,
        }
    }

    async fn ask(self: &Arc<Self>, sent: Sent) {
        let is_endless = sent.method.as_deref() == Some("subscriptions/listen");
        let opens = sent.method.as_deref() == Some("initialize");
        let cancel = if is_endless {
            self.ended.child_token()
        } else {
            self.gone.child_token()
        };
        for id in &sent.waiting {
            self.running().insert(
                id.clone(),
                Running {
                    modern: sent.modern,
                    cancel: cancel.clone(),
                },
            );
        }
        let bridge = Arc::clone(self);
        let handle = self.tasks.spawn(async move {
            let ids = sent.waiting.clone();
            // Leaving the exchange closes its stream, which in the newest revision is the cancellation.
            tokio::select! {
                () = cancel.cancelled() => {}
                () = bridge.exchange(sent) => {}
            }
            bridge.running().retain(|id, _| !ids.contains(id));
        });
        if opens && handle.await.is_err() {
            say("sallyport: the session could not be opened");
        }
    }

    /// Ends a modern exchange that the client no longer waits for; false where the server must be told.
    fn cancel(&self, id: &Id) -> bool {
        let mut running = self.running();
        match running.get(id) {
            Some(found) if !found.modern => false,
            Some(_) => {
                if let Some(found) = running.remove(id) {
                    found.cancel.cancel();
                }
                true
            }
            // What a modern client cancels late needs no message; a legacy server may still have it.
            None => self.known().session.is_none(),
        }
    }

    /// Posts what has no answer, before the next message goes out.
    async fn tell(self: &Arc<Self>, document: Document, opens: bool) {
        let bridge = Arc::clone(self);
        let handle = self.tasks.spawn(async move {
            if let Err(trouble) = bridge.told(&document).await {
                say(&format!("sallyport: a message was not taken: {trouble}"));
            } else if opens && bridge.known().session.is_some() {
                bridge.listen();
            }
        });
        if tokio::time::timeout(IN_ORDER, handle).await.is_err() {
            say(
                "sallyport: the server is slow to take a message; the next ones do not wait for it",
            );
        }
    }

    async fn told(&self, document: &Document) -> Result<(), Trouble> {
        let headers = self.known().headers(document)?;
        let answer = self.wire.post(headers, document.bytes().clone()).await?;
        match &answer.content {
            _ if !answer.status.is_success() => Err(answer.into_trouble()),
            Content::Nothing | Content::Json(_) | Content::Events(_) | Content::Other(_) => Ok(()),
        }
    }
}

/// What is to be done with a line.
#[derive(Debug)]
enum Plan {
    Ask {
        waiting: BTreeSet<Id>,
        modern: bool,
        method: Option<String>,
    },
    Cancel(Id),
    Tell {
        opens: bool,
    },
}

impl Plan {
    fn of(body: &Body<'_>) -> Self {
        let requests = body.messages().iter().filter_map(|message| match message {
            Message::Request(request) => Some(request.id.clone()),
            Message::Notification(_) | Message::Response(_) => None,
        });
        let waiting: BTreeSet<Id> = requests.collect();
        let one = match body {
            Body::One(message) => Some(message),
            Body::Batch(_) => None,
        };
        if !waiting.is_empty() {
            let modern = one.is_some_and(|message| modern_version(message).is_some());
            return Self::Ask {
                waiting,
                modern,
                method: one.and_then(Message::method).map(str::to_owned),
            };
        }
        match one.and_then(Message::method) {
            Some("notifications/cancelled") => {
                let id = one
                    .and_then(Message::params)
                    .and_then(|params| params.get("requestId"))
                    .and_then(id_of);
                id.map_or(Self::Tell { opens: false }, Self::Cancel)
            }
            method => Self::Tell {
                opens: method == Some("notifications/initialized"),
            },
        }
    }
}

fn id_of(node: Node<'_>) -> Option<Id> {
    Id::of(node)
}
