//! The one landing of a call: the server's answer judged, rewritten where a list or a handshake must be, masked,
//! recorded, and only then given out.

use bytes::Bytes;
use sallyport_policy::approval;
use sallyport_policy::decide::Listed;
use sallyport_policy::json::{Document, Limits, Node, Splice};
use sallyport_policy::mask::{MaskReport, Masked, Scope};
use sallyport_policy::mcp::answer::{self, Reply, Unapproved, Upstream as Trouble};
use sallyport_policy::mcp::message::{Message, Outcome as RpcOutcome, Response};
use sallyport_policy::mcp::method::{Judged, Surface};
use sallyport_policy::mcp::refusal::{Refusal as Malformed, refusal};
use sallyport_policy::mcp::result::{InputRequired, Shape, is_tool_error};
use sallyport_policy::mcp::rewrite;
use sallyport_policy::mcp::{
    agreement::{self, Agreed},
    list,
};
use sallyport_policy::name::Digest;
use sallyport_policy::record::event::{Answered, Capture, Event, Outcome, PayloadKind};

use super::Flight;
use super::tasks::Task;
use crate::guard::{Answer, refuse_server};
use crate::inbound::session::{Behind, Opening};
use crate::upstream::{Lane, Upstream, UpstreamError};

/// What a landed call gives out.
#[derive(Debug)]
pub struct Landed {
    pub status: u16,
    pub body: Bytes,
    /// The session that an `initialize` opened.
    pub session: Option<String>,
}

/// Why an answer of the server is not given out.
enum Refusal {
    /// It cannot be judged, so it cannot be masked either.
    Malformed(String),
    /// It asks the client for what the client may not be asked.
    AskedTooMuch(&'static str),
    /// Our own trouble.
    Session(String),
}

/// The answer came as one JSON body.
pub(super) async fn json(
    flight: Flight,
    status: u16,
    body: Bytes,
    session: Option<String>,
) -> Answer {
    let document = match Document::parse(body, Limits::RESPONSE) {
        Ok(document) => document,
        Err(error) => return malformed(flight, &error.to_string()).await,
    };
    let document = match named(document, &flight) {
        Ok(document) => document,
        Err(why) => return malformed(flight, &why).await,
    };
    let message = match Message::parse(&document) {
        Ok(message) => message,
        Err(error) => return malformed(flight, &error.to_string()).await,
    };
    let Message::Response(response) = &message else {
        return malformed(flight, "it is not a response").await;
    };
    if response.id.as_ref() != Some(flight.id()) {
        return malformed(flight, "it answers another request").await;
    }
    if status == 404
        && let Some(session) = &flight.context().session
    {
        // The client will take it as the end of its session, so it is one here as well.
        flight.context().gateway.sessions.close(&session.id);
    }
    let status = told_status(status);
    let landed = flight.land(&document, response, status, session).await;
    Answer::Json {
        status: landed.status,
        body: landed.body,
        session: landed.session,
    }
}

/// The status of a server's message as a client may hear it: those that tell a client to authenticate, or to change
/// its transport, are ours to say (trap 31), and 202 to a request would leave it waiting.
pub(crate) fn told_status(status: u16) -> u16 {
    match status {
        200..=299 => 200,
        400 | 404 | 409 | 413 | 422 | 429 => status,
        500..=599 => status,
        _ => 502,
    }
}

/// Servers answer what they could not read with an error without id (or with null); we know whom it answers.
pub(super) fn named(document: Document, flight: &Flight) -> Result<Document, String> {
    let root = document.root();
    let nameless = root.get("id").is_none_or(Node::is_null) && root.get("error").is_some();
    if !nameless {
        return Ok(document);
    }
    let mut splice = Splice::new();
    splice.set_member(root, "id", flight.id().to_json());
    Document::parse(splice.apply(&document), Limits::RESPONSE).map_err(|error| error.to_string())
}

/// The server gave an HTTP error that is no MCP message.
pub(super) async fn refused(flight: Flight, status: u16, text: &str) -> Answer {
    if status == 404 && flight.context().session.is_some() {
        return lost(flight, &UpstreamError::SessionGone).await;
    }
    let (text, _) = flight.context().policy.masker.mask_text(text);
    tracing::warn!(status, text = %text.chars().take(200).collect::<String>(), "the server refused a call");
    let flight_error = UpstreamError::BrokeOff(format!("status {status}"));
    lost(flight, &flight_error).await
}

async fn malformed(flight: Flight, why: &str) -> Answer {
    tracing::warn!(
        why,
        method = flight.method.name,
        "the server's answer cannot be passed on"
    );
    lost(flight, &UpstreamError::BrokeOff(why.to_owned())).await
}

/// The call has no answer that could be given out.
pub(super) async fn lost(flight: Flight, error: &UpstreamError) -> Answer {
    let reply = flight.lost(error).await;
    Answer::Reply(reply)
}

impl Flight {
    /// Ends the call with the server's answer.
    pub(super) async fn land(
        mut self,
        document: &Document,
        response: &Response<'_>,
        status: u16,
        session: Option<String>,
    ) -> Landed {
        // The answer, the index over it and what is spliced from it (law 15).
        let memory = self.context.gateway.memory.clone();
        let _share = memory.hold(document.bytes().len().saturating_mul(3));
        let judged = match &response.outcome {
            RpcOutcome::Error(_) => Ok((document.clone(), None)),
            RpcOutcome::Result(result) => self.judge(document, *result, session).await,
        };
        let judged = judged.and_then(|(judged, session)| Ok((unmarked(judged)?, session)));
        self.forsake_lane().await;
        match judged {
            Ok((judged, session)) => self.give_out(&judged, status, session).await,
            Err(refusal) => self.withhold(refusal).await,
        }
    }

