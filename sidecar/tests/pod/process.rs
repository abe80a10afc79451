//! The real binary as a process, and a client of it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Pod, token, within};

type Lines = Arc<Mutex<Vec<String>>>;

/// A sidecar that serves; killed when dropped.
pub struct Sidecar {
    child: Child,
    log: Lines,
    audit: Lines,
    address: String,
    admin: String,
    token: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Sidecar {
    pub fn start(pod: &Pod) -> Self {
        Self::start_with(pod, &[])
    }

    pub fn start_with(pod: &Pod, more: &[String]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sallyport-sidecar"))
            .args(pod.arguments())
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let audit = collect(child.stdout.take().unwrap());
        let log = collect(child.stderr.take().unwrap());
        let serving = first(&log, |line| line["message"] == "serving");
        let text = |name: &str| serving[name].as_str().unwrap().to_owned();
        Self {
            child,
            log,
            audit,
            address: text("address"),
            admin: text("admin"),
            token: token(&pod.operator),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Where callers connect.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `ran`, or the reason why a clerk's call of a tool did not.
    pub async fn call(&self, tool: &str) -> String {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": tool, "arguments": {} } });
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}/mcp", self.address))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-06-18")
            .body(Full::from(body.to_string()))
            .unwrap();
        let (status, text) = self.send(request).await;
        let Ok(answer) = serde_json::from_str::<Value>(&text) else {
            return format!("{status}: {text}");
        };
        let denied = "dev.sallyport~1denied/reason";
        let reasons = [
            format!("/result/_meta/{denied}"),
            format!("/error/data/{denied}"),
        ];
        let reason = reasons
            .iter()
            .find_map(|place| answer.pointer(place)?.as_str());
        match (reason, &answer["result"]["content"][0]["text"]) {
            (Some(reason), _) => reason.to_owned(),
            (None, Value::String(text)) if *text == format!("ran \"{tool}\"") => "ran".to_owned(),
            (None, _) => format!("{status}: {text}"),
        }
    }

    pub async fn readyz(&self) -> (StatusCode, String) {
        let request = Request::get(format!("http://{}/readyz", self.admin))
            .body(Full::default())
            .unwrap();
        self.send(request).await
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> (StatusCode, String) {
        let response = self.client.request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// Whether the log says it, now or within three seconds.
    pub async fn says(&self, text: &str) -> bool {
        let said = async || {
            self.log
                .lock()
                .unwrap()
                .iter()
                .any(|line| line.contains(text))
        };
        within(Duration::from_secs(3), said).await.is_some()
    }

    pub fn forget_the_log(&self) {
        self.log.lock().unwrap().clear();
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// The lines on stdout.
    pub fn audit(&self) -> Vec<Value> {
        let lines = self.audit.lock().unwrap();
        let read = |line: &String| serde_json::from_str(line).unwrap();
        lines.iter().map(read).collect()
    }

    /// As the kubelet ends a container.
    pub fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn collect(stream: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let shared = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            shared.lock().unwrap().push(line);
        }
    });
    lines
}

fn first(lines: &Lines, wanted: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let found = lines.lock().unwrap().iter().find_map(|line| {
            let value: Value = serde_json::from_str(line).ok()?;
            wanted(&value).then_some(value)
        });
        if let Some(found) = found {
            return found;
        }
        let log = lines.lock().unwrap().join("\n");
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "not serving:\n{log}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
