//! A server of our own, which does what a case or a script wants and logs what it is given. Its manners are those of a
//! small MCP server; its answers can be any bytes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::tap::{Arrived, Log, Requests};

/// How the server answers one method.
#[derive(Clone, Debug)]
pub(super) struct Play {
    /// The whole HTTP answer; `{id}` is replaced.
    pub(super) bytes: Vec<u8>,
    /// The connection stays open behind it.
    pub(super) hangs: bool,
    pub(super) after: Duration,
}

impl Play {
    pub(super) fn stream(text: &str, hangs: bool) -> Self {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
        Self {
            bytes: format!("{head}{text}").into_bytes(),
            hangs,
            after: Duration::ZERO,
        }
    }

    pub(super) fn result(result: &Value) -> Self {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
        Self {
            bytes: format!("{head}{{\"jsonrpc\":\"2.0\",\"id\":{{id}},\"result\":{result}}}")
                .into_bytes(),
            hangs: false,
            after: Duration::ZERO,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    plays: BTreeMap<String, Play>,
    tools: Vec<Value>,
    /// Streams that clients keep open by GET.
    streams: Vec<TcpStream>,
    instructions: Option<String>,
}

/// The running server; its threads end with the process.
#[derive(Clone, Debug)]
pub(super) struct Hostile {
    pub(super) address: SocketAddr,
    pub(super) log: Log,
    state: Arc<Mutex<State>>,
    sessions: Arc<AtomicU64>,
    /// How often the guard left an answer that hangs.
    pub(super) left: Arc<AtomicU64>,
}

impl Hostile {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let server = Self {
            address: listener.local_addr()?,
            log: Log::default(),
            state: Arc::default(),
            sessions: Arc::default(),
            left: Arc::default(),
        };
        server.lock().tools = usual_tools();
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = serving.clone();
                // A peer that goes away ends its thread.
                std::thread::spawn(move || server.serve(stream).ok());
            }
        });
        Ok(server)
    }

    /// From now on a method is answered so.
    pub(super) fn play(&self, method: &str, play: Play) {
        self.lock().plays.insert(method.to_owned(), play);
    }

    /// Back to good manners.
    pub(super) fn behave(&self) {
        let mut state = self.lock();
        state.plays.clear();
        state.instructions = None;
        state.tools = usual_tools();
    }

    pub(super) fn set_tools(&self, tools: Vec<Value>) {
        self.lock().tools = tools;
    }

    pub(super) fn instruct(&self, text: &str) {
        self.lock().instructions = Some(text.to_owned());
    }

    /// Sends an event on one of the streams that are open by GET, counted from the newest.
    pub(super) fn tell(&self, from_newest: usize, event: &str) -> Result<()> {
        let mut state = self.lock();
        let stream = state.streams.iter_mut().rev().nth(from_newest);
        stream
            .context("no such stream")?
            .write_all(event.as_bytes())?;
        Ok(())
    }

    pub(super) fn streams(&self) -> usize {
        self.lock().streams.len()
    }

    /// Calls of a method that arrived so far.
    pub(super) fn calls(&self, method: &str) -> Vec<Arrived> {
        let mut all = self.log.since(0);
        all.retain(|arrived| arrived.method() == method);
        all
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream) -> Result<()> {
        let mut requests = Requests::new(self.log.clone());
        let mut piece = vec![0; 64 * 1024];
        loop {
            let read = stream.read(&mut piece)?;
            if read == 0 {
                return Ok(());
            }
            for arrived in requests.push(piece.get(..read).unwrap_or_default()) {
                if !self.answer(&arrived, &mut stream)? {
                    return Ok(());
                }
            }
        }
    }

    /// False: the connection is over.
    fn answer(&self, arrived: &Arrived, stream: &mut TcpStream) -> Result<bool> {
        let method = arrived.method();
        let played = self.lock().plays.get(&method).cloned();
        let id = arrived
            .json()
            .get("id")
            .map_or("null".to_owned(), Value::to_string);
        if let Some(play) = played {
            std::thread::sleep(play.after);
            stream.write_all(&replaced(&play.bytes, &id, &said(&arrived.json())))?;
            if play.hangs {
                // Until the guard leaves.
                let mut nothing = [0; 64];
                while stream.read(&mut nothing).is_ok_and(|read| read > 0) {}
                self.left.fetch_add(1, Ordering::Relaxed);
            }
            return Ok(false);
        }
        if method == "GET" {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n:\n\n")?;
            self.lock().streams.push(stream.try_clone()?);
            let mut nothing = [0; 64];
            while stream.read(&mut nothing)? > 0 {}
            return Ok(false);
        }
        let mut head = String::new();
        if method == "initialize" {
            let number = self.sessions.fetch_add(1, Ordering::Relaxed);
            head = format!("Mcp-Session-Id: own-{number}\r\n");
        }
        let whole = match self.result(&method, &arrived.json()) {
            Some(result) => {
                let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}");
                format!(
                    "HTTP/1.1 200 OK\r\n{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            None => "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_owned(),
        };
        stream.write_all(whole.as_bytes())?;
        Ok(true)
    }

    /// None: a notification, or a method of HTTP, which is only accepted.
    fn result(&self, method: &str, request: &Value) -> Option<Value> {
        let params = request.get("params");
        let modern = params.is_some_and(|params| params.to_string().contains("2026-07-28"));
        let mut result = match method {
            "initialize" => {
                let mut opened = json!({
                    "protocolVersion": params?.get("protocolVersion")?,
                    "capabilities": { "tools": { "listChanged": true }, "prompts": {}, "resources": { "subscribe": true }, "logging": {}, "completions": {} },
                    "serverInfo": { "name": "own", "version": "1" },
                });
                if let (Some(members), Some(text)) =
                    (opened.as_object_mut(), &self.lock().instructions)
                {
                    members.insert("instructions".into(), json!(text));
                }
                opened
            }
            "tools/list" => json!({ "tools": self.lock().tools }),
            "prompts/list" => {
                json!({ "prompts": [{ "name": "simple-prompt" }, { "name": "secret-prompt" }] })
            }
            "resources/list" => {
                json!({ "resources": [{ "uri": "demo://resource/static/a", "name": "a" }, { "uri": "vault://secret", "name": "v" }] })
            }
            "resources/templates/list" => {
                json!({ "resourceTemplates": [{ "uriTemplate": "demo://resource/dynamic/text/{id}", "name": "t" }, { "uriTemplate": "demo://resource/dynamic/blob/{id}", "name": "b" }] })
            }
            "tools/call" => {
                json!({ "content": [{ "type": "text", "text": format!("said {}", said(request)) }] })
            }
            "completion/complete" => json!({ "completion": { "values": ["Engineering"] } }),
            "GET" | "DELETE" => return None,
            _ if method.starts_with("notifications/") => return None,
            _ => json!({}),
        };
        if let (true, Some(members)) = (modern, result.as_object_mut()) {
            members.insert("resultType".into(), json!("complete"));
        }
        Some(result)
    }
}

/// The argument `message` of a call.
fn said(request: &Value) -> String {
    let message = request.pointer("/params/arguments/message");
    message
        .and_then(Value::as_str)
        .unwrap_or("nothing")
        .to_owned()
}

fn replaced(bytes: &[u8], id: &str, message: &str) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text
            .replace("{id}", id)
            .replace("{message}", message)
            .into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}

/// A tool as it is listed.
pub(super) fn tool(name: &str, schema: &Value) -> Value {
    json!({ "name": name, "description": format!("The tool {name}"), "inputSchema": schema })
}

pub(super) fn usual_tools() -> Vec<Value> {
    let text = json!({ "type": "object", "properties": { "message": { "type": "string" } } });
    let sum = json!({ "type": "object", "properties": { "a": { "type": "number" }, "b": { "type": "number" } } });
    let any = json!({ "type": "object" });
    vec![
        tool("echo", &text),
        tool("get-sum", &sum),
        tool("get-env", &any),
        tool("get-tiny-image", &any),
        tool("play", &any),
    ]
}