    /// A server that was started for an `initialize` which opened no session would run for nobody.
    async fn forsake_lane(&self) {
        let context = &self.context;
        if let (Upstream::Linked(server), Some(minted)) =
            (&context.gateway.upstream, &context.minted)
            && self.method.name == "initialize"
            && !context.gateway.sessions.has(minted)
        {
            server.close(&context.lane()).await;
        }
    }

    /// Rewrites what must be and remembers what follows from the result.
    async fn judge(
        &mut self,
        document: &Document,
        result: Node<'_>,
        session: Option<String>,
    ) -> Result<(Document, Option<String>), Refusal> {
        let shape = Shape::of(result, self.method, self.revision())
            .map_err(|error| Refusal::Malformed(error.to_string()))?;
        match shape {
            Shape::InputRequired(asked) => {
                self.judge_asked(&asked).await?;
                Ok((document.clone(), None))
            }
            Shape::Task { id } => {
                let owner = self.context.principal().key();
                let tool = self.masked_tool();
                self.context.gateway.tasks.begin(&id, Task { owner, tool });
                Ok((document.clone(), None))
            }
            Shape::Complete => self.judge_complete(document, result, session),
        }
    }

    /// Requests of the server inside a result (2026-07-28): each needs a rule, as if it came alone.
    async fn judge_asked(&mut self, asked: &InputRequired<'_>) -> Result<(), Refusal> {
        for request in &asked.requests {
            let name = request.method.name;
            if !self.context.server_may_ask(name) {
                return Err(Refusal::AskedTooMuch(name));
            }
        }
        // The client's next leg belongs to the same use of the grant; nothing else may continue it (law 21).
        if let (Some(grant), Some(state)) = (self.grant.take(), &asked.state)
            && let Err(error) = grant.expect(Digest::of(state.as_bytes())).await
        {
            return Err(Refusal::Session(error.to_string()));
        }
        Ok(())
    }

