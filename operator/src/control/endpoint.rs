//! Takes the sidecars' streams: TLS, a hello within seconds, and then lines in both directions until either side is
//! silent for too long. Only the leader keeps streams; another replica says so and hangs up.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use sallyport_policy::control::{ALIVE_SECONDS, FromOperator, FromSidecar, Hello, line};
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::identity::{NotKnown, known};
use super::lines;
use super::roster::{Place, Roster};
use crate::lease::until;
use crate::metrics::Metrics;
use crate::watch::Shared;

/// How long the handshake and the hello may take.
const HELLO: Duration = Duration::from_secs(10);
/// Silence after which a sidecar is taken for gone.
const SILENCE: Duration = Duration::from_secs(3 * ALIVE_SECONDS);
/// A line that is not taken in this time ends the stream.
const WRITE: Duration = Duration::from_secs(10);
/// A stream is ended after this, so that its token is looked at again.
const LIFE: Duration = Duration::from_secs(3600);
/// Streams at once, those included that have not said hello yet.
const STREAMS: usize = 8192;

/// What the endpoint needs besides its socket.
#[derive(Clone)]
pub struct Endpoint {
    pub client: Client,
    pub shared: Shared,
    pub roster: Roster,
    pub metrics: Metrics,
    pub tls: TlsAcceptor,
    pub leading: watch::Receiver<bool>,
    pub stop: CancellationToken,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Endpoint")
    }
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("a line cannot be written: {0}")]
    Line(#[from] serde_json::Error),
    #[error("the first line was no hello")]
    NoHello,
    #[error(transparent)]
    NotKnown(#[from] NotKnown),
    #[error("nothing was heard for too long")]
    Silent,
    #[error("this replica does not lead")]
    NotLeading,
    #[error("it is time to show the token again")]
    Old,
    #[error("the sidecar does not read what it is told")]
    NotReading,
    #[error("the operator stops")]
    Stopping,
}

impl Endpoint {
    /// Serves until asked to stop.
    pub async fn serve(self, listener: TcpListener) {
        let slots = Arc::new(Semaphore::new(STREAMS));
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a sidecar");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                tracing::warn!(%peer, "too many streams");
                continue;
            };
            let endpoint = self.clone();
            tokio::spawn(async move {
                let _slot = slot;
                endpoint.stream(stream, peer).await;
            });
        }
    }

    async fn stream(self, stream: TcpStream, peer: SocketAddr) {
        let handshake = tokio::time::timeout(HELLO, self.tls.accept(stream)).await;
        let Ok(Ok(stream)) = handshake else {
            tracing::debug!(%peer, "no handshake");
            return;
        };
        let (read, mut write) = tokio::io::split(stream);
        let mut read = BufReader::new(read);
        let ended = match self.talk(&mut read, &mut write).await {
            Ok(()) => {
                tracing::debug!(%peer, "a sidecar hung up");
                return;
            }
            Err(ended) => ended,
        };
        if let Ended::NotKnown(_) | Ended::NoHello = ended {
            self.metrics.refused_sidecars.inc();
            tracing::warn!(%peer, reason = %ended, "a sidecar is not let in");
        } else {
            tracing::debug!(%peer, reason = %ended, "a stream ends");
        }
        // What the API server says is not for everybody who can dial.
        let reason = if let Ended::NotKnown(NotKnown::Api(_)) = ended {
            "the API server does not answer".to_owned()
        } else {
            ended.to_string()
        };
        // The sidecar may be gone already.
        say(&mut write, &FromOperator::Goodbye { reason })
            .await
            .ok();
        write.shutdown().await.ok();
    }

    async fn talk(
        &self,
        read: &mut (impl AsyncBufRead + Unpin),
        write: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Ended> {
        if !*self.leading.borrow() {
            return Err(Ended::NotLeading);
        }
        let mut buffer = Vec::new();
        let hello = tokio::time::timeout(HELLO, lines::read(read, &mut buffer)).await;
        let Ok(Some(FromSidecar::Hello(hello))) = hello.map_err(|_| Ended::NoHello)? else {
            return Err(Ended::NoHello);
        };
        let (place, told) = self.let_in(&hello).await?;
        drop(hello);
        tracing::info!(pod = %place.caller().pod, gateway = %place.caller().gateway, "sidecar on the line");
        self.both_ways(read, write, &place, told).await
    }

    async fn let_in(&self, hello: &Hello) -> Result<(Place, mpsc::Receiver<FromOperator>), Ended> {
        let caller = known(&self.client, &self.shared, hello).await?;
        Ok(self.roster.enter(caller))
    }

    async fn both_ways(
        &self,
        read: &mut (impl AsyncBufRead + Unpin),
        write: &mut (impl AsyncWrite + Unpin),
        place: &Place,
        mut told: mpsc::Receiver<FromOperator>,
    ) -> Result<(), Ended> {
        let mut leading = self.leading.clone();
        let mut buffer = Vec::new();
        let end = tokio::time::sleep(LIFE);
        tokio::pin!(end);
        loop {
            tokio::select! {
                heard = tokio::time::timeout(SILENCE, lines::read(read, &mut buffer)) => {
                    match heard.map_err(|_| Ended::Silent)?? {
                        Some(message) => take(place, message),
                        None => return Ok(()),
                    }
                }
                message = told.recv() => match message {
                    Some(message) => say(write, &message).await?,
                    // A newer stream of the same pod has taken the place.
                    None => return Ok(()),
                },
                () = until(&mut leading, false) => return Err(Ended::NotLeading),
                () = self.stop.cancelled() => return Err(Ended::Stopping),
                () = &mut end => return Err(Ended::Old),
            }
        }
    }
}

fn take(place: &Place, message: FromSidecar) {
    match message {
        FromSidecar::Enforces(enforces) => place.say(|said| {
            said.enforces = Some(enforces);
            said.refused = None;
        }),
        FromSidecar::Refused { reason } => {
            let reason = reason.chars().take(512).collect();
            place.say(|said| said.refused = Some(reason));
        }
        FromSidecar::Hello(_) | FromSidecar::Alive | FromSidecar::Unknown => {}
    }
}

async fn say(write: &mut (impl AsyncWrite + Unpin), message: &FromOperator) -> Result<(), Ended> {
    let line = line(message)?;
    let written = tokio::time::timeout(WRITE, async {
        write.write_all(&line).await?;
        write.flush().await
    });
    written.await.map_err(|_| Ended::NotReading)??;
    Ok(())
}
