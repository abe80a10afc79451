//! The server behind the guard: real HTTP, and each test says what it answers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// One request as the server got it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The JSON-RPC method, or the HTTP method where there is no message.
    pub(crate) fn rpc(&self) -> String {
        match self.json().get("method").and_then(Value::as_str) {
            Some(method) => method.to_owned(),
            None if self.body.is_empty() => self.method.to_string(),
            None => "response".to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn id(&self) -> Value {
        self.json()["id"].clone()
    }

    pub(crate) fn is_modern(&self) -> bool {
        self.header("mcp-protocol-version") == Some("2026-07-28")
    }
}

/// What the server does with one request.
pub(crate) struct Play {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<Step>,
    /// How long before the head is sent.
    pub(crate) after: Duration,
}

/// A piece of a body.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Bytes),
    Wait(Duration),
    /// Whatever the test sends, until it sends no more.
    Feed(Arc<tokio::sync::Mutex<tokio::sync::mpsc::UnboundedReceiver<Bytes>>>),
    /// Until the test lets it go on.
    Gate(Arc<tokio::sync::Notify>),
    /// Forever, or until the guard hangs up.
    Hang,
}

impl Play {
    pub(crate) fn new(status: u16, kind: &str, body: impl Into<Bytes>) -> Self {
        let mut play = Self {
            status,
            headers: Vec::new(),
            body: vec![Step::Send(body.into())],
            after: Duration::ZERO,
        };
        if !kind.is_empty() {
            play.headers.push(("content-type", kind.to_owned()));
        }
        play
    }

    pub(crate) fn json(value: &Value) -> Self {
        Self::new(200, "application/json", value.to_string())
    }

    pub(crate) fn accepted() -> Self {
        Self::new(202, "", "")
    }

    pub(crate) fn events(steps: Vec<Step>) -> Self {
        Self {
            body: steps,
            ..Self::new(200, "text/event-stream", "")
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn after(mut self, pause: Duration) -> Self {
        self.after = pause;
        self
    }
}

/// One event with a JSON-RPC message.
pub(crate) fn event(message: &Value) -> Step {
    Step::Send(Bytes::from(format!("data: {message}\n\n")))
}

/// A result for the request that was seen.
pub(crate) fn result_of(seen: &Seen, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": seen.id(), "result": result})
}

/// The same as a JSON reply.
pub(crate) fn answer(seen: &Seen, result: Value) -> Play {
    Play::json(&result_of(seen, result))
}

type Script = Arc<dyn Fn(Seen) -> BoxFuture<'static, Play> + Send + Sync>;

/// A server at work.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    hung_up: Arc<AtomicUsize>,
}

impl Server {
    /// A server of the usual kind: [`mcp`] answers everything.
    pub(crate) async fn usual() -> Self {
        Self::new(|seen| mcp(&seen)).await
    }

    pub(crate) async fn new(script: impl Fn(Seen) -> Play + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(move |seen| {
            let play = script(seen);
            async move { play }.boxed()
        }))
        .await
    }

    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            hung_up: Arc::default(),
        };
        let (seen, hung_up) = (Arc::clone(&server.seen), Arc::clone(&server.hung_up));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                let hung_up = Arc::clone(&hung_up);
                let service = service_fn(move |request| {
                    one(
                        request,
                        Arc::clone(&seen),
                        Arc::clone(&script),
                        Arc::clone(&hung_up),
                    )
                });
                tokio::spawn(async move {
                    let serving = auto::Builder::new(TokioExecutor::new());
                    drop(
                        serving
                            .serve_connection(TokioIo::new(stream), service)
                            .await,
                    );
                });
            }
        });
        server
    }

    pub(crate) fn uri(&self) -> http::Uri {
        format!("http://{}/mcp", self.address).parse().unwrap()
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests of one JSON-RPC method (or HTTP method).
    pub(crate) fn of(&self, method: &str) -> Vec<Seen> {
        self.all()
            .into_iter()
            .filter(|seen| seen.rpc() == method)
            .collect()
    }

    /// Answers that the guard did not hear to their end.
    pub(crate) fn hung_up(&self) -> usize {
        self.hung_up.load(Ordering::SeqCst)
    }
}

/// Counts itself unless the body was sent whole.
struct Unfinished(Arc<AtomicUsize>, bool);

