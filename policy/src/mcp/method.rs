//! The one table of methods: who may send each, in which revisions, and how it is judged.
//!
//! Classifier, docs and tests are made from it. A method without a line here is unknown, and what is unknown is
//! denied: never add a catch-all.

use super::revision::Revision;
use super::revision::Revision::{V2024_11_05, V2025_06_18, V2025_11_25, V2026_07_28};

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    pub name: &'static str,
    pub kind: Kind,
    /// Revisions in which a client may send it to the server as a message of its own.
    pub to_server: Option<Span>,
    /// Revisions in which a server may send it to the client as a message of its own.
    pub to_client: Option<Span>,
    pub judged: Judged,
}

/// Whether a message of this method has an id and an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Notification,
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    ToServer,
    ToClient,
}

/// Revisions from `since` to `until`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub since: Revision,
    pub until: Revision,
}

/// What a decision on the method is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Open to every authenticated principal (law 1).
    Open,
    /// A list: open, and its result is filtered.
    List(Surface),
    /// A call of the tool that `params.name` names.
    Tool,
    /// The prompt that `params.name` names.
    Prompt,
    /// The resource that `params.uri` names.
    Resource,
    /// The prompt or resource template that `params.ref` names: a completion tells its values.
    Completion,
    /// Open, but each resource and task that the filter names is judged and taken out.
    Listen,
    /// The task that `params.taskId` names: its owner's alone.
    Task,
    /// Needs a rule whose `methods` match its own name.
    Rule,
    /// Needs a rule that allows this other method.
    As(&'static str),
    /// A notification of the server that only tells what lists and answers tell: passed, masked.
    Relayed,
}

/// The lists whose items a caller sees only where a rule could allow them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    Tools,
    Prompts,
    Resources,
    ResourceTemplates,
    /// `tasks/list` of 2025-11-25.
    Tasks,
}

impl Surface {
    /// The member of the result that holds the items.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
            Self::Tasks => "tasks",
        }
    }

    /// The member of an item that policy names it by.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::ResourceTemplates => "uriTemplate",
            Self::Tasks => "taskId",
        }
    }
}

impl Span {
    #[must_use]
    pub fn contains(self, revision: Revision) -> bool {
        self.since <= revision && revision <= self.until
    }
}

impl Method {
    /// Exact, case-sensitive name; none for what the table does not know.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        let found = TABLE.binary_search_by(|line| line.name.cmp(name)).ok()?;
        TABLE.get(found)
    }

    /// Every line, sorted by name.
    #[must_use]
    pub const fn all() -> &'static [Self] {
        TABLE
    }

    /// Whether it may cross the wire as a message of its own.
    #[must_use]
    pub fn allowed_on_wire(&self, direction: Direction, revision: Revision) -> bool {
        let span = match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient => self.to_client,
        };
        span.is_some_and(|span| span.contains(revision))
    }

    /// Whether a server may embed it in `inputRequests` of an `input_required` result (2026-07-28).
    #[must_use]
    pub fn embeddable(&self) -> bool {
        matches!(
            self.name,
            "elicitation/create" | "roots/list" | "sampling/createMessage"
        )
    }

    /// Whether its answer may be an `input_required` result (2026-07-28).
    #[must_use]
    pub fn may_ask_back(&self) -> bool {
        matches!(self.name, "prompts/get" | "resources/read" | "tools/call")
    }
}

const ALL: Option<Span> = span(V2024_11_05, V2026_07_28);
const LEGACY: Option<Span> = span(V2024_11_05, V2025_11_25);
const MODERN: Option<Span> = span(V2026_07_28, V2026_07_28);
/// Tasks as part of the core.
const NOV25: Option<Span> = span(V2025_11_25, V2025_11_25);
/// Tasks of the core, then of the extension.
const TASKS: Option<Span> = span(V2025_11_25, V2026_07_28);
const ELICITATION: Option<Span> = span(V2025_06_18, V2025_11_25);
const NEVER: Option<Span> = None;

