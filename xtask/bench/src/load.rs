//! The load: connections that each open a session, if their revision has one, and then call, one call after the other.

use std::io::BufRead;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A call that takes longer is a failure, not a figure.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// Calls made before anything is measured: caches fill, connections to the server open.
const WARM_UP: u32 = 20;

/// What is sent, and how often.
#[derive(Debug, Clone, Args)]
pub(crate) struct Plan {
    /// Where the proxy, or the server itself, listens. Loopback only.
    #[arg(long)]
    to: SocketAddr,
    /// Connections at once, each with a session of its own where the revision has sessions.
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// Calls on each connection.
    #[arg(long, default_value_t = 500)]
    calls: u32,
    /// Least size of an answer's text.
    #[arg(long, default_value_t = 1024)]
    bytes: u32,
    /// Asks for the answer as server-sent events.
    #[arg(long)]
    stream: bool,
    #[arg(long, value_enum, default_value_t)]
    revision: Revision,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Revision {
    /// 2025-11-25, with a session.
    #[default]
    Legacy,
    /// 2026-07-28, without.
    Newest,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    headers: HeaderMap,
    plan: Plan,
    next: u64,
}

/// Warms up, says `ready`, waits for a line, makes the calls, and tells what they took.
pub(crate) async fn run(
    plan: Plan,
    token: Option<String>,
    say: impl Fn(&str) -> Result<()>,
) -> Result<()> {
    ensure!(
        plan.to.ip().is_loopback(),
        "the load goes to this machine only, not to {}",
        plan.to
    );
    let mut open = Vec::new();
    for _ in 0..plan.connections {
        open.push(Connection::open(&plan, token.as_deref()).await?);
    }
    // Whoever measures notes the counters now; nothing runs meanwhile.
    say("ready")?;
    std::io::stdin().lock().read_line(&mut String::new())?;
    let began = Instant::now();
    let tasks: Vec<_> = open
        .into_iter()
        .map(|connection| tokio::spawn(connection.calls(plan.calls)))
        .collect();
    let mut took = Vec::new();
    let mut kept = Vec::new();
    for task in tasks {
        let (connection, times) = task.await??;
        took.extend(times);
        kept.push(connection);
    }
    let report = report(took, began.elapsed());
    say(&report.to_string())?;
    // The connections stay open until the counters were read again.
    std::io::stdin().lock().read_line(&mut String::new())?;
    drop(kept);
    Ok(())
}

/// Microseconds a call.
fn report(mut took: Vec<Duration>, whole: Duration) -> Value {
    took.sort_unstable();
    let part = |percent: usize| {
        took.get(took.len().saturating_sub(1) * percent / 100)
            .map(|time| time.as_nanos() / 1000)
    };
    json!({ "calls": took.len(), "seconds": whole.as_secs_f64(), "p50": part(50), "p99": part(99) })
}

impl Connection {
    async fn open(plan: &Plan, token: Option<&str>) -> Result<Self> {
        let stream = TcpStream::connect(plan.to)
            .await
            .with_context(|| format!("cannot connect to {}", plan.to))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut opened = Self {
            sender,
            headers: headers(plan, token)?,
            plan: plan.clone(),
            next: 0,
        };
        if plan.revision == Revision::Legacy {
            opened.begin().await?;
        }
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
        let session = response.headers().get("mcp-session-id").cloned();
        whole(response).await?;
        let name = HeaderName::from_static("mcp-session-id");
        self.headers
            .insert(name, session.context("no session was opened")?);
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        whole(self.send(&ready).await?).await?;
        Ok(())
    }

    async fn calls(mut self, calls: u32) -> Result<(Self, Vec<Duration>)> {
        let mut took = Vec::new();
        for _ in 0..calls {
            let began = Instant::now();
            tokio::time::timeout(CALL_LIMIT, self.call())
                .await
                .context("a call took too long")??;
            took.push(began.elapsed());
        }
        Ok((self, took))
    }

    async fn call(&mut self) -> Result<()> {
        let arguments = json!({ "id": 17, "columns": ["name", "aisle", "count"],
            "bytes": self.plan.bytes, "stream": self.plan.stream });
        let mut params = json!({ "name": "lookup", "arguments": arguments });
        if let (Revision::Newest, Some(params)) = (self.plan.revision, params.as_object_mut()) {
            let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": { "name": "load", "version": "1.0.0" },
                "io.modelcontextprotocol/clientCapabilities": {} });
            params.insert("_meta".to_owned(), meta);
        }
        let id = self.fresh();
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        let body = whole(self.send(&call).await?).await?;
        // A refusal would be quick, and would make a fine figure.
        let large = body.len() >= usize::try_from(self.plan.bytes)?;
        if !large || !body.windows(6).take(512).any(|window| window == b"row 17") {
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
        *request.headers_mut() = self.headers.clone();
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

fn headers(plan: &Plan, token: Option<&str>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::try_from(plan.to.to_string())?);
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let both = HeaderValue::from_static("application/json, text/event-stream");
    headers.insert("accept", both);
    let version = match plan.revision {
        Revision::Legacy => "2025-11-25",
        Revision::Newest => "2026-07-28",
    };
    headers.insert("mcp-protocol-version", HeaderValue::from_static(version));
    if plan.revision == Revision::Newest {
        headers.insert("mcp-method", HeaderValue::from_static("tools/call"));
        headers.insert("mcp-name", HeaderValue::from_static("lookup"));
    }
    if let Some(token) = token {
        let value = HeaderValue::try_from(format!("Bearer {token}"))?;
        headers.insert(http::header::AUTHORIZATION, value);
    }
    Ok(headers)
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