impl Unfinished {
    fn whole(&mut self) {
        self.1 = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.1 {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn one(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Script,
    hung_up: Arc<AtomicUsize>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    let got = Seen {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: body.unwrap_or_default(),
    };
    seen.lock().unwrap().push(got.clone());
    let mut open = Unfinished(hung_up, false);
    let play = script(got).await;
    tokio::time::sleep(play.after).await;
    let mut response = Response::builder().status(play.status);
    for (name, value) in &play.headers {
        response = response.header(*name, value);
    }
    let whole = match play.body.as_slice() {
        [Step::Send(bytes)] => Some(bytes.clone()),
        _ => None,
    };
    let body = match whole {
        Some(bytes) => {
            open.whole();
            Full::new(bytes).boxed()
        }
        None => BodyExt::boxed(StreamBody::new(
            steps(play.body.into(), open).map(|piece| Ok::<_, Infallible>(Frame::data(piece))),
        )),
    };
    Ok(response.body(body).unwrap())
}

fn steps(
    steps: VecDeque<Step>,
    open: Unfinished,
) -> impl futures_util::Stream<Item = Bytes> + Send + Sync {
    let start = (steps, open);
    let stream = futures_util::stream::unfold(start, |(mut steps, mut open)| async move {
        loop {
            match steps.pop_front() {
                Some(Step::Send(bytes)) => return Some((bytes, (steps, open))),
                Some(Step::Wait(pause)) => tokio::time::sleep(pause).await,
                Some(Step::Gate(gate)) => gate.notified().await,
                Some(Step::Feed(feed)) => {
                    let fed = feed.lock().await.recv().await;
                    if let Some(bytes) = fed {
                        steps.push_front(Step::Feed(feed));
                        return Some((bytes, (steps, open)));
                    }
                }
                Some(Step::Hang) => std::future::pending().await,
                None => {
                    open.whole();
                    return None;
                }
            }
        }
    });
    sync(stream)
}

/// `BoxBody` wants `Sync`; a stream behind a lock is.
fn sync<S>(stream: S) -> impl futures_util::Stream<Item = Bytes> + Send + Sync
where
    S: futures_util::Stream<Item = Bytes> + Send + 'static,
{
    let stream = Mutex::new(stream.boxed());
    futures_util::stream::poll_fn(move |cx| stream.lock().unwrap().poll_next_unpin(cx))
}

/// A small MCP server of both eras: three tools, a prompt, three resources.
pub(crate) fn mcp(seen: &Seen) -> Play {
    let modern = seen.is_modern();
    let complete = |mut result: Value| {
        if modern {
            result["resultType"] = json!("complete");
        }
        result
    };
    let listed = |mut result: Value| {
        if modern {
            result["ttlMs"] = json!(86_400_000);
            result["cacheScope"] = json!("public");
        }
        complete(result)
    };
    let result = match seen.rpc().as_str() {
        "initialize" => json!({
            "protocolVersion": seen.json()["params"]["protocolVersion"],
            "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true}, "prompts": {}, "logging": {}},
            "serverInfo": {"name": "behind", "version": "1"},
        }),
        "server/discover" => listed(json!({
            "supportedVersions": ["2026-07-28", "2099-01-01"],
            "capabilities": {"tools": {"listChanged": true}, "extensions": {"com.example/unknown": {}}},
        })),
        "tools/list" => listed(json!({"tools": tools()})),
        "prompts/list" => {
            listed(json!({"prompts": [{"name": "summarise"}, {"name": "secret_prompt"}]}))
        }
        "resources/list" => listed(json!({"resources": [
            {"uri": "docs://handbook/a", "name": "a"}, {"uri": "docs://vault/b", "name": "b"}]})),
        "resources/read" => listed(json!({"contents": [
            {"uri": seen.json()["params"]["uri"], "mimeType": "text/plain", "text": "page"}]})),
        "prompts/get" => complete(json!({"messages": []})),
        "tools/call" => complete(json!({"content": [{"type": "text", "text": "done"}]})),
        "ping" | "logging/setLevel" | "resources/subscribe" => complete(json!({})),
        "GET" => return Play::new(405, "", ""),
        "DELETE" => return Play::new(200, "", ""),
        _ => return Play::accepted(),
    };
    let play = answer(seen, result);
    if seen.rpc() == "initialize" {
        let session = format!("behind-{}", SESSIONS.fetch_add(1, Ordering::SeqCst));
        return play.header("mcp-session-id", &session);
    }
    play
}

static SESSIONS: AtomicUsize = AtomicUsize::new(1);

pub(crate) fn tools() -> Value {
    let schema = |properties: Value| json!({"type": "object", "properties": properties});
    json!([
        {"name": "read", "inputSchema": schema(json!({"path": {"type": "string"}})), "annotations": {"readOnlyHint": true}},
        {"name": "write", "inputSchema": schema(json!({"path": {"type": "string"}, "body": {"type": "string"}}))},
        {"name": "hidden", "inputSchema": schema(json!({}))},
        {"name": "wide", "inputSchema": schema(json!({"n": {"type": "integer"}}))},
    ])
}
