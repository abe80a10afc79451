//! Where in a message a value stands, and what may happen to it there (law 25).
//!
//! One table: what the protocol itself reads must not change. Everything else, every member that this table has
//! never heard of included, is text to be masked.

/// The meaning of a place in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Result,
    Error,
    Params,
    /// `structuredContent`: the root of field rules.
    Payload,
    Meta,
    Task,
    /// `inputRequests`: requests of the server by key.
    Inputs,
    Input,
    /// An array of entries, each of which may be left out.
    List(Entry),
    Entry(Entry),
    /// The client must send it back as it came.
    Opaque,
    /// A name or address: never masked, its entry is left out.
    Address,
    /// Base64 of something that may be text.
    Blob,
    /// A text of a tool's answer, to which field rules apply.
    Text,
    /// Anything else.
    Free,
}

/// What a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Tool,
    Prompt,
    PromptArgument,
    Resource,
    Template,
    Contents,
    Block,
    Message,
    Task,
    Elicitation,
}

impl Place {
    /// The place of member `key` of an object at this place, in an exchange of `method`.
    pub(super) fn member(self, key: &str, method: &str) -> Self {
        match self {
            Self::Result => result_member(key, method),
            Self::Params => params_member(key, method),
            Self::Error => {
                if key == "data" {
                    Self::Error
                } else {
                    error_member(key)
                }
            }
            Self::Meta => match key {
                "progressToken" | "io.modelcontextprotocol/subscriptionId" => Self::Opaque,
                "io.modelcontextprotocol/related-task" => Self::Task,
                _ => Self::Free,
            },
            Self::Task => {
                if key == "taskId" {
                    Self::Opaque
                } else {
                    Self::Free
                }
            }
            Self::Inputs => Self::Input,
            Self::Input => {
                if key == "params" {
                    Self::Params
                } else {
                    Self::Free
                }
            }
            Self::Entry(entry) | Self::List(entry) => entry.member(key, method),
            Self::Payload | Self::Opaque | Self::Address | Self::Blob | Self::Text | Self::Free => {
                Self::Free
            }
        }
    }

    /// The place of an element of an array at this place.
    pub(super) fn element(self) -> Self {
        match self {
            Self::List(entry) => Self::Entry(entry),
            Self::Opaque | Self::Address => self,
            Self::Result
            | Self::Error
            | Self::Params
            | Self::Payload
            | Self::Meta
            | Self::Task
            | Self::Inputs
            | Self::Input
            | Self::Entry(_)
            | Self::Blob
            | Self::Text
            | Self::Free => Self::Free,
        }
    }
}

fn result_member(key: &str, method: &str) -> Place {
    let task = method.starts_with("tasks/")
        || method == "tools/call"
        || method.starts_with("notifications/tasks");
    match key {
        "_meta" => Place::Meta,
        "nextCursor" if method.ends_with("/list") => Place::Opaque,
        "requestState" if task || matches!(method, "prompts/get" | "resources/read") => {
            Place::Opaque
        }
        "taskId" if task => Place::Opaque,
        "task" if task => Place::Task,
        "result" if task => Place::Result,
        "error" if task => Place::Error,
        "tasks" if method == "tasks/list" => Place::List(Entry::Task),
        "inputRequests" => Place::Inputs,
        "structuredContent" => Place::Payload,
        "content" => Place::List(Entry::Block),
        "messages" => Place::List(Entry::Message),
        "contents" => Place::List(Entry::Contents),
        "tools" => Place::List(Entry::Tool),
        "prompts" => Place::List(Entry::Prompt),
        "resources" => Place::List(Entry::Resource),
        "resourceTemplates" => Place::List(Entry::Template),
        _ => Place::Free,
    }
}

fn params_member(key: &str, method: &str) -> Place {
    match key {
        "_meta" => Place::Meta,
        "progressToken" if method == "notifications/progress" => Place::Opaque,
        "requestId" if method == "notifications/cancelled" => Place::Opaque,
        "elicitationId" if method.contains("elicitation") => Place::Opaque,
        "uri" | "url" => Place::Address,
        "messages" => Place::List(Entry::Message),
        "tools" => Place::List(Entry::Tool),
        _ if method.starts_with("notifications/tasks") => result_member(key, method),
        _ => Place::Free,
    }
}

fn error_member(key: &str) -> Place {
    match key {
        "elicitations" => Place::List(Entry::Elicitation),
        _ => Place::Free,
    }
}

impl Entry {
    fn member(self, key: &str, method: &str) -> Place {
        match (self, key) {
            (_, "_meta") => Place::Meta,
            (Self::Tool | Self::Prompt | Self::PromptArgument, "name") => Place::Address,
            (Self::Resource | Self::Contents | Self::Block, "uri")
            | (Self::Template, "uriTemplate") => Place::Address,
            (Self::Elicitation, "url") => Place::Address,
            (Self::Elicitation, "elicitationId") | (Self::Task, "taskId") => Place::Opaque,
            (Self::Prompt, "arguments") => Place::List(Self::PromptArgument),
            (Self::Contents, "blob") | (Self::Block, "data") => Place::Blob,
            (Self::Contents | Self::Block, "text") => Place::Text,
            (Self::Block, "resource") => Place::Entry(Self::Contents),
            (Self::Block, "id" | "toolUseId") if method == "sampling/createMessage" => {
                Place::Opaque
            }
            (Self::Block | Self::Message, "content") => Place::List(Self::Block),
            _ => Place::Free,
        }
    }
}
