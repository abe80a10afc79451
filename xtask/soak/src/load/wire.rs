//! HTTP as clients speak it: a connection that is kept, one that is not, and event streams read event by event.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Whatever takes longer hangs, and nothing may hang.
pub(crate) const LIMIT: Duration = Duration::from_secs(45);

/// A connection that is used again while it lasts.
#[derive(Debug)]
pub(crate) struct Connection {
    to: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub(crate) fn new(to: SocketAddr) -> Self {
        Self { to, sender: None }
    }

    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>> {
        tokio::time::timeout(LIMIT, self.try_send(request))
            .await
            .unwrap_or_else(|_| bail!("no answer within {} s", LIMIT.as_secs()))
    }

    async fn try_send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        if let Some(sender) = &mut self.sender
            && sender.ready().await.is_err()
        {
            self.sender = None;
        }
        let mut sender = match self.sender.take() {
            Some(sender) => sender,
            None => dial(self.to).await?,
        };
        let response = sender.send_request(request).await.context("no response")?;
        self.sender = Some(sender);
        Ok(response)
    }

    /// The next request goes over a new connection; what is under way on this one is left.
    pub(crate) fn leave(&mut self) {
        self.sender = None;
    }
}

async fn dial(to: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(to).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    sender.ready().await?;
    Ok(sender)
}

/// One event.
#[derive(Debug, Default)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) data: String,
}

impl Event {
    pub(crate) fn message(&self) -> Option<Value> {
        serde_json::from_str(&self.data).ok()
    }
}

/// A body read as events.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    pending: Vec<u8>,
    /// How long the client dawdles before each piece.
    pub(crate) pace: Duration,
}

impl Events {
    pub(crate) fn of(response: Response<Incoming>) -> Self {
        Self {
            body: response.into_body(),
            pending: Vec::new(),
            pace: Duration::ZERO,
        }
    }

    /// None at the end of the stream, however it came about.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let end = self.pending.windows(2).position(|pair| pair == b"\n\n");
            if let Some(end) = end {
                let text: Vec<u8> = self.pending.drain(..end + 2).collect();
                return Some(parsed(&String::from_utf8_lossy(&text)));
            }
            if !self.pace.is_zero() {
                tokio::time::sleep(self.pace).await;
            }
            let frame = tokio::time::timeout(LIMIT, self.body.frame())
                .await
                .ok()??;
            if let Ok(data) = frame.ok()?.into_data() {
                self.pending.extend_from_slice(&data);
            }
        }
    }
}

fn parsed(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => event.id = Some(value.to_owned()),
            "event" => event.kind = Some(value.to_owned()),
            "data" => event.data.push_str(value),
            _ => {}
        }
    }
    event
}

pub(crate) async fn text_of(response: Response<Incoming>) -> Result<String> {
    let body = tokio::time::timeout(LIMIT, response.into_body().collect()).await;
    let body = body
        .context("a body that does not end")?
        .context("a body that broke off")?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

pub(crate) fn is_events(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get("content-type");
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}
