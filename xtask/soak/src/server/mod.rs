//! The server behind the guard: what it says to each message, whichever transport carries it.
//!
//! A call names its own fault. Before it is answered, each call that runs is written to the ledger, so that the judge can
//! count how often it ran, whatever its client was told.

pub(crate) mod http;
pub(crate) mod ledger;
pub(crate) mod stdio;

use std::time::Duration;

use serde_json::{Value, json};

/// More than `limits.responseBytes` of the soak's gateways.
const TOO_LARGE: usize = 400 * 1024;

/// One thing that the server does on a stream or pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A whole message.
    Say(String),
    /// Bytes as they are, framed by nobody.
    Raw(String),
    Wait(Duration),
    /// The stream, connection or process is over, at once.
    Break,
}

/// What a call asks of the server besides its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Late,
    Hang,
    Die,
    Half,
    Garbage,
    ContentType,
    Status,
    WrongId,
    Twice,
    Huge,
    Endless,
    Poll,
}

impl Fault {
    pub(crate) fn of(arguments: &Value) -> Self {
        match arguments.get("fault").and_then(Value::as_str) {
            Some("late") => Self::Late,
            Some("hang") => Self::Hang,
            Some("die") => Self::Die,
            Some("half") => Self::Half,
            Some("garbage") => Self::Garbage,
            Some("type") => Self::ContentType,
            Some("status") => Self::Status,
            Some("wrong-id") => Self::WrongId,
            Some("twice") => Self::Twice,
            Some("huge") => Self::Huge,
            Some("endless") => Self::Endless,
            Some("poll") => Self::Poll,
            Some(_) | None => Self::None,
        }
    }
}

/// A call as it was judged to run.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: Value,
    pub(crate) nonce: String,
    pub(crate) fault: Fault,
    pub(crate) events: bool,
    progress: u64,
    token: Option<Value>,
    result: Value,
}

impl Call {
    /// None: not a call of a tool.
    pub(crate) fn of(message: &Value) -> Option<Self> {
        let params = message.get("params")?;
        let arguments = params.get("arguments")?;
        if message.get("method")?.as_str()? != "tools/call" {
            return None;
        }
        let size = arguments.get("size").and_then(Value::as_u64).unwrap_or(0);
        let nonce = arguments.get("nonce")?.as_str()?.to_owned();
        let result = match params.get("name").and_then(Value::as_str) {
            // Both sides' fields; which of them is masked depends on the policy in force.
            Some("swap") => {
                let both = json!({ "nonce": nonce, "left": "plain-left", "right": "plain-right" });
                json!({ "content": [{ "type": "text", "text": both.to_string() }], "structuredContent": both })
            }
            Some(_) | None => {
                let filler = "x".repeat(usize::try_from(size).unwrap_or(0));
                json!({ "content": [{ "type": "text", "text": format!("{nonce} {filler}") }] })
            }
        };
        Some(Self {
            id: message.get("id")?.clone(),
            fault: Fault::of(arguments),
            events: arguments
                .get("events")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            progress: arguments
                .get("progress")
                .and_then(Value::as_u64)
                .unwrap_or(0),
            token: params.pointer("/_meta/progressToken").cloned(),
            result: complete(result, message),
            nonce,
        })
    }

    pub(crate) fn answer(&self) -> String {
        response(&self.id, &self.result)
    }

    fn answer_as(&self, id: &Value) -> String {
        response(id, &self.result)
    }

    fn step(&self, step: u64) -> Option<Act> {
        let token = self.token.as_ref()?;
        let params = json!({ "progressToken": token, "progress": step, "message": self.nonce });
        let message =
            json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
        Some(Act::Say(message.to_string()))
    }

    /// What goes out on a stream or pipe for this call.
    pub(crate) fn acts(&self) -> Vec<Act> {
        let mut acts: Vec<Act> = (1..=self.progress)
            .filter_map(|step| self.step(step))
            .collect();
        let answer = Act::Say(self.answer());
        match self.fault {
            Fault::None | Fault::ContentType | Fault::Status | Fault::Poll => acts.push(answer),
            Fault::Late => acts.extend([Act::Wait(Duration::from_millis(1200)), answer]),
            Fault::Hang => acts.extend([Act::Wait(Duration::from_secs(3)), Act::Break]),
            Fault::Die => acts.push(Act::Break),
            Fault::Half => {
                let whole = self.answer();
                let half = whole.get(..whole.len() / 2).unwrap_or_default();
                acts.extend([Act::Raw(format!("data: {half}")), Act::Break]);
            }
            Fault::Garbage => {
                acts.extend([Act::Say("{\"jsonrpc\":\"2.0\",\"id\":{]".into()), answer]);
            }
            Fault::WrongId => acts.extend([Act::Say(self.answer_as(&json!(987_654_321))), answer]),
            Fault::Twice => acts.extend([answer.clone(), answer]),
            Fault::Huge => {
                let mut whole = self.answer();
                whole.push_str(&" ".repeat(TOO_LARGE));
                acts.push(Act::Say(whole));
            }
            Fault::Endless => {
                for step in self.progress + 1..self.progress + 400 {
                    acts.extend(self.step(step));
                    acts.push(Act::Wait(Duration::from_millis(5)));
                }
                acts.push(Act::Break);
            }
        }
        acts
    }
}

/// What a request that is no call of a tool is answered with; none: the method is not known.
pub(crate) fn other(message: &Value) -> Option<Value> {
    let params = message.get("params").cloned().unwrap_or_default();
    let info = json!({ "name": "soak", "version": "1.0.0" });
    let capabilities = json!({ "tools": { "listChanged": true }, "logging": {} });
    let cached = |mut value: Value| {
        if let Some(members) = value.as_object_mut() {
            members.insert("ttlMs".into(), json!(1000));
            members.insert("cacheScope".into(), json!("private"));
        }
        complete(value, message)
    };
    match message.get("method")?.as_str()? {
        "initialize" => Some(json!({
            "protocolVersion": params.get("protocolVersion"), "capabilities": capabilities, "serverInfo": info,
        })),
        "server/discover" => Some(cached(json!({
            "supportedVersions": ["2026-07-28"], "capabilities": capabilities, "serverInfo": info,
        }))),
        "tools/list" => Some(cached(json!({ "tools": tools() }))),
        "ping" => Some(complete(json!({}), message)),
        _ => None,
    }
}

/// The answer to any request but a call of a tool.
pub(crate) fn plain(message: &Value) -> String {
    let id = message.get("id").cloned().unwrap_or_default();
    match other(message) {
        Some(result) => response(&id, &result),
        None => json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "Method not found" } }).to_string(),
    }
}

fn response(id: &Value, result: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
}

/// The newest revision wants results to say what they are.
fn complete(mut result: Value, message: &Value) -> Value {
    let modern = message
        .pointer("/params/_meta/io.modelcontextprotocol~1protocolVersion")
        .is_some();
    if modern && let Some(members) = result.as_object_mut() {
        members.insert("resultType".into(), json!("complete"));
    }
    result
}

fn tools() -> Value {
    let names = ["echo", "guarded", "swap", "hidden"];
    let tool = |name: &str| json!({ "name": name, "description": "soak", "inputSchema": { "type": "object" } });
    names.iter().map(|name| tool(name)).collect()
}
