//! A client of each era, over real sockets: one connection a request, so that hanging up is closing it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::guard::{PATIENCE, until};

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2024-11-05 over HTTP+SSE.
    Oldest,
    /// 2025-11-25 over Streamable HTTP.
    Legacy,
    /// 2026-07-28.
    Newest,
}

impl Era {
    pub(crate) const ALL: [Self; 3] = [Self::Oldest, Self::Legacy, Self::Newest];

    const fn revision(self) -> &'static str {
        match self {
            Self::Oldest => "2024-11-05",
            Self::Legacy => "2025-11-25",
            Self::Newest => "2026-07-28",
        }
    }
}

type Heard = Arc<Mutex<Vec<Value>>>;

/// One agent with its token and, in the legacy revisions, its session.
#[derive(Clone)]
pub(crate) struct Agent {
    address: String,
    path: String,
    token: String,
    pub(crate) era: Era,
    session: Option<String>,
    next: Arc<AtomicU64>,
    pipe: Option<Arc<Pipe>>,
}

/// The stream of the oldest transport.
struct Pipe {
    heard: Heard,
    task: JoinHandle<()>,
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request that is under way.
pub(crate) struct Going {
    pub(crate) id: u64,
    task: JoinHandle<Value>,
    heard: Heard,
}

impl Going {
    /// The response.
    pub(crate) async fn answer(self) -> Value {
        let answer = tokio::time::timeout(PATIENCE, self.task).await;
        answer.expect("an answer in time").expect("an answer")
    }

    /// What came before the answer.
    pub(crate) fn progress(&self) -> Vec<Value> {
        let heard = self.heard.lock().unwrap();
        let progress = heard
            .iter()
            .filter(|message| message["method"] == "notifications/progress");
        progress.cloned().collect()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Closes the connection.
    pub(crate) async fn hang_up(self) {
        self.task.abort();
        self.task.await.ok();
    }
}

impl Agent {
    pub(crate) async fn connect(url: &str, token: &str, era: Era) -> Self {
        let rest = url.strip_prefix("http://").unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        let mut agent = Self {
            address: address.to_owned(),
            path: format!("/{path}"),
            token: token.to_owned(),
            era,
            session: None,
            next: Arc::new(AtomicU64::new(1)),
            pipe: None,
        };
        match era {
            Era::Oldest => agent.open_pipe().await,
            Era::Legacy => agent.initialize().await,
            Era::Newest => {}
        }
        // Clients list before they call; the guard then knows the tools.
        let listed = agent.request("tools/list", json!({})).answer().await;
        assert!(listed["result"]["tools"].is_array(), "{listed}");
        agent
    }

    async fn initialize(&mut self) {
        let id = self.id();
        let (parts, answer) = self.exchange(self.hello(id)).await;
        assert!(answer["result"].is_object(), "{answer}");
        self.session = parts
            .headers
            .get("mcp-session-id")
            .map(|id| id.to_str().unwrap().to_owned());
        self.notify("notifications/initialized", json!({})).await;
    }

    fn hello(&self, id: u64) -> String {
        json!({ "jsonrpc": "2.0", "id": id, "method": "initialize", "params": {
            "protocolVersion": self.era.revision(), "capabilities": { "elicitation": {} },
            "clientInfo": { "name": "test", "version": "1" } } })
        .to_string()
    }

    async fn open_pipe(&mut self) {
        let heard: Heard = Arc::default();
        let request = self.headed(Method::GET, "/sse", "");
        let (stream, into) = (self.address.clone(), Arc::clone(&heard));
        let task = tokio::spawn(async move {
            let tcp = TcpStream::connect(stream).await.unwrap();
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp))
                .await
                .unwrap();
            let reading = async {
                let reply = sender.send_request(request).await.unwrap();
                assert_eq!(reply.status(), 200);
                events(reply, |event| into.lock().unwrap().push(event)).await;
            };
            tokio::select! {
                () = reading => {}
                _ = connection => {}
            }
        });
        until("the endpoint is told", || !heard.lock().unwrap().is_empty()).await;
        self.path = heard.lock().unwrap()[0]["endpoint"]
            .as_str()
            .unwrap()
            .to_owned();
        self.pipe = Some(Arc::new(Pipe { heard, task }));
        let id = self.id();
        let hello = self.hello(id);
        let answer = self.going(id, hello).answer().await;
        assert!(answer["result"].is_object(), "{answer}");
        self.notify("notifications/initialized", json!({})).await;
    }

