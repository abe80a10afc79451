//! A [`Call`]: one request or notification, with everything that a decision, a hold or a record asks of it.
//!
//! Made once from a judged message; it borrows the document, so what is decided is what is sent.

use std::borrow::Cow;

use super::era::{META_CAPABILITIES, META_LOG_LEVEL};
use super::message::{Id, Message};
use super::method::{Direction, Judged, Method, Surface};
use super::revision::Revision;
use super::uri;
use crate::decide::Operation;
use crate::json::{Kind, Node};

/// A request or notification whose method is known, legal in its direction and revision, and well-formed.
#[derive(Clone, Debug)]
pub struct Call<'d> {
    pub revision: Revision,
    pub direction: Direction,
    pub method: &'static Method,
    /// None for a notification.
    pub id: Option<Id>,
    /// The whole message.
    pub message: Node<'d>,
    pub params: Option<Node<'d>>,
    pub meta: Option<Node<'d>>,
    pub target: Target<'d>,
    pub progress_token: Option<Id>,
    /// 2026-07-28: echoed by the client, from us or from the server.
    pub request_state: Option<Cow<'d, str>>,
    /// 2026-07-28: answers to `inputRequests`, an object.
    pub input_responses: Option<Node<'d>>,
    /// 2026-07-28: of this request; legacy: of `initialize` alone.
    pub client_capabilities: Option<Node<'d>>,
    /// 2026-07-28: whether the client wants `notifications/message`.
    pub wants_logs: bool,
    /// 2025-11-25: the client asked for a task (`params.task`).
    pub task: Option<Node<'d>>,
}

/// What the decision is about.
#[derive(Clone, Debug)]
pub enum Target<'d> {
    /// Open to every authenticated principal.
    Open,
    /// Open; the result is filtered.
    List(Surface),
    /// `arguments` is an object, or none where absent or null.
    Tool {
        name: Cow<'d, str>,
        arguments: Option<Node<'d>>,
    },
    Prompt {
        name: Cow<'d, str>,
        arguments: Option<Node<'d>>,
    },
    /// Read, subscribe, unsubscribe, updated, or the completion of a template.
    Resource {
        uri: Cow<'d, str>,
    },
    Listen(Listen<'d>),
    Task {
        id: Cow<'d, str>,
    },
    /// A rule must name this method (its own, or the one it goes with).
    Method {
        method: &'static str,
    },
    /// Follows from what was allowed: passed, masked.
    Relayed,
}

/// The extension of the newest revision that defines tasks.
pub const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";
const TASKS_CAPABILITY: &[&str] = &["extensions", TASKS_EXTENSION];

/// The filter of `subscriptions/listen`; each entry is judged alone and taken out before forwarding.
#[derive(Clone, Debug)]
pub struct Listen<'d> {
    pub uris: Vec<Cow<'d, str>>,
    pub task_ids: Vec<Cow<'d, str>>,
}

/// Why a message is no call; the sender's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Not in the table, or not in this direction and revision.
    #[error("Method not found")]
    MethodNotFound { method: String },
    #[error("Invalid params: `{field}` must be {expected}")]
    InvalidParams {
        field: &'static str,
        expected: &'static str,
    },
    /// The request did not declare what its method needs of the client.
    #[error("Missing required client capability")]
    MissingCapability {
        /// The path of it in the client's capabilities.
        path: &'static [&'static str],
    },
    /// A response is no call; see [`super::result`].
    #[error("Invalid Request: a response is no call")]
    Response,
}

impl<'d> Call<'d> {
    pub fn of(
        message: &Message<'d>,
        direction: Direction,
        revision: Revision,
    ) -> Result<Self, CallError> {
        let name = message.method().ok_or(CallError::Response)?;
        let method = Method::named(name)
            .filter(|line| line.allowed_on_wire(direction, revision))
            .ok_or_else(|| CallError::MethodNotFound {
                method: name.to_owned(),
            })?;
        let params = Params(message.params());
        let meta = message.meta();
        let modern = revision.is_modern();
        let asks_back = modern && method.may_ask_back();
        let call = Self {
            revision,
            direction,
            method,
            id: message.id().cloned(),
            message: message.node(),
            params: message.params(),
            meta,
            target: target(method, params)?,
            progress_token: progress_token(method, params, meta)?,
            request_state: params.text_if("requestState", asks_back)?,
            input_responses: params.object_if("inputResponses", modern)?,
            client_capabilities: capabilities(method, params, meta, modern)?,
            wants_logs: modern && meta.is_some_and(|meta| meta.get(META_LOG_LEVEL).is_some()),
            task: params.object_if("task", revision == Revision::V2025_11_25)?,
        };
        match call.missing_capability() {
            Some(path) => Err(CallError::MissingCapability { path }),
            None => Ok(call),
        }
    }

