//! Accepts connections and hands requests to a service; the edge where slow and hostile peers are bounded.
//!
//! Every await here has a limit: the TLS handshake, the request head, an answer that is not read, the number of
//! connections and of HTTP/2 streams. On shutdown the open connections are asked to finish. Until they have, new ones are
//! still taken: a running call may wait for its client's word, which comes by a request of its own.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::body::ReplyBody;
use crate::pod::door::Door;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a peer may take to send a request head (slow-loris).
const HEAD: Duration = Duration::from_secs(15);
/// How long a peer may leave what it was sent unacknowledged, in milliseconds: one that reads nothing keeps a call open.
const UNREAD: u32 = 120_000;
/// Largest request head, in bytes.
const HEAD_BYTES: usize = 64 * 1024;
/// Most headers in one request.
const HEADERS: usize = 100;
/// HTTP/2 streams a connection may hold; listen streams are long-lived, so not too few.
const STREAMS: u32 = 256;
/// How long accept pauses when the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a listener needs to know besides its service.
#[derive(Clone)]
pub struct Listening {
    pub tls: Option<TlsAcceptor>,
    /// In a pod: what stands before everything else.
    pub door: Option<Arc<Door>>,
    /// Most connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Cancelled when the process should stop taking work.
    pub stop: CancellationToken,
    /// How long open connections may take to finish after that.
    pub drain: Duration,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening")
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Host names by which a listener's own address may be asked for.
#[must_use]
pub fn own_hosts(ip: IpAddr) -> Vec<String> {
    let mut hosts = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "[::1]".to_owned(),
    ];
    let own = match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    if !ip.is_unspecified() && !hosts.contains(&own) {
        hosts.push(own);
    }
    hosts
}

/// Serves until `stop`, then drains. `service` is called once a request with the peer's address.
pub async fn serve<S, F>(listener: TcpListener, listening: Listening, service: S)
where
    S: Fn(SocketAddr, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<ReplyBody>> + Send + 'static,
{
    let Listening {
        tls,
        door,
        connections,
        stop,
        drain: limit,
    } = listening;
    let entrance = Entrance {
        listener,
        slots: Arc::new(Semaphore::new(connections)),
        closed: CancellationToken::new(),
        tls,
        door,
    };
    let graceful = GracefulShutdown::new();
    let stopped = stop.cancelled();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            guest = entrance.accept() => entrance.receive(guest, &service, Some(graceful.watcher())),
        }
    }
    let drained = drain(graceful, limit);
    tokio::pin!(drained);
    loop {
        tokio::select! {
            () = &mut drained => break,
            guest = entrance.accept() => entrance.receive(guest, &service, None),
        }
    }
    entrance.closed.cancel();
}

/// Where connections come in.
struct Entrance {
    listener: TcpListener,
    slots: Arc<Semaphore>,
    /// Cancelled when whoever is still there has to go.
    closed: CancellationToken,
    tls: Option<TlsAcceptor>,
    door: Option<Arc<Door>>,
}

/// A connection, and its place among all.
struct Guest {
    stream: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
}

impl Entrance {
    /// The next connection, when there is a place for it.
    async fn accept(&self) -> Guest {
        loop {
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
                return std::future::pending().await; // never closed
            };
            match self.listener.accept().await {
                Ok((stream, peer)) => return Guest { stream, peer, slot },
                Err(error) => {
                    // Out of descriptors or a peer that went away: neither may end the listener.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves one connection beside the others; without a watcher nobody waits for its end.
    fn receive<S, F>(&self, guest: Guest, service: &S, watcher: Option<Watcher>)
    where
        S: Fn(SocketAddr, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<ReplyBody>> + Send + 'static,
    {
        let Guest { stream, peer, slot } = guest;
        // Small answers must not wait for a delayed acknowledgement; failure only costs latency.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        if let Err(error) = set_tcp_user_timeout(&stream, UNREAD) {
            tracing::debug!(%error, "cannot set TCP_USER_TIMEOUT");
        }
        let service = service.clone();
        let tls = self.tls.clone();
        let door = self.door.clone();
        let closed = self.closed.clone();
        let serving = async move {
            let stream = match door {
                None => stream,
                Some(door) => match door.enter(stream, peer).await {
                    Some(stream) => stream,
                    None => return,
                },
            };
            match tls {
                None => connection(TokioIo::new(stream), peer, service, watcher).await,
                Some(acceptor) => {
                    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => {
                            connection(TokioIo::new(stream), peer, service, watcher).await;
                        }
                        Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                        Err(_) => tracing::debug!(%peer, "TLS handshake timed out"),
                    }
                }
            }
        };
        tokio::spawn(async move {
            let _slot = slot;
            tokio::select! {
                () = closed.cancelled() => {}
                () = serving => {}
            }
        });
    }
}

async fn connection<I, S, F>(io: TokioIo<I>, peer: SocketAddr, service: S, watcher: Option<Watcher>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Fn(SocketAddr, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<ReplyBody>> + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(Duration::from_secs(20));
    let heard = CancellationToken::new();
    let first = heard.clone();
    let service = service_fn(move |request| {
        first.cancel();
        let reply = service(peer, request);
        async move { Ok::<_, Infallible>(reply.await) }
    });
    let serving = builder.serve_connection(io, service).into_owned();
    let serving = async {
        match watcher {
            Some(watcher) => watcher.watch(serving).await,
            None => serving.await,
        }
    };
    tokio::select! {
        ended = serving => {
            if let Err(error) = ended {
                tell(peer, error.as_ref());
            }
        }
        () = silence(&heard) => tell_code(peer, SLOW_HEAD),
    }
}

/// Returns where no request has come in time. The limit on heads begins only when it is known which version of HTTP
/// they are in, and a peer that says nothing, or half of a preface, would never get there.
async fn silence(heard: &CancellationToken) {
    if tokio::time::timeout(HEAD, heard.cancelled()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

const SLOW_HEAD: &str = "slow_head";

/// What no request came of has no record, so it is told here; a peer that merely went away is not.
fn tell(peer: SocketAddr, error: &(dyn Error + 'static)) {
    tracing::debug!(%peer, %error, "connection ended early");
    let Some(error) = error.downcast_ref::<hyper::Error>() else {
        return;
    };
    let broken = error
        .source()
        .is_some_and(|source| source.is::<std::io::Error>());
    let left = broken
        || error.is_incomplete_message()
        || error.is_closed()
        || error.is_canceled()
        || error.is_body_write_aborted();
    if error.is_timeout() {
        tell_code(peer, SLOW_HEAD);
    } else if !left {
        tell_code(peer, "malformed_http");
    }
}

fn tell_code(peer: SocketAddr, code: &str) {
    tracing::info!(target: "sallyport::audit", code, %peer, "connection refused");
}

async fn drain(graceful: GracefulShutdown, limit: Duration) {
    if tokio::time::timeout(limit, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            ?limit,
            "connections still open after the drain time; closing them"
        );
    }
}