    fn judge_complete(
        &mut self,
        document: &Document,
        result: Node<'_>,
        session: Option<String>,
    ) -> Result<(Document, Option<String>), Refusal> {
        let bytes = match self.method.judged {
            Judged::List(surface) => Some(self.filtered(result, surface)?),
            Judged::Open if self.method.name == "initialize" => {
                let agreed = agreement::initialized(result, self.context.features())
                    .map_err(|error| Refusal::Malformed(error.to_string()))?;
                let opened = self.open_session(&agreed, session)?;
                return Ok((reparsed(agreed.bytes)?, opened));
            }
            Judged::Open if self.method.name == "server/discover" => {
                let caching = self.context.caching();
                let agreed = agreement::discovered(result, self.context.features(), caching)
                    .map_err(|error| Refusal::Malformed(error.to_string()))?;
                Some(agreed.bytes)
            }
            Judged::Resource if self.method.name == "resources/read" => {
                list::cap_caching(result, self.context.caching())
            }
            Judged::Open
            | Judged::Tool
            | Judged::Prompt
            | Judged::Resource
            | Judged::Completion
            | Judged::Listen
            | Judged::Task
            | Judged::Rule
            | Judged::As(_)
            | Judged::Relayed => None,
        };
        match bytes {
            Some(bytes) => Ok((reparsed(bytes)?, None)),
            None => Ok((document.clone(), None)),
        }
    }

    /// The entries that this caller may know of (law 28); tool definitions are looked at before they are filtered.
    fn filtered(&self, result: Node<'_>, surface: Surface) -> Result<Bytes, Refusal> {
        let context = &self.context;
        if surface == Surface::Tools {
            context.gateway.catalog.observe(context, result);
        }
        let owner = context.principal().key();
        let policy = &context.policy;
        let rewritten = context.with_facts(None, |facts| {
            list::filter(result, surface, context.caching(), |item| {
                let name = item.name.as_ref();
                let visible = |listed| policy.bundle.visible(&listed, facts);
                match surface {
                    Surface::Tools => {
                        let entry = context.gateway.catalog.known(context.revision, name);
                        entry.is_some_and(|entry| !entry.is_quarantined(policy.pins))
                            && visible(Listed::Tool { name })
                    }
                    Surface::Prompts => visible(Listed::Prompt { name }),
                    Surface::Resources => visible(Listed::Resource { uri: name }),
                    Surface::ResourceTemplates => visible(Listed::Template { uri_template: name }),
                    Surface::Tasks => context.gateway.tasks.owned_by(name, &owner),
                }
            })
        });
        Ok(rewritten
            .map_err(|error| Refusal::Malformed(error.to_string()))?
            .bytes)
    }

    /// A session exists from here on, and belongs to this principal (law 11).
    fn open_session(
        &self,
        agreed: &Agreed,
        given: Option<String>,
    ) -> Result<Option<String>, Refusal> {
        let context = &self.context;
        let Some(id) = context.minted.clone().or_else(|| given.clone()) else {
            return Ok(None);
        };
        let behind = if context.gateway.upstream.mints_sessions() {
            Behind::Lane(Lane::Session(id.clone()))
        } else {
            Behind::Header(given)
        };
        let opening = Opening {
            id: id.clone(),
            revision: agreed.revision,
            capabilities: agreed.capabilities,
            behind,
            outlet: context.outlet.clone(),
        };
        let opened = context
            .gateway
            .sessions
            .open(opening, &context.verified, context.now());
        opened.map_err(|error| Refusal::Session(error.to_string()))?;
        Ok(Some(id))
    }