    /// A request about a task is only for clients that know tasks, which each request of the newest revision says.
    fn missing_capability(&self) -> Option<&'static [&'static str]> {
        let asks = self.revision.is_modern() && self.id.is_some();
        let needed = asks && self.method.judged == Judged::Task && !self.declares(TASKS_CAPABILITY);
        needed.then_some(TASKS_CAPABILITY)
    }

    /// What the evaluator is asked about it.
    #[must_use]
    pub fn operation(&self) -> Operation<'_> {
        match &self.target {
            Target::Tool { name, arguments } => Operation::Tool {
                name,
                arguments: *arguments,
            },
            Target::Prompt { name, arguments } => Operation::Prompt {
                name,
                arguments: *arguments,
            },
            Target::Resource { uri } => Operation::Resource { uri },
            Target::Method { method } => Operation::Method { method },
            // Lists and listen filters are judged entry by entry, a task by whose it is.
            Target::Open
            | Target::List(_)
            | Target::Listen(_)
            | Target::Task { .. }
            | Target::Relayed => Operation::Open {
                method: self.method.name,
            },
        }
    }

    /// The tool's name, of a tool call.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        match &self.target {
            Target::Tool { name, .. } => Some(name),
            Target::Open
            | Target::List(_)
            | Target::Prompt { .. }
            | Target::Resource { .. }
            | Target::Listen(_)
            | Target::Task { .. }
            | Target::Method { .. }
            | Target::Relayed => None,
        }
    }

    /// What the call names: a tool, prompt, URI or task; else its method.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.target {
            Target::Tool { name, .. } | Target::Prompt { name, .. } => name,
            Target::Resource { uri } => uri,
            Target::Task { id } => id,
            Target::Open
            | Target::List(_)
            | Target::Listen(_)
            | Target::Method { .. }
            | Target::Relayed => self.method.name,
        }
    }

    /// The client declared this capability, by path (`["elicitation", "url"]`).
    #[must_use]
    pub fn declares(&self, path: &[&str]) -> bool {
        self.client_capabilities
            .is_some_and(|capabilities| declares(capabilities, path))
    }

    /// `params.requestId` of `notifications/cancelled`.
    #[must_use]
    pub fn cancelled(&self) -> Option<Id> {
        if self.method.name != "notifications/cancelled" {
            return None;
        }
        Id::of(self.params?.get("requestId")?)
    }
}

/// Whether client capabilities hold this path.
#[must_use]
pub fn declares(capabilities: Node<'_>, path: &[&str]) -> bool {
    let reach = |path: &[&str]| {
        path.iter()
            .try_fold(capabilities, |node, step| node.get(step))
    };
    if path == ["elicitation", "form"] && reach(&["elicitation", "url"]).is_none() {
        // Before there were modes, and as shorthand since, the bare object means forms.
        return reach(&["elicitation"]).is_some_and(|found| found.kind() == Kind::Object);
    }
    reach(path).is_some_and(|found| !found.is_null())
}

/// Typed access to params; a member of the wrong kind is the sender's fault, not an absent one.
#[derive(Clone, Copy)]
struct Params<'d>(Option<Node<'d>>);

