//! The load: connections that each open a session and then call, one call after the other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A call that takes longer is a failure, not a figure.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// Calls made before anything is timed: caches fill, connections to the server open.
const WARM_UP: u32 = 20;

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    token: Option<HeaderValue>,
    session: Option<HeaderValue>,
    next: u64,
}

/// Makes the calls and tells microseconds a call: median, 99th percentile, and the whole run's length.
pub(crate) async fn run(
    to: SocketAddr,
    connections: u32,
    calls: u32,
    token: Option<String>,
) -> Result<Value> {
    ensure!(
        to.ip().is_loopback(),
        "the load goes to this machine only, not to {to}"
    );
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(to, token.as_deref()).await?);
    }
    let began = Instant::now();
    let tasks: Vec<_> = open
        .into_iter()
        .map(|connection| tokio::spawn(connection.calls(calls)))
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await??);
    }
    let whole = began.elapsed();
    took.sort_unstable();
    let part = |percent: usize| {
        took.get(took.len().saturating_sub(1) * percent / 100)
            .map(Duration::as_micros)
    };
    Ok(json!({
        "calls": took.len(),
        "seconds": whole.as_secs_f64(),
        "p50": part(50),
        "p99": part(99),
    }))
}

impl Connection {
    async fn open(to: SocketAddr, token: Option<&str>) -> Result<Self> {
        let stream = TcpStream::connect(to)
            .await
            .with_context(|| format!("cannot connect to {to}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let token = token
            .map(|token| HeaderValue::try_from(format!("Bearer {token}")))
            .transpose()?;
        let mut opened = Self {
            sender,
            host: to.to_string(),
            token,
            session: None,
            next: 0,
        };
        opened.begin().await?;
        for _ in 0..WARM_UP {
            opened.call().await?;
        }
        Ok(opened)
    }

    async fn begin(&mut self) -> Result<()> {
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "load", "version": "1.0.0" },
        });
        let id = self.fresh();
        let hello = json!({ "jsonrpc": "2.0", "id": id, "method": "initialize", "params": params });
        let response = self.send(&hello).await?;
        self.session = response.headers().get("mcp-session-id").cloned();
        whole(response).await?;
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        whole(self.send(&ready).await?).await?;
        Ok(())
    }

    async fn calls(mut self, calls: u32) -> Result<Vec<Duration>> {
        let mut took = Vec::new();
        for _ in 0..calls {
            let began = Instant::now();
            tokio::time::timeout(CALL_LIMIT, self.call())
                .await
                .context("a call took too long")??;
            took.push(began.elapsed());
        }
        Ok(took)
    }

    async fn call(&mut self) -> Result<()> {
        let id = self.fresh();
        let params = json!({ "name": "lookup", "arguments": { "id": 17, "columns": ["name", "aisle", "count"] } });
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        let body = whole(self.send(&call).await?).await?;
        // A refusal would be quick, and would make a fine figure.
        if !body.windows(6).any(|window| window == b"row 17") {
            bail!(
                "not the server's answer: {}",
                String::from_utf8_lossy(&body)
            );
        }
        Ok(())
    }

    async fn send(&mut self, message: &Value) -> Result<Response<Incoming>> {
        let mut request =
            Request::post("/mcp").body(Full::new(Bytes::from(message.to_string())))?;
        let headers = request.headers_mut();
        headers.insert("host", HeaderValue::try_from(&self.host)?);
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert(
            "accept",
            HeaderValue::from_static("application/json, text/event-stream"),
        );
        headers.insert(
            "mcp-protocol-version",
            HeaderValue::from_static("2025-11-25"),
        );
        headers.extend(
            self.token
                .clone()
                .map(|token| (http::header::AUTHORIZATION, token)),
        );
        headers.extend(
            self.session
                .clone()
                .map(|id| (http::HeaderName::from_static("mcp-session-id"), id)),
        );
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

async fn whole(response: Response<Incoming>) -> Result<Bytes> {
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    ensure!(
        status.is_success(),
        "{status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(body)
}