    async fn give_out(
        mut self,
        document: &Document,
        status: u16,
        session: Option<String>,
    ) -> Landed {
        let root = document.root();
        let (masked, is_error) = self.masked(document, root);
        let (bytes, report) = match masked {
            Masked::Clean => (document.bytes().clone(), MaskReport::default()),
            Masked::Changed { bytes, report } => (bytes, report),
            Masked::Withheld { report, why } => {
                self.count(&report);
                return self.withheld("masking", &why.to_string(), report).await;
            }
        };
        self.count(&report);
        let bytes = self.context.gateway.memory.keep(bytes);
        let payload = self.payload(&bytes);
        let answered = |call| {
            Event::Answered(Answered {
                call,
                status: Some(status),
                is_error,
                bytes: u64::try_from(document.bytes().len()).unwrap_or(u64::MAX),
                masks: report.counts,
            })
        };
        self.trail.note(answered, payload);
        if let Err(error) = self.trail.settle().await {
            tracing::error!(%error, "an answer is withheld because it cannot be recorded");
            return self.unrecordable().await;
        }
        let (outcome, used) = if is_error {
            (Outcome::Failed, approval::Outcome::Failed)
        } else {
            (Outcome::Succeeded, approval::Outcome::Succeeded)
        };
        self.finish_grant(used).await;
        self.trail.end(outcome, None, Some(status)).await;
        Landed {
            status,
            body: bytes,
            session,
        }
    }

    fn masked(&self, document: &Document, root: Node<'_>) -> (Masked, bool) {
        let tool = self.masked_tool();
        let tool = tool.as_deref();
        let method = self.method.name;
        let (scope, is_error) = match root.get("result") {
            Some(result) => {
                let output_schema = self.tool.as_ref().and_then(|entry| entry.output_schema());
                (
                    Scope::ResultOf {
                        method,
                        tool,
                        output_schema,
                    },
                    is_tool_error(result),
                )
            }
            None => (Scope::ErrorOf { method, tool }, true),
        };
        (self.context.policy.masker.mask(document, &scope), is_error)
    }

    fn count(&mut self, report: &MaskReport) {
        self.trail.line.masked = self.trail.line.masked.saturating_add(report.total());
        self.context.gateway.metrics.masked(report.total());
    }

    fn payload(&self, bytes: &Bytes) -> Vec<(PayloadKind, Bytes)> {
        match self.context.policy.recording.capture {
            Capture::Masked => vec![(PayloadKind::Response, bytes.clone())],
            Capture::Metadata => Vec::new(),
        }
    }

    async fn withhold(self, refusal: Refusal) -> Landed {
        match refusal {
            Refusal::AskedTooMuch(method) => self.asked_too_much(method).await,
            Refusal::Malformed(why) => {
                tracing::warn!(
                    why,
                    method = self.method.name,
                    "the server's answer cannot be passed on"
                );
                self.withheld(
                    "malformed_answer",
                    "the server's answer is malformed",
                    MaskReport::default(),
                )
                .await
            }
            Refusal::Session(why) => {
                tracing::error!(why, "an answer is withheld");
                self.withheld(
                    "session",
                    "the session cannot be kept",
                    MaskReport::default(),
                )
                .await
            }
        }
    }

    async fn asked_too_much(mut self, method: &'static str) -> Landed {
        let reply = answer::reply(&self.asked(), &answer::Answer::AskedTooMuch { method });
        self.finish_grant(approval::Outcome::Failed).await;
        self.trail
            .end(
                Outcome::Withheld,
                Some("server_request_denied"),
                Some(reply.http_status),
            )
            .await;
        landed(reply)
    }

    /// The client hears that the call ran and that its answer is not given out (laws 13, 27, 31).
    /// Ends a call that may not go on, because what is said in it cannot be recorded (law 31).
    pub(super) async fn unrecordable(self) -> Landed {
        let why = "the answer cannot be recorded";
        self.withheld("recording_unavailable", why, MaskReport::default())
            .await
    }

    async fn withheld(mut self, code: &'static str, why: &str, report: MaskReport) -> Landed {
        let told = answer::Answer::Withheld {
            reason: code,
            why,
            ran: true,
        };
        let reply = answer::reply(&self.asked(), &told);
        let answered = |call| {
            Event::Answered(Answered {
                call,
                status: None,
                is_error: true,
                bytes: 0,
                masks: report.counts,
            })
        };
        self.trail.note(answered, Vec::new());
        self.finish_grant(approval::Outcome::Unknown).await;
        self.trail
            .end(Outcome::Withheld, Some(code), Some(reply.http_status))
            .await;
        landed(reply)
    }