impl<'d> Params<'d> {
    fn member(self, field: &str) -> Option<Node<'d>> {
        self.0?.get(field)
    }

    fn text(self, field: &'static str) -> Result<Cow<'d, str>, CallError> {
        self.member(field)
            .and_then(Node::as_str)
            .ok_or(invalid(field, "a string"))
    }

    /// A URI that means the same to policy and server.
    fn uri(self) -> Result<Cow<'d, str>, CallError> {
        let uri = self.text("uri")?;
        match uri::ambiguity(&uri) {
            Some(expected) => Err(invalid("uri", expected)),
            None => Ok(uri),
        }
    }

    fn text_if(self, field: &'static str, wanted: bool) -> Result<Option<Cow<'d, str>>, CallError> {
        if !wanted || self.member(field).is_none() {
            return Ok(None);
        }
        self.text(field).map(Some)
    }

    fn object(self, field: &'static str) -> Result<Option<Node<'d>>, CallError> {
        match self.member(field) {
            Some(found) if found.kind() == Kind::Object => Ok(Some(found)),
            Some(_) => Err(invalid(field, "an object")),
            None => Ok(None),
        }
    }

    fn object_if(self, field: &'static str, wanted: bool) -> Result<Option<Node<'d>>, CallError> {
        if wanted { self.object(field) } else { Ok(None) }
    }

    /// Null is what some clients send for none; servers take it so or refuse it.
    fn arguments(self) -> Result<Option<Node<'d>>, CallError> {
        match self.member("arguments") {
            Some(found) if found.is_null() => Ok(None),
            Some(_) | None => self.object("arguments"),
        }
    }

    fn texts(self, field: &'static str) -> Result<Vec<Cow<'d, str>>, CallError> {
        let wrong = || invalid(field, "an array of strings");
        match self.member(field) {
            Some(found) if found.kind() == Kind::Array => found
                .elements()
                .map(|element| element.as_str().ok_or_else(wrong))
                .collect(),
            Some(_) => Err(wrong()),
            None => Ok(Vec::new()),
        }
    }
}

const fn invalid(field: &'static str, expected: &'static str) -> CallError {
    CallError::InvalidParams { field, expected }
}

fn target<'d>(method: &'static Method, params: Params<'d>) -> Result<Target<'d>, CallError> {
    Ok(match method.judged {
        Judged::Open => Target::Open,
        Judged::List(surface) => Target::List(surface),
        Judged::Tool => Target::Tool {
            name: params.text("name")?,
            arguments: params.arguments()?,
        },
        Judged::Prompt => Target::Prompt {
            name: params.text("name")?,
            arguments: params.arguments()?,
        },
        Judged::Resource => Target::Resource { uri: params.uri()? },
        Judged::Completion => completion(params)?,
        Judged::Listen => listen(params)?,
        Judged::Task => Target::Task {
            id: params.text("taskId")?,
        },
        Judged::Rule => Target::Method {
            method: method.name,
        },
        Judged::As(method) => Target::Method { method },
        Judged::Relayed => Target::Relayed,
    })
}

/// A completion tells values of a prompt's or template's arguments, so it is judged as what it refers to. The
/// arguments are still being typed: a rule over them sees none.
fn completion(params: Params<'_>) -> Result<Target<'_>, CallError> {
    let reference = Params(params.object("ref")?);
    match reference.text("type")?.as_ref() {
        "ref/prompt" => Ok(Target::Prompt {
            name: reference.text("name")?,
            arguments: None,
        }),
        "ref/resource" => Ok(Target::Resource {
            uri: reference.uri()?,
        }),
        _ => Err(invalid("ref", "a `ref/prompt` or `ref/resource`")),
    }
}

fn listen(params: Params<'_>) -> Result<Target<'_>, CallError> {
    let filter = params
        .object("notifications")?
        .ok_or(invalid("notifications", "an object"))?;
    let filter = Params(Some(filter));
    Ok(Target::Listen(Listen {
        uris: filter.texts("resourceSubscriptions")?,
        task_ids: filter.texts("taskIds")?,
    }))
}

fn progress_token<'d>(
    method: &Method,
    params: Params<'d>,
    meta: Option<Node<'d>>,
) -> Result<Option<Id>, CallError> {
    let reports = method.name == "notifications/progress";
    let token = if reports {
        params.member("progressToken")
    } else {
        meta.and_then(|meta| meta.get("progressToken"))
    };
    let wrong = || invalid("progressToken", "a string or an integer");
    match token {
        Some(token) => Id::of(token).ok_or_else(wrong).map(Some),
        None if reports => Err(wrong()),
        None => Ok(None),
    }
}

fn capabilities<'d>(
    method: &Method,
    params: Params<'d>,
    meta: Option<Node<'d>>,
    modern: bool,
) -> Result<Option<Node<'d>>, CallError> {
    if modern {
        return Ok(meta.and_then(|meta| meta.get(META_CAPABILITIES)));
    }
    params.object_if("capabilities", method.name == "initialize")
}
