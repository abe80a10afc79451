//! The server over Streamable HTTP (`/mcp`) and HTTP+SSE (`/sse`, `/messages`), on one port.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::ledger::Ledger;
use super::{Act, Call, Fault, plain};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How long a session's own stream lasts before its client has to resume it.
const STREAM: Duration = Duration::from_millis(1500);
/// Pushes on one such stream.
const PUSHES: u64 = 5;

struct State {
    ledger: Ledger,
    next: AtomicU64,
    open: Mutex<Open>,
    /// Moves when idle connections are to be closed.
    quiet: watch::Sender<u64>,
}

#[derive(Default)]
struct Open {
    /// The mark of whoever opened a session, by its id.
    sessions: HashMap<String, String>,
    /// Answers that wait for their client to resume, by event id.
    parked: HashMap<String, String>,
    /// Streams of the older transport.
    pipes: HashMap<String, mpsc::UnboundedSender<Act>>,
}

/// Serves until the process is ended.
pub(crate) async fn serve(ledger: &Path, say: impl Fn(&str) -> Result<()>) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let state = Arc::new(State {
        ledger: Ledger::open(ledger)?,
        next: AtomicU64::new(1),
        open: Mutex::default(),
        quiet: watch::Sender::new(0),
    });
    say(&listener.local_addr()?.to_string())?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream, Arc::clone(&state)));
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    let mut quiet = state.quiet.subscribe();
    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
    let mut serving = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    loop {
        tokio::select! {
            // A connection that a peer or a fault breaks off is what this server is for.
            _ = serving.as_mut() => return,
            Ok(()) = quiet.changed() => serving.as_mut().graceful_shutdown(),
        }
    }
}

/// An error breaks the connection off.
async fn answer(request: Request<Incoming>, state: Arc<State>) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let Ok(body) = body.collect().await else {
        return Ok(empty(StatusCode::BAD_REQUEST));
    };
    let message: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    let session = header("mcp-session-id").map(str::to_owned);
    match (parts.uri.path(), parts.method.clone()) {
        ("/control/quiet", _) => {
            state.quiet.send_modify(|count| *count += 1);
            Ok(empty(StatusCode::OK))
        }
        ("/control/open", _) => Ok(json_body(StatusCode::OK, state.counts())),
        ("/sse", Method::GET) => Ok(state.pipe()),
        ("/messages", Method::POST) => Ok(state.piped(parts.uri.query(), &message)),
        ("/mcp", Method::POST) => state.post(&message, session).await,
        ("/mcp", Method::GET) => Ok(state.listen(session.as_deref(), header("last-event-id"))),
        ("/mcp", Method::DELETE) => Ok(state.end(session)),
        (_, _) => Ok(empty(StatusCode::METHOD_NOT_ALLOWED)),
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn counts(&self) -> String {
        let open = self.lock();
        json!({ "sessions": open.sessions.len(), "pipes": open.pipes.len() }).to_string()
    }

    async fn post(&self, message: &Value, session: Option<String>) -> io::Result<Response<Body>> {
        let known = session
            .as_ref()
            .is_none_or(|id| self.lock().sessions.contains_key(id));
        if !known {
            return Ok(empty(StatusCode::NOT_FOUND));
        }
        if message.get("id").is_none() || message.get("method").is_none() {
            return Ok(empty(StatusCode::ACCEPTED));
        }
        let Some(call) = Call::of(message) else {
            return Ok(self.other(message));
        };
        self.ledger.ran(&call.nonce).map_err(io::Error::other)?;
        self.call(&call, session).await
    }

    fn other(&self, message: &Value) -> Response<Body> {
        let mut response = json_body(StatusCode::OK, plain(message));
        if message.get("method").and_then(Value::as_str) == Some("initialize") {
            let id = format!("behind-{}", self.fresh());
            let name = message
                .pointer("/params/clientInfo/name")
                .and_then(Value::as_str);
            self.lock()
                .sessions
                .insert(id.clone(), name.unwrap_or_default().to_owned());
            if let Ok(value) = HeaderValue::try_from(id) {
                response.headers_mut().insert("mcp-session-id", value);
            }
        }
        response
    }

    async fn call(&self, call: &Call, session: Option<String>) -> io::Result<Response<Body>> {
        match (call.fault, session) {
            (Fault::Poll, Some(session)) => return Ok(self.park(call, &session)),
            (Fault::Die, _) => return Err(io::ErrorKind::ConnectionReset.into()),
            (Fault::ContentType, _) => {
                let mut response = json_body(StatusCode::OK, format!("<p>{}</p>", call.nonce));
                content_type(&mut response, "text/html");
                return Ok(response);
            }
            (Fault::Status, _) => {
                let mut response = json_body(StatusCode::INTERNAL_SERVER_ERROR, "it broke".into());
                content_type(&mut response, "text/plain");
                return Ok(response);
            }
            (_, _) => {}
        }
        let acts: VecDeque<Act> = call.acts().into();
        if call.events || call.fault == Fault::Endless {
            return Ok(streaming(framed(acts), "text/event-stream"));
        }
        whole(acts).await
    }

    /// The stream ends before the answer; whoever resumes it gets the answer.
    fn park(&self, call: &Call, session: &str) -> Response<Body> {
        let event = format!("{session}.{}", self.fresh());
        let priming = format!("id: {event}\nretry: 50\ndata: \n\n");
        self.lock().parked.insert(event, call.answer());
        streaming(framed([Act::Raw(priming)].into()), "text/event-stream")
    }

    /// What a session hears unasked, or the rest of a stream that it resumes.
    fn listen(&self, session: Option<&str>, last: Option<&str>) -> Response<Body> {
        let mut open = self.lock();
        let Some(owner) = session.and_then(|id| open.sessions.get(id)).cloned() else {
            return empty(StatusCode::NOT_FOUND);
        };
        let parked = last.and_then(|last| open.parked.remove(last));
        drop(open);
        if let Some(answer) = parked {
            // Whoever asks gets it: a stranger that got here would hold another client's mark.
            return streaming(framed([Act::Say(answer)].into()), "text/event-stream");
        }
        let from: u64 = last
            .and_then(|last| last.rsplit('.').next()?.parse().ok())
            .unwrap_or(0);
        let mut acts = VecDeque::from([Act::Raw("retry: 50\n\n".into())]);
        for number in from + 1..=from + PUSHES {
            let params = json!({ "level": "info", "data": format!("{owner}push{number}") });
            let push =
                json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params });
            acts.push_back(Act::Raw(format!("id: push.{number}\ndata: {push}\n\n")));
            acts.push_back(Act::Wait(STREAM / 5));
        }
        streaming(framed(acts), "text/event-stream")
    }

    fn end(&self, session: Option<String>) -> Response<Body> {
        let known = session.and_then(|id| self.lock().sessions.remove(&id));
        empty(known.map_or(StatusCode::NOT_FOUND, |_| StatusCode::OK))
    }

    /// The stream of the older transport; messages of all its posts come here.
    fn pipe(self: &Arc<Self>) -> Response<Body> {
        let id = format!("pipe-{}", self.fresh());
        let (sender, acts) = mpsc::unbounded_channel();
        self.lock().pipes.insert(id.clone(), sender);
        let endpoint = format!("event: endpoint\ndata: /messages?sessionId={id}\n\n");
        let gone = Gone {
            state: Arc::clone(self),
            id,
        };
        let first = stream::iter([Ok(Bytes::from(endpoint))]);
        let rest = stream::unfold((acts, gone), |(mut acts, gone)| async move {
            let piece = match acts.recv().await? {
                Act::Say(text) => Ok(Bytes::from(format!("event: message\ndata: {text}\n\n"))),
                Act::Raw(text) => Ok(Bytes::from(text)),
                Act::Wait(_) => Ok(Bytes::from_static(b":\n\n")),
                Act::Break => Err(io::ErrorKind::ConnectionReset.into()),
            };
            Some((piece, (acts, gone)))
        });
        streaming(first.chain(rest).boxed(), "text/event-stream")
    }

    fn piped(&self, query: Option<&str>, message: &Value) -> Response<Body> {
        let id = query
            .and_then(|query| query.strip_prefix("sessionId="))
            .unwrap_or_default();
        let Some(pipe) = self.lock().pipes.get(id).cloned() else {
            return empty(StatusCode::NOT_FOUND);
        };
        if message.get("id").is_none() || message.get("method").is_none() {
            return empty(StatusCode::ACCEPTED);
        }
        let acts = match Call::of(message) {
            Some(call) if self.ledger.ran(&call.nonce).is_ok() => call.acts(),
            Some(_) => vec![Act::Break],
            None => vec![Act::Say(plain(message))],
        };
        // Pauses are of this call, not of the stream that others share.
        tokio::spawn(async move {
            for act in acts {
                if let Act::Wait(time) = act {
                    tokio::time::sleep(time).await;
                } else if pipe.send(act).is_err() {
                    return;
                }
            }
        });
        empty(StatusCode::ACCEPTED)
    }
}

