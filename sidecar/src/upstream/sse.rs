//! Reading server-sent events from a response, and servers that speak the HTTP+SSE transport of 2024-11-05.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Uri};
use http_body::Body;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use sallyport_policy::sse::{Item, Parser, SseError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::stdio::Pipe;
use super::{CONNECT, Limit, UpstreamError};
use crate::body::pieces;
use crate::credential::HeaderCredential;
use crate::memory::{Memory, Share};

/// How long the server may take to name the address for posts.
const ENDPOINT: Duration = Duration::from_secs(10);
const QUEUE: usize = 64;

/// The events of a response body, each at most `limit` bytes; what is held of them counts in `memory`.
pub fn events_of<B>(
    body: B,
    limit: usize,
    memory: &Memory,
) -> impl Stream<Item = Result<Item, UpstreamError>> + Send + use<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::fmt::Display,
{
    let start = Reading {
        pieces: pieces(body).boxed(),
        parser: Parser::new(limit),
        ready: Vec::new(),
        unfinished: 0,
        share: memory.hold(0),
        over: false,
    };
    futures_util::stream::unfold(start, |mut reading| async move {
        let next = reading.next().await?;
        Some((next, reading))
    })
}

struct Reading {
    pieces: futures_util::stream::BoxStream<'static, Result<Bytes, String>>,
    parser: Parser,
    /// Parsed items, the next one last.
    ready: Vec<Item>,
    /// Bytes that came since the last item, at most those of the event in the making.
    unfinished: usize,
    share: Share,
    over: bool,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Item, UpstreamError>> {
        loop {
            if let Some(item) = self.ready.pop() {
                self.count();
                return Some(Ok(item));
            }
            if self.over {
                return None;
            }
            match self.pieces.next().await {
                // An event that the end cut off is never completed.
                None => return None,
                Some(Err(error)) => {
                    self.over = true;
                    return Some(Err(UpstreamError::BrokeOff(error)));
                }
                Some(Ok(piece)) => {
                    let size = piece.len();
                    let pushed = self.parser.push(piece, &mut self.ready);
                    self.ready.reverse();
                    self.unfinished = match (self.ready.is_empty(), self.parser.is_mid_event()) {
                        (true, _) => self.unfinished.saturating_add(size),
                        (false, true) => size,
                        (false, false) => 0,
                    };
                    self.count();
                    if let Err(error) = pushed {
                        self.over = true;
                        return Some(Err(match error {
                            SseError::TooLarge { limit } => UpstreamError::TooLarge { limit },
                            SseError::Utf8(_) => UpstreamError::BrokeOff(error.to_string()),
                        }));
                    }
                }
            }
        }
    }
}

impl Reading {
    /// What is held: the event in the making and those that nobody has taken yet (law 15).
    fn count(&mut self) {
        let bytes = |item: &Item| match item {
            Item::Event(event) => event.data.as_ref().map_or(0, Bytes::len),
            Item::Comment(text) => text.len(),
        };
        let ready: usize = self.ready.iter().map(bytes).sum();
        self.share.set(ready.saturating_add(self.unfinished));
    }
}

/// Where an HTTP+SSE server is.
#[derive(Clone)]
pub struct SseServer {
    pub client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    pub uri: Uri,
    pub credentials: Arc<[HeaderCredential]>,
    pub event_limit: Limit,
    pub memory: Memory,
}

impl std::fmt::Debug for SseServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SseServer")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

/// Opens the stream, learns where to post, and starts the two pumps.
pub async fn connect(server: &SseServer) -> Result<Pipe, UpstreamError> {
    let mut request = server.request(Method::GET, server.uri.clone(), Bytes::new());
    request
        .headers_mut()
        .insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let response = tokio::time::timeout(CONNECT, server.client.request(request))
        .await
        .map_err(|_| UpstreamError::TimedOut)?
        .map_err(|error| UpstreamError::Unreachable(error.to_string()))?;
    if !response.status().is_success() {
        return Err(UpstreamError::Unreachable(format!(
            "the event stream answered {}",
            response.status()
        )));
    }
    let limit = server.event_limit.now();
    let mut events = events_of(response.into_body(), limit, &server.memory).boxed();
    let endpoint = tokio::time::timeout(ENDPOINT, endpoint(&mut events, &server.uri))
        .await
        .map_err(|_| UpstreamError::TimedOut)??;

    let (outgoing, posts) = mpsc::channel(QUEUE);
    let (messages, incoming) = mpsc::channel(QUEUE);
    let (gone, stop) = (CancellationToken::new(), CancellationToken::new());
    tokio::spawn(read(events, messages, gone.clone(), stop.clone()));
    tokio::spawn(write(server.clone(), endpoint, posts, stop.clone()));
    Ok(Pipe {
        outgoing,
        incoming,
        gone,
        stop,
    })
}

impl SseServer {
    fn request(&self, method: Method, uri: Uri, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        for credential in self.credentials.iter() {
            request
                .headers_mut()
                .insert(credential.name().clone(), credential.value());
        }
        request
    }
}

/// The first event names the address for posts; it must lie on the server we dialled.
async fn endpoint(
    events: &mut (impl Stream<Item = Result<Item, UpstreamError>> + Unpin),
    base: &Uri,
) -> Result<Uri, UpstreamError> {
    while let Some(item) = events.next().await {
        let Item::Event(event) = item? else { continue };
        if event.name() != "endpoint" {
            continue;
        }
        let text = event.data.unwrap_or_default();
        let text = std::str::from_utf8(&text).unwrap_or_default().trim();
        return resolve(base, text).ok_or_else(|| {
            UpstreamError::Unreachable("the server names an address elsewhere for posts".into())
        });
    }
    Err(UpstreamError::Unreachable(
        "the event stream names no address for posts".into(),
    ))
}

fn resolve(base: &Uri, text: &str) -> Option<Uri> {
    if !text.starts_with('/') && text.contains("://") {
        let given: Uri = text.parse().ok()?;
        let same = given.authority() == base.authority() && given.scheme() == base.scheme();
        return same.then_some(given);
    }
    let path = if text.starts_with('/') {
        text.to_owned()
    } else {
        let folder = base
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{folder}/{text}")
    };
    Uri::builder()
        .scheme(base.scheme()?.clone())
        .authority(base.authority()?.clone())
        .path_and_query(path)
        .build()
        .ok()
}

async fn read(
    mut events: futures_util::stream::BoxStream<'static, Result<Item, UpstreamError>>,
    messages: mpsc::Sender<Bytes>,
    gone: CancellationToken,
    stop: CancellationToken,
) {
    loop {
        let item = tokio::select! {
            () = stop.cancelled() => break,
            item = events.next() => item,
        };
        match item {
            Some(Ok(Item::Event(event))) if event.name() == "message" => {
                let Some(data) = event.data else { continue };
                if messages.send(data).await.is_err() {
                    break;
                }
            }
            Some(Ok(Item::Event(_) | Item::Comment(_))) => {}
            Some(Err(error)) => {
                tracing::warn!(%error, "the server's event stream ended");
                break;
            }
            None => break,
        }
    }
    gone.cancel();
    stop.cancel();
}

async fn write(
    server: SseServer,
    endpoint: Uri,
    mut posts: mpsc::Receiver<Bytes>,
    stop: CancellationToken,
) {
    loop {
        let message = tokio::select! {
            () = stop.cancelled() => return,
            message = posts.recv() => message,
        };
        let Some(message) = message else {
            stop.cancel();
            return;
        };
        let mut request = server.request(Method::POST, endpoint.clone(), message);
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match server.client.request(request).await {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => {
                tracing::warn!(status = %response.status(), "the server refused a message");
            }
            Err(error) => {
                tracing::warn!(%error, "a message could not be posted to the server");
                stop.cancel();
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_for_posts_stays_on_the_server() {
        let base: Uri = "http://127.0.0.1:9000/a/sse".parse().unwrap();
        let rows = [
            ("/messages?s=1", Some("http://127.0.0.1:9000/messages?s=1")),
            ("messages?s=1", Some("http://127.0.0.1:9000/a/messages?s=1")),
            ("http://127.0.0.1:9000/m", Some("http://127.0.0.1:9000/m")),
            ("http://127.0.0.1:9001/m", None),
            ("http://evil.example.com/m", None),
            ("https://127.0.0.1:9000/m", None),
        ];
        for (text, expected) in rows {
            assert_eq!(
                resolve(&base, text).map(|uri| uri.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
