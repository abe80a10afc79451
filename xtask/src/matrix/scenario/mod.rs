//! What every client does, and what must come of it: one table for each family of servers.

mod everything;
mod small;

use std::path::Path;

use serde_json::{Value, json};

use super::rows::{Client, Row};
use super::servers::Server;

/// One step of the scenario.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) label: &'static str,
    verb: &'static str,
    fields: Value,
    pub(crate) expect: Expect,
}

/// What must come of a step.
#[derive(Debug)]
pub(crate) enum Expect {
    /// What it is without the guard, to the last field and the last progress report.
    Same,
    /// The same, and the server heard that the call is not wanted any more.
    Cancelled,
    /// The server's list without the entries that policy hides, and each entry as it was.
    Listed {
        member: &'static str,
        key: &'static str,
        hidden: Hidden,
    },
    /// A tool's failure that says so, and is marked as ours.
    Refused { says: &'static str },
    /// What a server says of a tool that is not there.
    UnknownTool,
    /// An error, as for what does not exist.
    Absent,
    /// The server's answer without the secrets in it, and marked as masked.
    Masked,
    /// The server may not ask this in the revision that was agreed: its tool fails, and the client hears no question.
    NotInRevision,
    /// Held until somebody approved, then as without the guard.
    Approved,
    /// Held until its end, which was this one.
    Ended { status: &'static str },
}

/// Which entries of a list policy hides.
#[derive(Debug)]
pub(crate) enum Hidden {
    /// All but these.
    AllBut(&'static [&'static str]),
    /// Those, and nothing else.
    These(&'static [&'static str]),
}

impl Step {
    /// The step as drivers read it.
    pub(crate) fn to_json(&self) -> Value {
        let mut fields = self.fields.clone();
        if let Some(members) = fields.as_object_mut() {
            members.insert("as".into(), json!(self.label));
            members.insert("do".into(), json!(self.verb));
        }
        fields
    }

    /// Whether this is the step's message, and policy keeps it from the server.
    pub(crate) fn keeps_back(&self, message: &Value) -> bool {
        match self.expect {
            Expect::Same
            | Expect::Cancelled
            | Expect::Listed { .. }
            | Expect::Masked
            | Expect::Approved => false,
            // The call arrives, but the question in it has no answer.
            Expect::NotInRevision => message.pointer("/answer/action").is_some(),
            Expect::Refused { .. }
            | Expect::UnknownTool
            | Expect::Absent
            | Expect::Ended { .. } => self.is_told_by(message),
        }
    }

    /// Whether a message is what the client says in this step.
    pub(crate) fn is_told_by(&self, message: &Value) -> bool {
        let method = match self.verb {
            "call" | "cancel" | "change" => "tools/call",
            "read" => "resources/read",
            "prompt" => "prompts/get",
            _ => return false,
        };
        let same = |member: &str| {
            let wanted = self.fields.get(member);
            wanted.is_none_or(|value| message.pointer(&format!("/params/{member}")) == Some(value))
        };
        message.get("method") == Some(&json!(method))
            && ["name", "uri", "arguments"]
                .iter()
                .all(|member| same(member))
    }
}

/// The steps of a row, without those that its two sides cannot take.
pub(crate) fn steps(row: &Row, repository: &Path) -> Vec<Step> {
    let mut steps = match row.server {
        Server::Time => small::time(),
        Server::Git => small::git(repository),
        Server::EverythingHttp
        | Server::EverythingSse
        | Server::EverythingStdio
        | Server::Rmcp
        | Server::Handler
        | Server::Python => everything::steps(row),
    };
    steps.retain(|step| unfit(row, step.label).is_none());
    steps
}

/// A step as a page tells of it.
#[derive(Debug)]
pub(crate) struct Label {
    pub(crate) name: &'static str,
    pub(crate) shows: &'static str,
    /// What must come of it through the guard.
    pub(crate) must: &'static str,
}

const fn label(name: &'static str, shows: &'static str, must: &'static str) -> Label {
    Label { name, shows, must }
}

const EQUAL: &str = "as without the guard";
const FILTERED: &str = "what policy shows, each entry as the server describes it";
const UNKNOWN: &str = "what the server says of what does not exist; the server hears nothing";

