//! The first byte of a connection: a question for a proof is answered before TLS and HTTP, and whoever comes before
//! this pod was proven is sent away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use rustix::net::sockopt::{ip_original_dst, ipv6_original_dst};
use sallyport_policy::proof::{FIRST, Nonce, Prover, QUESTION, Seen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::proven::Proven;

/// How long a peer may take with its first byte, and with a whole question.
const FIRST_BYTE: Duration = Duration::from_secs(15);
const WHOLE: Duration = Duration::from_secs(3);

/// Stands before the listener of a pod.
#[derive(Debug)]
pub struct Door {
    prover: Prover,
    proven: Arc<Proven>,
}

/// There is no randomness, so no key that only we know.
#[derive(Debug, thiserror::Error)]
#[error("no key can be drawn: the system gives no randomness")]
pub struct NoKey;

impl Door {
    /// With a new key, which leaves the process in its public half only.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn new(proven: Arc<Proven>) -> Result<Self, NoKey> {
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(&mut *seed).map_err(|_| NoKey)?;
        let prover = Prover::from_seed(&seed).ok_or(NoKey)?;
        Ok(Self { prover, proven })
    }

    /// The key by which our answers are known.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        self.prover.key()
    }

    /// Lets a connection in, unless it only asks for a proof, or comes too early.
    pub async fn enter(&self, stream: TcpStream, peer: SocketAddr) -> Option<TcpStream> {
        let mut first = [0; 1];
        match tokio::time::timeout(FIRST_BYTE, stream.peek(&mut first)).await {
            Ok(Ok(1)) => {}
            // Gone, or silent: nothing was asked that could be answered.
            Ok(Ok(_) | Err(_)) | Err(_) => return None,
        }
        if first == [FIRST] {
            if tokio::time::timeout(WHOLE, self.prove(stream, peer))
                .await
                .is_err()
            {
                tracing::debug!(%peer, "a question for a proof took too long");
            }
            return None;
        }
        if self.proven.is_known() {
            return Some(stream);
        }
        tracing::info!(target: "sallyport::audit", code = "capture_unproven", %peer, "connection refused");
        None
    }

    async fn prove(&self, mut stream: TcpStream, peer: SocketAddr) {
        let mut question = [0; QUESTION];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        let (Some(nonce), Some(dialled)) = (Nonce::of_question(&question), dialled(&stream)) else {
            return;
        };
        let answer = self.prover.answer(&nonce, Seen::new(peer, dialled));
        // Whoever asks and goes away did not want to know.
        if stream.write_all(answer.as_bytes()).await.is_ok() {
            stream.shutdown().await.ok();
        }
    }
}

/// Where the peer dialled before the rules turned the connection to us; our own address where they did not.
fn dialled(stream: &TcpStream) -> Option<SocketAddr> {
    let v4 = || ip_original_dst(stream).map(SocketAddr::V4);
    let v6 = || ipv6_original_dst(stream).map(SocketAddr::V6);
    let own = stream.local_addr().ok()?;
    let is_v4 = own.ip().to_canonical().is_ipv4();
    let original = if is_v4 { v4() } else { v6() };
    Some(original.unwrap_or(own))
}

#[cfg(test)]
mod tests {
    use sallyport_policy::proof::verify;
    use tokio::net::TcpListener;

    use super::*;
    use crate::admin::Readiness;

    async fn pair() -> (TcpStream, TcpStream, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (server, peer) = listener.accept().await.unwrap();
        (client, server, peer)
    }

    fn door(proven: bool) -> (Door, tempfile::TempDir) {
        let state = tempfile::tempdir().unwrap();
        let known = Proven::open(state.path(), &Readiness::default()).unwrap();
        if proven {
            known.learn();
        }
        (Door::new(Arc::new(known)).unwrap(), state)
    }

    #[tokio::test]
    async fn a_question_is_answered_whether_proven_or_not() {
        for proven in [false, true] {
            let (door, _state) = door(proven);
            let (mut client, server, peer) = pair().await;
            let nonce = Nonce::new([3; 32]);
            client.write_all(&nonce.question()).await.unwrap();
            let ours = Seen::new(client.local_addr().unwrap(), client.peer_addr().unwrap());
            assert!(door.enter(server, peer).await.is_none());
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            assert_eq!(verify(&answer, &nonce, &door.key(), ours), Ok(()));
        }
    }

    #[tokio::test]
    async fn nobody_is_let_in_before_the_pod_was_proven() {
        for proven in [false, true] {
            let (door, _state) = door(proven);
            let (mut client, server, peer) = pair().await;
            client.write_all(b"POST /mcp HTTP/1.1\r\n").await.unwrap();
            assert_eq!(door.enter(server, peer).await.is_some(), proven);
        }
    }

    #[tokio::test]
    async fn what_begins_like_a_question_and_is_none_is_not_answered() {
        let (door, _state) = door(true);
        let (mut client, server, peer) = pair().await;
        client.write_all(&[0; QUESTION]).await.unwrap();
        assert!(door.enter(server, peer).await.is_none());
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.ok();
        assert!(answer.is_empty());
    }
}
