//! What every client does, and what must come of it: one table.

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
    /// Held until somebody denied.
    Rejected,
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
}

/// The steps of a row: both servers with tools of the same names get the same ones.
pub(crate) fn steps(row: &Row) -> Vec<Step> {
    if row.server == Server::Time {
        return time();
    }
    let mut steps = lists();
    steps.extend(passed_on(row));
    steps.extend(policed());
    steps
}

fn step(label: &'static str, verb: &'static str, fields: Value, expect: Expect) -> Step {
    Step {
        label,
        verb,
        fields,
        expect,
    }
}

fn call(label: &'static str, tool: &str, arguments: &Value, expect: Expect) -> Step {
    step(
        label,
        "call",
        json!({ "name": tool, "arguments": arguments }),
        expect,
    )
}

/// Tools that both servers have and no rule allows, and the reference server's other ones.
const HIDDEN_TOOLS: &[&str] = &[
    "toggle-simulated-logging",
    "toggle-subscriber-updates",
    "get-annotated-message",
    "get-resource-links",
    "get-resource-reference",
    "gzip-file-as-resource",
    "simulate-research-query",
    // Offered only to clients with roots, and no rule lets the server ask for those (law 1).
    "get-roots-list",
];

fn lists() -> Vec<Step> {
    let listed = |member, key, hidden| Expect::Listed {
        member,
        key,
        hidden,
    };
    vec![
        step(
            "tools",
            "listTools",
            json!({}),
            listed("tools", "name", Hidden::These(HIDDEN_TOOLS)),
        ),
        step(
            "resources",
            "listResources",
            json!({}),
            listed(
                "resources",
                "uri",
                Hidden::AllBut(&["demo://resource/static/document/architecture.md"]),
            ),
        ),
        step(
            "prompts",
            "listPrompts",
            json!({}),
            listed(
                "prompts",
                "name",
                Hidden::AllBut(&["simple-prompt", "completable-prompt"]),
            ),
        ),
        step(
            "templates",
            "listTemplates",
            json!({}),
            listed(
                "resourceTemplates",
                "uriTemplate",
                Hidden::AllBut(&["demo://resource/dynamic/text/{resourceId}"]),
            ),
        ),
    ]
}

fn passed_on(row: &Row) -> Vec<Step> {
    let long = json!({
        "name": "trigger-long-running-operation",
        "arguments": { "duration": 0.6, "steps": 3 },
        "progress": true,
    });
    let argument = json!({
        "ref": { "type": "ref/prompt", "name": "completable-prompt" },
        "argument": { "name": "department", "value": "E" },
    });
    let elicitation = if row.knows_elicitation() {
        Expect::Same
    } else {
        Expect::NotInRevision
    };
    vec![
        call(
            "call",
            "echo",
            &json!({ "message": "hello, \u{1F980} \"quoted\"" }),
            Expect::Same,
        ),
        call("tool-error", "echo", &json!({}), Expect::Same),
        call(
            "structured",
            "get-structured-content",
            &json!({ "location": "Chicago" }),
            Expect::Same,
        ),
        step("progress", "call", long, Expect::Same),
        step(
            "resource",
            "read",
            json!({ "uri": "demo://resource/static/document/architecture.md" }),
            Expect::Same,
        ),
        step(
            "prompt",
            "prompt",
            json!({ "name": "simple-prompt" }),
            Expect::Same,
        ),
        step("completion", "complete", argument, Expect::Same),
        call(
            "elicitation",
            "trigger-elicitation-request",
            &json!({}),
            elicitation,
        ),
        call(
            "sampling",
            "trigger-sampling-request",
            &json!({ "prompt": "hi" }),
            Expect::Same,
        ),
    ]
}

fn policed() -> Vec<Step> {
    vec![
        call(
            "forbidden-arguments",
            "echo",
            &json!({ "message": "a FORBIDDEN word" }),
            Expect::Refused {
                says: "This word is not spoken here.",
            },
        ),
        call(
            "hidden-tool",
            "toggle-simulated-logging",
            &json!({}),
            Expect::UnknownTool,
        ),
        call(
            "no-such-tool",
            "no-such-tool",
            &json!({}),
            Expect::UnknownTool,
        ),
        step(
            "hidden-resource",
            "read",
            json!({ "uri": "demo://resource/static/document/startup.md" }),
            Expect::Absent,
        ),
        step(
            "hidden-prompt",
            "prompt",
            json!({ "name": "args-prompt", "arguments": { "city": "Oslo" } }),
            Expect::Absent,
        ),
        call("masked", "get-env", &json!({}), Expect::Masked),
        call(
            "approved",
            "get-sum",
            &json!({ "a": 100, "b": 1 }),
            Expect::Approved,
        ),
        call("rejected", "get-tiny-image", &json!({}), Expect::Rejected),
    ]
}

fn time() -> Vec<Step> {
    let clock =
        json!({ "source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo" });
    let all = Expect::Listed {
        member: "tools",
        key: "name",
        hidden: Hidden::These(&[]),
    };
    vec![
        step("tools", "listTools", json!({}), all),
        call("call", "convert_time", &clock, Expect::Same),
        call(
            "tool-error",
            "convert_time",
            &json!({ "source_timezone": "Nowhere", "time": "12:00", "target_timezone": "UTC" }),
            Expect::Same,
        ),
        call(
            "no-such-tool",
            "no-such-tool",
            &json!({}),
            Expect::UnknownTool,
        ),
    ]
}

/// Which driver takes a client's steps.
pub(crate) fn driver(client: Client) -> &'static str {
    match client {
        Client::Ts1 => "ts1.mjs",
        Client::Ts2 => "ts2.mjs",
        Client::Py1 => "py1.py",
        Client::Py2 => "py2.py",
        Client::Rmcp => "sallyport-client-rmcp",
    }
}