    fn id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    /// Calls a tool and wants to hear of its progress.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "arguments are written in place"
    )]
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Going {
        let id = self.id();
        let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": format!("p{id}") } });
        let body = self.body(id, "tools/call", params);
        self.going(id, body)
    }

    /// Calls a tool and waits for nothing but the answer.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "arguments are written in place"
    )]
    pub(crate) fn plain(&self, tool: &str, arguments: Value) -> Going {
        self.request(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        )
    }

    /// Calls a tool with arguments in this very spelling.
    pub(crate) fn spelled(&self, tool: &str, arguments: &str) -> Going {
        let id = self.id();
        let params = json!({ "name": tool, "arguments": "HERE" });
        let body = self
            .body(id, "tools/call", params)
            .replace("\"HERE\"", arguments);
        self.going(id, body)
    }

    pub(crate) fn request(&self, method: &str, params: Value) -> Going {
        let id = self.id();
        let body = self.body(id, method, params);
        self.going(id, body)
    }

    pub(crate) async fn notify(&self, method: &str, params: Value) {
        let body = json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string();
        let request = self.headed(Method::POST, &self.path, &body);
        let tcp = TcpStream::connect(&self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp))
            .await
            .unwrap();
        let driving = tokio::spawn(connection);
        let reply = sender.send_request(request).await.unwrap();
        assert_eq!(reply.status(), 202, "{method}");
        driving.abort();
    }

    /// Leaves: the oldest transport's stream is closed.
    pub(crate) fn leave(&mut self) {
        self.pipe = None;
    }

    fn body(&self, id: u64, method: &str, mut params: Value) -> String {
        if self.era == Era::Newest {
            if params["_meta"].is_null() {
                params["_meta"] = json!({});
            }
            let meta = &mut params["_meta"];
            meta["io.modelcontextprotocol/protocolVersion"] = self.era.revision().into();
            meta["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": {} });
        }
        json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
    }

    fn headed(&self, method: Method, path: &str, body: &str) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header("authorization", format!("Bearer {}", self.token))
            .header("accept", "application/json, text/event-stream");
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        if let Some(session) = &self.session {
            request = request
                .header("mcp-session-id", session)
                .header("mcp-protocol-version", self.era.revision());
        }
        let message: Value = serde_json::from_str(body).unwrap_or_default();
        if self.era == Era::Newest {
            request = request.header("mcp-protocol-version", self.era.revision());
            request = request.header("mcp-method", message["method"].as_str().unwrap_or_default());
            let named = ["name", "uri"].map(|key| message["params"][key].as_str());
            if let [Some(name), _] | [None, Some(name)] = named {
                request = request.header("mcp-name", name);
            }
        }
        request
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .unwrap()
    }

    fn going(&self, id: u64, body: String) -> Going {
        let heard: Heard = match &self.pipe {
            Some(pipe) => Arc::clone(&pipe.heard),
            None => Arc::default(),
        };
        let (agent, into) = (self.clone(), Arc::clone(&heard));
        let task = tokio::spawn(async move {
            match &agent.pipe {
                None => agent.exchange_into(body, &into).await.1,
                Some(_) => agent.through_pipe(id, &body, &into).await,
            }
        });
        Going { id, task, heard }
    }

    async fn through_pipe(&self, id: u64, body: &str, heard: &Heard) -> Value {
        let request = self.headed(Method::POST, &self.path, body);
        let tcp = TcpStream::connect(&self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp))
            .await
            .unwrap();
        let driving = tokio::spawn(connection);
        let reply = sender.send_request(request).await.unwrap();
        assert_eq!(reply.status(), 202);
        driving.abort();
        loop {
            let found = answer_in(&heard.lock().unwrap(), id);
            if let Some(answer) = found {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn exchange(&self, body: String) -> (http::response::Parts, Value) {
        self.exchange_into(body, &Heard::default()).await
    }

    async fn exchange_into(&self, body: String, heard: &Heard) -> (http::response::Parts, Value) {
        let id = serde_json::from_str::<Value>(&body).unwrap()["id"]
            .as_u64()
            .unwrap();
        let request = self.headed(Method::POST, &self.path, &body);
        let tcp = TcpStream::connect(&self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp))
            .await
            .unwrap();
        let reading = async {
            let reply = sender.send_request(request).await.expect("a response");
            let (parts, body) = reply.into_parts();
            let stream = parts
                .headers
                .get("content-type")
                .is_some_and(|kind| kind.to_str().unwrap().starts_with("text/event-stream"));
            let reply = Response::from_parts(parts.clone(), body);
            if stream {
                events(reply, |event| heard.lock().unwrap().push(event)).await;
                let answer = answer_in(&heard.lock().unwrap(), id);
                return (parts, answer.expect("an answer on the stream"));
            }
            let body = reply.into_body().collect().await.unwrap().to_bytes();
            let answer = serde_json::from_slice(&body)
                .unwrap_or_else(|error| panic!("{}: {error}: {body:?}", parts.status));
            (parts, answer)
        };
        let driving = async {
            connection.await.ok();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = reading => answer,
            () = driving => unreachable_end(),
        }
    }
}

fn unreachable_end() -> (http::response::Parts, Value) {
    panic!("the connection never ends before its answer")
}

fn answer_in(heard: &[Value], id: u64) -> Option<Value> {
    heard
        .iter()
        .find(|message| message["id"] == id && message.get("method").is_none())
        .cloned()
}

/// Reads a stream of events to its end; `endpoint` events become an object of that name.
async fn events(reply: Response<Incoming>, mut take: impl FnMut(Value)) {
    let mut body = reply.into_body();
    let mut text = String::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else {
            continue;
        };
        text.push_str(std::str::from_utf8(&data).unwrap());
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field = |name: &str| {
                let lines = event.lines().filter_map(|line| line.strip_prefix(name));
                lines.map(|value| value.trim_start().to_owned()).next()
            };
            if let Some(data) = field("data:").filter(|data| !data.is_empty()) {
                match field("event:").as_deref() {
                    Some("endpoint") => take(json!({ "endpoint": data })),
                    _ => take(serde_json::from_str(&data).unwrap()),
                }
            }
            text = rest.to_owned();
        }
    }
}

/// What the model would read.
pub(crate) fn text(answer: &Value) -> String {
    let result = answer["result"]["content"][0]["text"].as_str();
    let told = result.or(answer["error"]["message"].as_str());
    told.unwrap_or_default().to_owned()
}

/// Our mark about the approval behind an answer.
pub(crate) fn approval(answer: &Value) -> Value {
    let mark = "dev.sallyport/approval";
    let result = &answer["result"]["_meta"][mark];
    if result.is_null() {
        answer["error"]["data"][mark].clone()
    } else {
        result.clone()
    }
}

pub(crate) fn ran(answer: &Value) -> bool {
    answer["result"]["isError"] == false
}
