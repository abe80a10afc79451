//! What the server says besides answers: notifications and requests to the client, each judged by the method table
//! and by policy, masked and recorded before it goes on. What is not known here does not pass.

use bytes::Bytes;
use sallyport_policy::decide::Listed;
use sallyport_policy::json::Document;
use sallyport_policy::mask::{MaskReport, Masked, Scope};
use sallyport_policy::mcp::answer;
use sallyport_policy::mcp::call::{Call, Target};
use sallyport_policy::mcp::message::{Id, Message};
use sallyport_policy::mcp::method::Direction;
use sallyport_policy::name::CallId;
use sallyport_policy::record::event::{
    self, Capture, Event, PayloadKind, ServerRequest, StreamEvent,
};

use super::Flight;
use crate::guard::refuse_server;
use crate::inbound::context::Context;
use crate::record::RecordError;

/// Where a message of the server came up.
#[derive(Debug)]
pub enum Relay<'a> {
    /// On the stream of a call.
    Call(&'a mut Flight),
    /// On the stream of a call whose client cannot hear it: judged and recorded, and requests are refused.
    Unheard(&'a mut Flight),
    /// On a stream that answers no request.
    Session(&'a Context),
}

impl Relay<'_> {
    /// Judges one notification or request; gives the bytes to send on, or none.
    pub async fn pass(&mut self, document: &Document, message: &Message<'_>) -> Option<Bytes> {
        let revision = self.context().revision;
        let call = match Call::of(message, Direction::ToClient, revision) {
            Ok(call) => call,
            Err(error) => {
                self.dropped("unknown_server_message", &error.to_string());
                if let Some(id) = message.id() {
                    let body = answer::to_server(id, message.method().unwrap_or("-"));
                    refuse_server(self.context(), body).await;
                }
                return None;
            }
        };
        match call.id.clone() {
            Some(id) => self.request(document, &call, &id).await,
            None => self.notification(document, &call).await,
        }
    }

    fn context(&self) -> &Context {
        match self {
            Self::Call(flight) | Self::Unheard(flight) => &flight.context,
            Self::Session(context) => context,
        }
    }

    async fn notification(&mut self, document: &Document, call: &Call<'_>) -> Option<Bytes> {
        if !self.may_hear(call) {
            self.dropped("server_notification_denied", call.method.name);
            return None;
        }
        if call.method.name == "notifications/tools/list_changed" {
            self.context().gateway.catalog.changed();
        }
        let shifted = match self {
            Self::Call(flight) | Self::Unheard(flight) => flight
                .progress
                .as_ref()
                .and_then(|said| said.shift(call.message)),
            Self::Session(_) => None,
        };
        let document = match shifted {
            Some(bytes) => Document::parse(bytes, sallyport_policy::json::Limits::RESPONSE).ok()?,
            None => document.clone(),
        };
        let tool = self.masked_tool(call);
        let scope = Scope::Notification {
            method: call.method.name,
            tool: tool.as_deref(),
        };
        let (bytes, report) = self.masked(&document, &scope)?;
        let size = u64::try_from(document.bytes().len()).unwrap_or(u64::MAX);
        let event = |call_id| {
            Event::StreamEvent(StreamEvent {
                call: call_id,
                direction: event::Direction::ServerToClient,
                method: Some(call.method.name.to_owned()),
                event_id: None,
                bytes: size,
                masks: report.counts,
            })
        };
        self.record(event, PayloadKind::Stream, &bytes)
            .await
            .then_some(bytes)
    }

    /// Whether this caller may hear of it.
    fn may_hear(&self, call: &Call<'_>) -> bool {
        let context = self.context();
        let wants_logs = match self {
            Self::Call(flight) | Self::Unheard(flight) => {
                flight.wants_logs || !context.revision.is_modern()
            }
            Self::Session(_) => !context.revision.is_modern(),
        };
        if call.method.name == "notifications/message" && !wants_logs {
            return false;
        }
        match &call.target {
            Target::Open | Target::Relayed => true,
            Target::Resource { uri } => {
                let listed = Listed::Resource { uri };
                context.with_facts(None, |facts| context.policy.bundle.visible(&listed, facts))
            }
            Target::Task { id } => context
                .gateway
                .tasks
                .owned_by(id, &context.principal().key()),
            Target::Method { method } => context.server_may_ask(method),
            Target::List(_) | Target::Tool { .. } | Target::Prompt { .. } | Target::Listen(_) => {
                false
            }
        }
    }

    fn masked_tool(&self, call: &Call<'_>) -> Option<String> {
        if let Target::Task { id } = &call.target {
            return self.context().gateway.tasks.tool(id);
        }
        match self {
            Self::Call(flight) | Self::Unheard(flight) => flight.masked_tool(),
            Self::Session(_) => None,
        }
    }

    /// A request of the server to the client: passed where a rule allows it and the client's session can answer.
    async fn request(&mut self, document: &Document, call: &Call<'_>, id: &Id) -> Option<Bytes> {
        let method = call.method.name;
        let open = matches!(call.target, Target::Open);
        let allowed = open || self.context().server_may_ask(method);
        let session = self.context().session.as_ref();
        let heard = !matches!(self, Self::Unheard(_));
        let asked = allowed && heard && session.is_some_and(|session| session.ask(id, method));
        let passed = match asked {
            true => self.masked(document, &Scope::ServerRequest { method }),
            false => None,
        };
        let reason = match (allowed, &passed) {
            (false, _) => Some("server_request_denied"),
            (true, None) => Some("server_request_unanswerable"),
            (true, Some(_)) => None,
        };
        let masks = passed
            .as_ref()
            .map(|(_, report)| report.counts.clone())
            .unwrap_or_default();
        let event = |call_id| {
            Event::ServerRequest(ServerRequest {
                call: call_id,
                method: method.to_owned(),
                id: Some(id.to_json()),
                verdict: if reason.is_none() {
                    event::Verdict::Allow
                } else {
                    event::Verdict::Deny
                },
                rule: None,
                reason: reason.map(str::to_owned),
                masks,
            })
        };
        let kept = passed
            .as_ref()
            .map(|(bytes, _)| bytes.clone())
            .unwrap_or_default();
        let recorded = self.record(event, PayloadKind::ServerRequest, &kept).await;
        match passed {
            Some((bytes, _)) if recorded => Some(bytes),
            Some(_) | None => {
                let reason = reason.unwrap_or("recording_unavailable");
                self.refuse(id, method, reason).await;
                None
            }
        }
    }

    /// Answers the server in the client's stead.
    async fn refuse(&self, id: &Id, method: &str, reason: &'static str) {
        let context = self.context();
        context.gateway.metrics.refused(reason);
        if let Some(session) = &context.session {
            session.answer(id);
        }
        refuse_server(context, answer::to_server(id, method)).await;
    }

    fn masked(&self, document: &Document, scope: &Scope<'_>) -> Option<(Bytes, MaskReport)> {
        let context = self.context();
        match context.policy.masker.mask(document, scope) {
            Masked::Clean => {
                let bytes = context.gateway.memory.keep(document.bytes().clone());
                Some((bytes, MaskReport::default()))
            }
            Masked::Changed { bytes, report } => {
                context.gateway.metrics.masked(report.total());
                Some((context.gateway.memory.keep(bytes), report))
            }
            Masked::Withheld { why, .. } => {
                self.dropped("masking", &why.to_string());
                None
            }
        }
    }

    /// Appends to the call's chain or the session's; false where `Strict` could not make it durable.
    async fn record(
        &mut self,
        event: impl FnOnce(Option<CallId>) -> Event,
        kind: PayloadKind,
        bytes: &Bytes,
    ) -> bool {
        let payloads = match self.context().policy.recording.capture {
            Capture::Masked if !bytes.is_empty() => vec![(kind, bytes.clone())],
            Capture::Masked | Capture::Metadata => Vec::new(),
        };
        let stored = match self {
            Self::Call(flight) | Self::Unheard(flight) => {
                flight.trail.note(|call| event(Some(call)), payloads);
                let settled = flight.trail.settle().await;
                flight.unrecorded |= settled.is_err();
                settled
            }
            Self::Session(context) => append(context, event(None), payloads).await,
        };
        if let Err(error) = &stored {
            tracing::error!(%error, "a message of the server is withheld because it cannot be recorded");
        }
        stored.is_ok()
    }

    fn dropped(&self, code: &'static str, why: &str) {
        self.context().gateway.metrics.refused(code);
        tracing::info!(target: "sallyport::audit", code, why, "a message of the server was dropped");
    }
}

async fn append(
    context: &Context,
    event: Event,
    payloads: Vec<(PayloadKind, Bytes)>,
) -> Result<(), RecordError> {
    let recording = context.recording(|| None);
    let recorder = &context.gateway.recorder;
    let durable = recorder.append(&recording.session, event, payloads);
    match context.policy.recording.mode {
        event::Mode::Strict => durable.await.map(|_| ()),
        event::Mode::BestEffort | event::Mode::Disabled => Ok(()),
    }
}