const fn span(since: Revision, until: Revision) -> Option<Span> {
    Some(Span { since, until })
}

const fn request(
    name: &'static str,
    to_server: Option<Span>,
    to_client: Option<Span>,
    judged: Judged,
) -> Method {
    Method {
        name,
        kind: Kind::Request,
        to_server,
        to_client,
        judged,
    }
}

const fn notice(
    name: &'static str,
    to_server: Option<Span>,
    to_client: Option<Span>,
    judged: Judged,
) -> Method {
    Method {
        name,
        kind: Kind::Notification,
        to_server,
        to_client,
        judged,
    }
}

/// Sorted by name: looked up by binary search.
#[rustfmt::skip]
const TABLE: &[Method] = &[
    //      name                                       to server  to client    judged
    request("completion/complete",                      ALL,       NEVER,       Judged::Completion),
    request("elicitation/create",                       NEVER,     ELICITATION, Judged::Rule),
    request("initialize",                               LEGACY,    NEVER,       Judged::Open),
    request("logging/setLevel",                         LEGACY,    NEVER,       Judged::Rule),
    notice ("notifications/cancelled",                  ALL,       ALL,         Judged::Open),
    notice ("notifications/elicitation/complete",       NEVER,     NOV25,       Judged::As("elicitation/create")),
    notice ("notifications/initialized",                LEGACY,    NEVER,       Judged::Open),
    notice ("notifications/message",                    NEVER,     ALL,         Judged::Relayed),
    notice ("notifications/progress",                   LEGACY,    ALL,         Judged::Open),
    notice ("notifications/prompts/list_changed",       NEVER,     ALL,         Judged::Relayed),
    notice ("notifications/resources/list_changed",     NEVER,     ALL,         Judged::Relayed),
    notice ("notifications/resources/updated",          NEVER,     ALL,         Judged::Resource),
    notice ("notifications/roots/list_changed",         LEGACY,    NEVER,       Judged::As("roots/list")),
    notice ("notifications/subscriptions/acknowledged", NEVER,     MODERN,      Judged::Relayed),
    notice ("notifications/tasks",                      NEVER,     MODERN,      Judged::Task),
    notice ("notifications/tasks/status",               NOV25,     NOV25,       Judged::Task),
    notice ("notifications/tools/list_changed",         NEVER,     ALL,         Judged::Relayed),
    request("ping",                                     LEGACY,    LEGACY,      Judged::Open),
    request("prompts/get",                              ALL,       NEVER,       Judged::Prompt),
    request("prompts/list",                             ALL,       NEVER,       Judged::List(Surface::Prompts)),
    request("resources/list",                           ALL,       NEVER,       Judged::List(Surface::Resources)),
    request("resources/read",                           ALL,       NEVER,       Judged::Resource),
    request("resources/subscribe",                      LEGACY,    NEVER,       Judged::Resource),
    request("resources/templates/list",                 ALL,       NEVER,       Judged::List(Surface::ResourceTemplates)),
    request("resources/unsubscribe",                    LEGACY,    NEVER,       Judged::Resource),
    request("roots/list",                               NEVER,     LEGACY,      Judged::Rule),
    request("sampling/createMessage",                   NEVER,     LEGACY,      Judged::Rule),
    request("server/discover",                          MODERN,    NEVER,       Judged::Open),
    request("subscriptions/listen",                     MODERN,    NEVER,       Judged::Listen),
    request("tasks/cancel",                             TASKS,     NOV25,       Judged::Task),
    request("tasks/get",                                TASKS,     NOV25,       Judged::Task),
    request("tasks/list",                               NOV25,     NOV25,       Judged::List(Surface::Tasks)),
    request("tasks/result",                             NOV25,     NOV25,       Judged::Task),
    request("tasks/update",                             MODERN,    NEVER,       Judged::Task),
    request("tools/call",                               ALL,       NEVER,       Judged::Tool),
    request("tools/list",                               ALL,       NEVER,       Judged::List(Surface::Tools)),
];
