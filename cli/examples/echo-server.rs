//! A small MCP server over stdio, of the legacy revisions and of 2026-07-28: for trying the guard, and for its tests.
//!
//! `echo-server LOG` appends a line to the file LOG for each call that it really runs, so that anybody can count how
//! often a call ran, whatever the client was told.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

const MODERN: &str = "io.modelcontextprotocol/protocolVersion";
/// How long the tool `slow` works.
const LONG: Duration = Duration::from_secs(20);

fn main() -> io::Result<()> {
    let log = std::env::args_os().nth(1).map(PathBuf::from);
    let server = Arc::new(Server {
        log,
        cancelled: Mutex::default(),
    });
    for line in io::stdin().lock().lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else {
            continue;
        };
        let server = Arc::clone(&server);
        // A slow call must not keep its cancellation from being read.
        std::thread::spawn(move || server.take(&message));
    }
    Ok(())
}

struct Server {
    log: Option<PathBuf>,
    cancelled: Mutex<HashSet<String>>,
}

impl Server {
    fn take(&self, message: &Value) {
        let method = message["method"].as_str().unwrap_or_default();
        if method == "notifications/cancelled" {
            let id = message.pointer("/params/requestId").map(Value::to_string);
            self.cancelled
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(id);
        }
        let Some(id) = message.get("id") else { return };
        let answer = match self.answer(method, message) {
            Some(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            None => json!({ "jsonrpc": "2.0", "id": id,
                "error": { "code": -32601, "message": "Method not found" } }),
        };
        // Nobody is left to answer once stdout is closed.
        writeln!(io::stdout().lock(), "{answer}").ok();
    }

    fn answer(&self, method: &str, message: &Value) -> Option<Value> {
        let params = &message["params"];
        let capabilities = json!({ "tools": {}, "resources": {} });
        let info = json!({ "name": "echo-server", "version": "1.0.0" });
        match method {
            "initialize" => Some(json!({
                "protocolVersion": params["protocolVersion"], "capabilities": capabilities, "serverInfo": info,
            })),
            "server/discover" => Some(complete(json!({
                "supportedVersions": ["2026-07-28"], "capabilities": capabilities, "serverInfo": info,
                "ttlMs": 1000, "cacheScope": "private",
            }))),
            "ping" => Some(json!({})),
            "tools/list" => Some(complete(
                json!({ "tools": tools(), "ttlMs": 1000, "cacheScope": "private" }),
            )),
            "tools/call" => Some(self.call(message)),
            "resources/read" => {
                self.note("read", &params["uri"]);
                let contents =
                    json!([{ "uri": params["uri"], "mimeType": "text/plain", "text": "contents" }]);
                Some(complete(
                    json!({ "contents": contents, "ttlMs": 1000, "cacheScope": "private" }),
                ))
            }
            _ => None,
        }
    }

    fn call(&self, message: &Value) -> Value {
        let params = &message["params"];
        let arguments = &params["arguments"];
        match params["name"].as_str().unwrap_or_default() {
            "slow" => self.work_slowly(&message["id"], arguments),
            "ask" if params["_meta"].get(MODERN).is_some() => self.ask_back(params),
            name => {
                self.note(name, arguments);
                said(&format!("{name} did {arguments}"))
            }
        }
    }

    fn work_slowly(&self, id: &Value, arguments: &Value) -> Value {
        self.note("slow", arguments);
        let step = Duration::from_millis(20);
        let mut worked = Duration::ZERO;
        while worked < LONG {
            std::thread::sleep(step);
            worked += step;
            let cancelled = self
                .cancelled
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if cancelled.contains(&id.to_string()) {
                drop(cancelled);
                self.note("cancelled", arguments);
                return said("cancelled");
            }
        }
        said("slow did it")
    }

    /// The first leg asks the human; only the second one does anything.
    fn ask_back(&self, params: &Value) -> Value {
        let Some(state) = params["requestState"].as_str() else {
            self.note("asked", &params["arguments"]);
            let question = json!({ "method": "elicitation/create", "params": {
                "mode": "form", "message": "really?",
                "requestedSchema": { "type": "object", "properties": { "yes": { "type": "boolean" } } },
            } });
            return json!({ "resultType": "input_required", "requestState": "leg-one",
                "inputRequests": { "sure": question } });
        };
        self.note("ask", &json!({ "state": state }));
        said("asked and done")
    }

    fn note(&self, what: &str, arguments: &Value) {
        let Some(path) = &self.log else { return };
        let line = format!("{}\n", json!({ "ran": what, "arguments": arguments }));
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            writeln!(
                io::stderr().lock(),
                "cannot write {}: {error}",
                path.display()
            )
            .ok();
        }
    }
}

fn complete(mut result: Value) -> Value {
    if let Some(members) = result.as_object_mut() {
        members.insert("resultType".to_owned(), "complete".into());
    }
    result
}

fn said(text: &str) -> Value {
    complete(json!({ "content": [{ "type": "text", "text": text }], "isError": false }))
}

fn tools() -> Value {
    let tool = |name: &str, read_only: bool| {
        json!({
            "name": name,
            "description": format!("the tool {name}"),
            "inputSchema": { "type": "object", "properties": { "sku": {}, "price": {}, "note": {} } },
            "annotations": { "readOnlyHint": read_only },
        })
    };
    json!([
        tool("look", true),
        tool("write", false),
        tool("slow", false),
        tool("ask", false)
    ])
}