    /// Ends a call that has no answer.
    pub(super) async fn lost(mut self, error: &UpstreamError) -> Reply {
        if !matches!(error, UpstreamError::Revoked) {
            tracing::warn!(%error, method = self.method.name, "a call has no answer");
        }
        self.forsake_lane().await;
        let reply = self.lost_reply(error);
        let outcome = if matches!(error, UpstreamError::Revoked) {
            self.cancel_upstream().await;
            Outcome::Revoked
        } else {
            Outcome::UpstreamFailed
        };
        let used = if error.may_have_run() {
            approval::Outcome::Unknown
        } else {
            approval::Outcome::Failed
        };
        self.finish_grant(used).await;
        self.trail
            .end(outcome, Some(code_of(error)), Some(reply.http_status))
            .await;
        reply
    }

    fn lost_reply(&self, error: &UpstreamError) -> Reply {
        let upstream = |why| answer::reply(&self.asked(), &answer::Answer::Upstream { why });
        match error {
            UpstreamError::Unreachable(_) => upstream(Trouble::Unreachable),
            UpstreamError::TimedOut => upstream(Trouble::TimedOut),
            UpstreamError::TooLarge { .. } => upstream(Trouble::TooLarge),
            UpstreamError::BrokeOff(_)
            | UpstreamError::ContentType(_)
            | UpstreamError::Encoded(_) => upstream(Trouble::Malformed),
            UpstreamError::SessionGone => {
                if let Some(session) = &self.context.session {
                    self.context.gateway.sessions.close(&session.id);
                }
                refusal(&Malformed::Session)
            }
            UpstreamError::TooManyChildren(_) => answer::reply(
                &self.asked(),
                &answer::Answer::Unavailable {
                    reason: "too_many_children",
                },
            ),
            UpstreamError::Revoked => {
                let request = self
                    .grant
                    .as_ref()
                    .map(|grant| grant.request().to_string())
                    .unwrap_or_default();
                let told = answer::Answer::Unapproved {
                    request: &request,
                    why: Unapproved::Revoked,
                    reason: None,
                };
                answer::reply(&self.asked(), &told)
            }
        }
    }

    /// Asks the server to stop; newest revision: the closed stream says it.
    async fn cancel_upstream(&self) {
        if self.revision().is_modern() {
            return;
        }
        let id = self.id.to_json();
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"the grant was revoked"}}}}"#
        );
        refuse_server(&self.context, Bytes::from(body)).await;
    }
}

fn landed(reply: Reply) -> Landed {
    Landed {
        status: reply.http_status,
        body: reply.body,
        session: None,
    }
}

/// What the server says under our own names is taken out: the client would take it for our word.
fn unmarked(document: Document) -> Result<Document, Refusal> {
    match rewrite::without_our_marks(document.root()) {
        Some(bytes) => reparsed(bytes),
        None => Ok(document),
    }
}

fn reparsed(bytes: Bytes) -> Result<Document, Refusal> {
    Document::parse(bytes, Limits::RESPONSE).map_err(|error| Refusal::Malformed(error.to_string()))
}

fn code_of(error: &UpstreamError) -> &'static str {
    match error {
        UpstreamError::Unreachable(_) => "upstream_unreachable",
        UpstreamError::TimedOut => "upstream_timeout",
        UpstreamError::TooLarge { .. } => "response_too_large",
        UpstreamError::BrokeOff(_) => "upstream_malformed",
        UpstreamError::ContentType(_) => "upstream_content_type",
        UpstreamError::Encoded(_) => "upstream_encoding",
        UpstreamError::Revoked => "grant_revoked",
        UpstreamError::SessionGone => "session_gone",
        UpstreamError::TooManyChildren(_) => "too_many_children",
    }
}