/// Every step, in the order of the page.
pub(crate) const LABELS: &[Label] = &[
    label("tools", "the list of tools", FILTERED),
    label("resources", "the list of resources", FILTERED),
    label("templates", "the list of resource templates", FILTERED),
    label("prompts", "the list of prompts", FILTERED),
    label("call", "a call and its answer", EQUAL),
    label("tool-error", "a call that fails in the server", EQUAL),
    label(
        "structured",
        "structured content with an output schema",
        EQUAL,
    ),
    label("image", "content that is no text", EQUAL),
    label("progress", "a call that reports progress", EQUAL),
    label("resource", "a resource is read", EQUAL),
    label("prompt", "a prompt is got", EQUAL),
    label("completion", "an argument is completed", EQUAL),
    label(
        "elicitation",
        "the server asks the user in the middle of a call",
        EQUAL,
    ),
    label(
        "sampling",
        "the server asks the client's model in the middle of a call",
        EQUAL,
    ),
    label(
        "cancellation",
        "a call is taken back at its first progress report",
        "as without the guard; the server hears so",
    ),
    label(
        "list-changed",
        "the server says that a list has changed",
        EQUAL,
    ),
    label(
        "denied",
        "arguments that a rule denies",
        "a refusal with the rule's message; the server hears nothing",
    ),
    label("hidden-tool", "a tool that policy hides", UNKNOWN),
    label("no-such-tool", "a tool that does not exist", UNKNOWN),
    label("hidden-resource", "a resource that policy hides", UNKNOWN),
    label("hidden-prompt", "a prompt that policy hides", UNKNOWN),
    label(
        "masked",
        "an answer with secrets in it",
        "the answer without the secrets, and marked",
    ),
    label(
        "approved",
        "a call that is held and approved",
        "as without the guard",
    ),
    label(
        "rejected",
        "a call that is held and denied",
        "a refusal that says so; the server hears nothing",
    ),
    label(
        "expired",
        "a call that is held, and nobody decides in time",
        "a refusal that says so; the server hears nothing",
    ),
];

/// Why a client or a server cannot take a step, with or without a guard.
pub(crate) fn unfit(row: &Row, label: &str) -> Option<&'static str> {
    let asks = matches!(label, "elicitation" | "sampling");
    if row.seat.client == Client::Inspector {
        return match label {
            "elicitation" | "sampling" | "completion" | "progress" | "cancellation"
            | "list-changed" => Some(INSPECTOR_CANNOT),
            "templates" | "structured" | "image" | "no-such-tool" | "hidden-prompt" => {
                Some(INSPECTOR_LEFT_OUT)
            }
            _ => None,
        };
    }
    (asks && row.server == Server::Handler && !row.is_modern()).then_some(HANDLER_CANNOT)
}

pub(crate) const INSPECTOR_CANNOT: &str =
    "the Inspector's CLI makes one request a run, answers no questions and cancels nothing";
pub(crate) const INSPECTOR_LEFT_OUT: &str = "left out with the Inspector's CLI, of which each step is a process and a connection of its own";
pub(crate) const HANDLER_CANNOT: &str = "`createMcpHandler` serves older revisions without sessions, so that no answer could come back to it";

fn step(label: &'static str, verb: &'static str, fields: Value, expect: Expect) -> Step {
    Step {
        label,
        verb,
        fields,
        expect,
    }
}

fn call(label: &'static str, tool: &str, arguments: &Value, expect: Expect) -> Step {
    let fields = json!({ "name": tool, "arguments": arguments });
    step(label, "call", fields, expect)
}

fn list(label: &'static str, verb: &'static str, key: &'static str, hidden: Hidden) -> Step {
    let member = if label == "templates" {
        "resourceTemplates"
    } else {
        label
    };
    let expect = Expect::Listed {
        member,
        key,
        hidden,
    };
    step(label, verb, json!({}), expect)
}

/// Calls of one tool that three rules hold, each by another argument.
fn held(tool: &str, arguments: impl Fn(u8) -> Value) -> Vec<Step> {
    let ended = |status| Expect::Ended { status };
    vec![
        call("approved", tool, &arguments(0), Expect::Approved),
        call("rejected", tool, &arguments(1), ended("denied")),
        call("expired", tool, &arguments(2), ended("expired")),
    ]
}

const FORBIDDEN: Expect = Expect::Refused {
    says: "This word is not spoken here.",
};

fn no_such_tool() -> Step {
    call(
        "no-such-tool",
        "no-such-tool",
        &json!({}),
        Expect::UnknownTool,
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{LABELS, steps};
    use crate::matrix::rows;

    #[test]
    fn every_step_of_every_row_has_a_line_in_the_table_of_steps() {
        for row in rows::groups().iter().flatten() {
            for step in steps(row, Path::new("/repository")) {
                assert!(
                    LABELS.iter().any(|label| label.name == step.label),
                    "{} is not told",
                    step.label
                );
            }
        }
    }
}