/// Forgets a pipe whose stream is no longer read.
struct Gone {
    state: Arc<State>,
    id: String,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.state.lock().pipes.remove(&self.id);
    }
}

/// Acts as pieces of an event stream.
fn framed(acts: VecDeque<Act>) -> BoxStream<'static, io::Result<Bytes>> {
    stream::unfold(acts, |mut acts| async move {
        loop {
            let piece = match acts.pop_front()? {
                Act::Say(text) => Ok(Bytes::from(format!("data: {text}\n\n"))),
                Act::Raw(text) => Ok(Bytes::from(text)),
                Act::Wait(time) => {
                    tokio::time::sleep(time).await;
                    continue;
                }
                Act::Break => Err(io::ErrorKind::ConnectionReset.into()),
            };
            return Some((piece, acts));
        }
    })
    .boxed()
}

/// Acts as one JSON body: the first thing said is the whole answer.
async fn whole(acts: VecDeque<Act>) -> io::Result<Response<Body>> {
    for act in acts {
        match act {
            Act::Wait(time) => tokio::time::sleep(time).await,
            Act::Break => return Err(io::ErrorKind::ConnectionReset.into()),
            Act::Raw(text) => {
                let pieces = [
                    Ok(Bytes::from(text)),
                    Err(io::ErrorKind::ConnectionReset.into()),
                ];
                return Ok(streaming(stream::iter(pieces).boxed(), "application/json"));
            }
            // A body has no place for what comes before an answer.
            Act::Say(text) if text.contains("notifications/") => {}
            Act::Say(text) => return Ok(json_body(StatusCode::OK, text)),
        }
    }
    Ok(empty(StatusCode::INTERNAL_SERVER_ERROR))
}

fn streaming(pieces: BoxStream<'static, io::Result<Bytes>>, kind: &'static str) -> Response<Body> {
    let body = StreamBody::new(pieces.map(|piece| piece.map(Frame::data)));
    let mut response = Response::new(BodyExt::boxed_unsync(body));
    content_type(&mut response, kind);
    response
}

fn json_body(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(full(Bytes::from(text)));
    *response.status_mut() = status;
    content_type(&mut response, "application/json");
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

fn content_type(response: &mut Response<Body>, kind: &'static str) {
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(kind));
}
