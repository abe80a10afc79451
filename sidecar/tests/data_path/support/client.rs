//! A client that says exactly what a test tells it to, and hides nothing of what comes back.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, soon};

/// One caller.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    pool: Pool<HttpConnector, Full<Bytes>>,
    /// Sent with every request.
    pub(crate) headers: Vec<(String, String)>,
    /// The revision whose rules it follows; none: nothing is said.
    pub(crate) revision: Option<&'static str>,
}

/// An answer read whole.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(_) => panic!("no JSON: {self:?}"),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The code of a JSON-RPC error; 0 where there is none.
    pub(crate) fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap_or(0)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// An answer that is read event by event.
pub(crate) struct Stream {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    pending: BytesMut,
}

impl Stream {
    /// The next event or comment as it was sent; none at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        soon("a stream", async {
            loop {
                let text = String::from_utf8_lossy(&self.pending).into_owned();
                if let Some(end) = text.find("\n\n") {
                    drop(self.pending.split_to(end + 2));
                    return Some(text[..end].to_owned());
                }
                let frame = self.body.frame().await?.ok()?;
                if let Ok(data) = frame.into_data() {
                    self.pending.extend_from_slice(&data);
                }
            }
        })
        .await
    }

    /// The next message; comments and empty events are skipped.
    pub(crate) async fn message(&mut self) -> Option<Value> {
        loop {
            let event = self.next().await?;
            let data: Vec<_> = event
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .map(str::trim)
                .collect();
            if let Ok(value) = serde_json::from_str(&data.join("\n")) {
                return Some(value);
            }
        }
    }

    /// All messages until the stream ends.
    pub(crate) async fn rest(mut self) -> Vec<Value> {
        let mut all = VecDeque::new();
        while let Some(message) = self.message().await {
            all.push_back(message);
        }
        all.into()
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr, token: Option<String>) -> Self {
        let mut headers = vec![(
            "accept".to_owned(),
            "application/json, text/event-stream".to_owned(),
        )];
        headers.extend(token.map(|token| ("authorization".to_owned(), format!("Bearer {token}"))));
        Self {
            address,
            pool: Pool::builder(TokioExecutor::new()).build_http(),
            headers,
            revision: None,
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// Speaks the newest revision.
    pub(crate) fn modern(mut self) -> Self {
        self.revision = Some("2026-07-28");
        self
    }

    /// Opens a session and speaks in it.
    pub(crate) async fn session(self, revision: &'static str) -> Self {
        let reply = self.initialize(revision).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let session = reply.header("mcp-session-id").to_owned();
        let client = self.with("mcp-protocol-version", revision);
        if session.is_empty() {
            return client;
        }
        client.with("mcp-session-id", &session)
    }

    pub(crate) async fn initialize(&self, revision: &str) -> Reply {
        let params = json!({"protocolVersion": revision, "capabilities": {"sampling": {}, "elicitation": {}, "roots": {}},
                            "clientInfo": {"name": "test", "version": "1"}});
        self.request("initialize", params).await
    }

    /// The body of a request, with what the client's revision wants in it.
    pub(crate) fn body(&self, id: &Value, method: &str, mut params: Value) -> Value {
        if let Some(revision) = self.revision {
            let meta = json!({"io.modelcontextprotocol/protocolVersion": revision,
                              "io.modelcontextprotocol/clientCapabilities": {"sampling": {}, "elicitation": {}}});
            for (key, value) in meta.as_object().unwrap() {
                if params["_meta"].get(key).is_none() {
                    params["_meta"][key] = value.clone();
                }
            }
        }
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    }

    pub(crate) async fn request(&self, method: &str, params: Value) -> Reply {
        let body = self.body(&json!(1), method, params);
        self.mirrored(&body).post(body.to_string()).await
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Reply {
        self.request("tools/call", json!({"name": tool, "arguments": arguments}))
            .await
    }

    pub(crate) async fn streaming(&self, id: &Value, method: &str, params: Value) -> Stream {
        let body = self.body(id, method, params);
        let client = self.mirrored(&body);
        client
            .open(Method::POST, "/mcp", body.to_string().into())
            .await
    }

    pub(crate) async fn notify(&self, method: &str, params: Value) -> Reply {
        let body = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.post(body.to_string()).await
    }

    /// The headers that the newest revision mirrors from the body.
    pub(crate) fn mirrored(&self, body: &Value) -> Self {
        let Some(revision) = self.revision else {
            return self.clone();
        };
        let mut client = self
            .clone()
            .with("mcp-protocol-version", revision)
            .with("mcp-method", body["method"].as_str().unwrap());
        let named = [&body["params"]["name"], &body["params"]["uri"]];
        if let Some(name) = named.iter().find_map(|name| name.as_str())
            && body["method"] != "resources/subscribe"
        {
            client = client.with("mcp-name", name);
        }
        client
    }

    pub(crate) async fn post(&self, body: impl Into<Bytes>) -> Reply {
        self.send(Method::POST, "/mcp", body.into()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, Bytes::new()).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Bytes) -> Reply {
        let stream = self.open(method, path, body).await;
        let (status, headers) = (stream.status, stream.headers);
        let body = soon("a body", stream.body.collect())
            .await
            .unwrap()
            .to_bytes();
        Reply {
            status,
            headers,
            body,
        }
    }

    pub(crate) async fn open(&self, method: Method, path: &str, body: Bytes) -> Stream {
        let mut request = Request::builder()
            .method(&method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if method == Method::POST && !self.headers.iter().any(|(name, _)| name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(body)).unwrap();
        let response = soon("an answer", self.pool.request(request)).await.unwrap();
        let (parts, body) = response.into_parts();
        Stream {
            status: parts.status,
            headers: parts.headers,
            body,
            pending: BytesMut::new(),
        }
    }
}

/// Sends bytes as they are and reads until the guard closes or says nothing for a while.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    let mut quiet = PATIENCE;
    loop {
        match tokio::time::timeout(quiet, stream.read(&mut buffer)).await {
            Ok(Ok(0)) | Err(_) => break,
            Ok(Ok(read)) => heard.extend_from_slice(&buffer[..read]),
            Ok(Err(error)) => {
                heard.extend_from_slice(error.to_string().as_bytes());
                break;
            }
        }
        quiet = Duration::from_secs(1);
    }
    String::from_utf8_lossy(&heard).into_owned()
}
