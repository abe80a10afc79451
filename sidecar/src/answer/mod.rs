//! What comes back: every message of the server is judged, filtered, masked and recorded before a client sees it.
//!
//! A [`Flight`] is a call that the server works on. It lands once, with the server's answer or without one; what the
//! server says in between is relayed through the same checks.

pub mod catalog;
mod land;
pub mod pins;
pub mod pump;
mod relay;
pub mod tasks;

use std::sync::Arc;

use futures_util::StreamExt;
use sallyport_policy::approval;
use sallyport_policy::decide::Slot;
use sallyport_policy::json::{Document, Limits};
use sallyport_policy::mcp::answer::{self, Asked};
use sallyport_policy::mcp::call::{Call, Target};
use sallyport_policy::mcp::message::{Id, Message};
use sallyport_policy::mcp::method::Method;
use sallyport_policy::mcp::progress::Waiting;
use sallyport_policy::mcp::revision::Revision;
use sallyport_policy::sse::Item;

use crate::guard::Answer;
use crate::hold::Consumed;
use crate::inbound::context::Context;
use crate::trail::Trail;
use crate::upstream::{Reply, UpstreamError};

use catalog::ToolEntry;

pub use land::Landed;
pub(crate) use land::told_status;
pub use relay::Relay;

/// A call between its sending and its answer.
#[derive(Debug)]
pub struct Flight {
    context: Context,
    id: Id,
    method: &'static Method,
    /// Tool, prompt or URI.
    name: String,
    /// The task that `tasks/get` and its kin are about.
    task: Option<String>,
    tool: Option<Arc<ToolEntry>>,
    wants_logs: bool,
    /// The client asked for a resource subscription, a task, or the like: what came of it is remembered at landing.
    progress: Option<Waiting>,
    subscribed: pump::Subscribed,
    trail: Trail,
    _slot: Slot,
    grant: Option<Consumed>,
    /// Something of it could not be recorded where everything must be.
    unrecorded: bool,
}

impl Flight {
    pub fn new(
        context: &Context,
        call: &Call<'_>,
        id: Id,
        tool: Option<Arc<ToolEntry>>,
        departure: Departure,
    ) -> Self {
        let (name, task) = match &call.target {
            Target::Tool { name, .. } | Target::Prompt { name, .. } => (name.to_string(), None),
            Target::Resource { uri } => (uri.to_string(), None),
            Target::Task { id } => (String::new(), Some(id.to_string())),
            Target::Open
            | Target::List(_)
            | Target::Listen(_)
            | Target::Method { .. }
            | Target::Relayed => (String::new(), None),
        };
        Self {
            context: context.clone(),
            id,
            method: call.method,
            name,
            task,
            tool,
            wants_logs: call.wants_logs,
            progress: departure.progress,
            subscribed: pump::Subscribed::default(),
            trail: departure.trail,
            _slot: departure.slot,
            grant: departure.grant,
            unrecorded: false,
        }
    }

    /// Its client may come back for the answer.
    pub(crate) fn park(&mut self) {
        self.trail.park();
    }

    pub fn id(&self) -> &Id {
        &self.id
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Returns when the grant behind the call is taken back; never for a call without one.
    pub async fn revoked(&self) {
        match &self.grant {
            Some(grant) => grant.revoked().await,
            None => std::future::pending().await,
        }
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            id: &self.id,
            revision: self.context.revision,
            method: self.method,
            name: &self.name,
        }
    }

    fn revision(&self) -> Revision {
        self.context.revision
    }

    /// The tool whose masks apply: the called one, or the one that began the task asked about.
    fn masked_tool(&self) -> Option<String> {
        match (&self.tool, &self.task) {
            (Some(_), _) => Some(self.name.clone()),
            (None, Some(task)) => self.context.gateway.tasks.tool(task),
            (None, None) => None,
        }
    }

    /// The outcome of the grant, where there is one; an error is ours to tell.
    async fn finish_grant(&mut self, outcome: approval::Outcome) {
        if let Some(grant) = self.grant.take()
            && let Err(error) = grant.finish(outcome).await
        {
            tracing::error!(%error, "the outcome of an approved call could not be kept");
        }
    }
}

/// What a call took along when it was sent.
#[derive(Debug)]
pub struct Departure {
    pub trail: Trail,
    pub slot: Slot,
    pub grant: Option<Consumed>,
    /// Progress that we spoke on while the call waited.
    pub progress: Option<Waiting>,
}

/// Judges the server's reply to a request and turns it into the client's answer.
pub async fn land_reply(flight: Flight, reply: Result<Reply, UpstreamError>) -> Answer {
    match reply {
        Ok(Reply::Json {
            status,
            body,
            session,
        }) => land::json(flight, status.as_u16(), body, session).await,
        Ok(Reply::Events { session, events }) => pump::answer(flight, session, events).await,
        Ok(Reply::Refused { status, text }) => land::refused(flight, status.as_u16(), &text).await,
        // A request must have an answer; 202 is none (mcp-protocol.md 6.1).
        Ok(Reply::Accepted) => {
            land::lost(flight, &UpstreamError::BrokeOff("no answer".into())).await
        }
        Err(error) => land::lost(flight, &error).await,
    }
}

/// An answer of ours as an [`Answer`].
pub(crate) fn own(asked: &Asked<'_>, told: &answer::Answer<'_>) -> Answer {
    Answer::Reply(answer::reply(asked, told))
}

/// The server's answer to a request of our own, whichever way it comes.
pub async fn collect_answer(reply: Reply, id: &Id) -> Result<Document, UpstreamError> {
    let parse = |bytes| {
        Document::parse(bytes, Limits::RESPONSE)
            .map_err(|error| UpstreamError::BrokeOff(error.to_string()))
    };
    match reply {
        Reply::Json { body, .. } => parse(body),
        Reply::Events { mut events, .. } => {
            while let Some(item) = events.next().await {
                let Item::Event(event) = item? else { continue };
                let Some(data) = event.data.filter(|data| !data.is_empty()) else {
                    continue;
                };
                let document = parse(data)?;
                if matches!(Message::parse(&document), Ok(Message::Response(response)) if response.id.as_ref() == Some(id))
                {
                    return Ok(document);
                }
            }
            Err(UpstreamError::BrokeOff("no answer".into()))
        }
        Reply::Refused { status, .. } => Err(UpstreamError::BrokeOff(format!("status {status}"))),
        Reply::Accepted => Err(UpstreamError::BrokeOff("no answer".into())),
    }
}
