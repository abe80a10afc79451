//! What a call asks for and what is known about it: the whole input of a decision.
//!
//! The evaluator sees a call only through these types, so the sidecar, the command line and the tests judge
//! alike. Nothing here owns or copies a body; an [`Operation`] borrows the document that was judged.

use std::fmt;
use std::net::IpAddr;

use crate::json::Node;
use crate::name::Digest;
use crate::principal::Principal;
use crate::time::UnixMillis;

/// What a call asks for.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// `tools/call`.
    Tool {
        name: &'a str,
        arguments: Option<Node<'a>>,
    },
    /// `prompts/get`, and a completion of a prompt's argument.
    Prompt {
        name: &'a str,
        arguments: Option<Node<'a>>,
    },
    /// Reading, subscribing to, or completing a resource.
    Resource { uri: &'a str },
    /// Everything else that needs a rule: `logging/setLevel`, `sampling/createMessage`, `tasks/*`.
    Method { method: &'a str },
    /// Open to every authenticated principal without a rule (law 1).
    Open { method: &'a str },
}

impl<'a> Operation<'a> {
    /// Where paths of conditions start (law 5: tools and prompts only).
    #[must_use]
    pub fn arguments(&self) -> Option<Node<'a>> {
        match self {
            Self::Tool { arguments, .. } | Self::Prompt { arguments, .. } => *arguments,
            Self::Resource { .. } | Self::Method { .. } | Self::Open { .. } => None,
        }
    }
}

/// One entry of a list, judged for all arguments at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed<'a> {
    Tool {
        name: &'a str,
    },
    Prompt {
        name: &'a str,
    },
    Resource {
        uri: &'a str,
    },
    /// A resource template (RFC 6570); visible where some expansion could be read.
    Template {
        uri_template: &'a str,
    },
    /// Whatever else needs a rule: what a server offers beside its lists.
    Method {
        method: &'a str,
    },
}

/// What the sidecar knows about a tool from the server's own list.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToolFacts<'a> {
    /// The `annotations` object of the definition. Hints of an untrusted server.
    pub annotations: Option<Node<'a>>,
    /// Names of the properties that the input schema declares, for law 4.
    pub input_properties: &'a [String],
    /// Digest of the definition in force.
    pub pin: Option<Digest>,
}

/// Everything outside the body that a decision may depend on.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    pub principal: &'a Principal,
    pub now: UnixMillis,
    /// The peer's address, or what a trusted proxy says (law 12).
    pub source: Option<IpAddr>,
    /// The value of a request header by lower-case name.
    pub header: &'a dyn Fn(&str) -> Option<String>,
    /// None where the call is no tool call or the tool is not listed.
    pub tool: Option<ToolFacts<'a>>,
}

/// A header lookup for callers that have none.
#[must_use]
pub fn no_header(_name: &str) -> Option<String> {
    None
}

impl fmt::Debug for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The principal's claims stay out of logs; its key says who it is.
        f.debug_struct("Facts")
            .field("principal", &self.principal.key())
            .field("now", &self.now)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
