//! The stream to the operator: what this sidecar enforces goes up, what it should enforce comes down.
//!
//! Nothing depends on it: without the operator the last good policy stays in force until its own end. What comes down is
//! no policy and widens nothing; it makes the sidecar look into its volume, and refuse what is older than it should be.
//! The operator proves itself by a certificate of the root key, the same that vouches for policy.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{Der, ServerName, TrustAnchor};
use sallyport_policy::control::{
    ALIVE_SECONDS, Enforces, FromOperator, FromSidecar, Hello, LINE_BYTES, PROTOCOL, SERVER_NAME,
    line,
};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use crate::bundle::{Demand, Standing, Urge};
use crate::tls::TlsError;

/// How long dialling, the handshake and the operator's welcome may take.
const CONNECT: Duration = Duration::from_secs(10);
/// A line that the operator does not take in this time ends the stream.
const WRITE: Duration = Duration::from_secs(10);
/// Pauses between attempts: the first is short, as another replica may be the one that leads.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The largest token file.
const TOKEN_BYTES: u64 = 64 * 1024;
/// `CN=sallyport root`, as it stands inside a certificate's name.
const ROOT_SUBJECT: &[u8] = b"\x31\x17\x30\x15\x06\x03\x55\x04\x03\x0c\x0esallyport root";
/// What stands before an Ed25519 key in a certificate (RFC 8410).
const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// The stream to the operator.
pub struct Control {
    /// `host:port`.
    address: String,
    /// A projected token of this pod, read anew for each stream.
    token: PathBuf,
    demand: Demand,
    tls: TlsConnector,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Why a stream ended; it is tried again.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the token cannot be read: {0}")]
    Token(io::Error),
    #[error("a line cannot be written: {0}")]
    Line(#[from] serde_json::Error),
    #[error("the operator does not answer in time")]
    Late,
    #[error("the operator hung up: {0}")]
    Goodbye(String),
}

impl Control {
    pub fn new(address: String, token: PathBuf, demand: Demand) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(only(&demand.root))
            .with_no_client_auth();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Self {
            address,
            token,
            demand,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Keeps a stream for as long as the guard runs; never returns.
    pub async fn follow(self, mut standing: watch::Receiver<Standing>, urge: Urge) {
        let mut pause = FIRST_PAUSE;
        loop {
            let mut welcomed = false;
            let ended = self.stream(&mut standing, &urge, &mut welcomed).await;
            if welcomed {
                pause = FIRST_PAUSE;
            }
            match ended {
                Err(reason) if pause > Duration::from_secs(2) => {
                    tracing::warn!(%reason, "no stream to the operator; the policy in force stays");
                }
                Err(reason) => tracing::debug!(%reason, "the stream to the operator ended"),
                Ok(()) => tracing::debug!("the operator hung up"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn stream(
        &self,
        standing: &mut watch::Receiver<Standing>,
        urge: &Urge,
        welcomed: &mut bool,
    ) -> Result<(), Ended> {
        let hello = FromSidecar::Hello(self.hello().map_err(Ended::Token)?);
        let stream = tokio::time::timeout(CONNECT, self.dial());
        let stream = stream.await.map_err(|_| Ended::Late)??;
        let (read, mut write) = tokio::io::split(stream);
        let mut read = BufReader::new(read);
        say(&mut write, &hello).await?;
        let mut buffer = Vec::new();
        let first = tokio::time::timeout(CONNECT, hear(&mut read, &mut buffer));
        match first.await.map_err(|_| Ended::Late)?? {
            Some(message) => take(message, urge, welcomed)?,
            None => return Ok(()),
        }
        let mut alive = tokio::time::interval(Duration::from_secs(ALIVE_SECONDS));
        standing.mark_changed();
        loop {
            tokio::select! {
                heard = hear(&mut read, &mut buffer) => match heard? {
                    Some(message) => take(message, urge, welcomed)?,
                    None => return Ok(()),
                },
                changed = standing.changed() => {
                    // The guard ends, and this with it.
                    if changed.is_err() {
                        return Ok(());
                    }
                    let now = standing.borrow_and_update().clone();
                    tell(&mut write, now).await?;
                }
                _ = alive.tick() => say(&mut write, &FromSidecar::Alive).await?,
            }
        }
    }

    fn hello(&self) -> io::Result<Hello> {
        Ok(Hello {
            token: read_token(&self.token)?,
            gateway: self.demand.gateway.clone(),
            uid: self.demand.uid.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    async fn dial(&self) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
        self.tls.connect(name, stream).await
    }
}

/// Believes what this root key has signed, and nothing else.
fn only(root: &[u8; 32]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.roots.push(TrustAnchor {
        subject: Der::from_slice(ROOT_SUBJECT),
        subject_public_key_info: Der::from([ED25519, root.as_slice()].concat()),
        name_constraints: None,
    });
    roots
}

fn read_token(path: &Path) -> io::Result<String> {
    use std::io::Read as _;

    let mut token = String::new();
    let file = std::fs::File::open(path)?;
    file.take(TOKEN_BYTES).read_to_string(&mut token)?;
    Ok(token.trim_end().to_owned())
}

async fn tell(write: &mut (impl AsyncWrite + Unpin), standing: Standing) -> Result<(), Ended> {
    let enforces = Enforces {
        revision: standing.revision,
        generation: standing.generation,
        not_after: standing.not_after,
    };
    say(write, &FromSidecar::Enforces(enforces)).await?;
    match standing.refused {
        Some(reason) => say(write, &FromSidecar::Refused { reason }).await,
        None => Ok(()),
    }
}

fn take(message: FromOperator, urge: &Urge, welcomed: &mut bool) -> Result<(), Ended> {
    match message {
        FromOperator::Welcome { minimum_generation } => {
            *welcomed = true;
            tracing::info!(minimum_generation, "on the line with the operator");
            urge.at_least(minimum_generation);
        }
        FromOperator::Announce {
            revision,
            generation,
        } => {
            tracing::debug!(%revision, generation, "another policy is on its way");
            urge.look();
        }
        FromOperator::Goodbye { reason } => return Err(Ended::Goodbye(reason)),
        FromOperator::Unknown => {}
    }
    Ok(())
}

async fn say(write: &mut (impl AsyncWrite + Unpin), message: &FromSidecar) -> Result<(), Ended> {
    let line = line(message)?;
    let written = tokio::time::timeout(WRITE, async {
        write.write_all(&line).await?;
        write.flush().await
    });
    Ok(written.await.map_err(|_| Ended::Late)??)
}

/// The next line; none at the orderly end. What a cancelled read left in `line` is gone on from.
async fn hear(
    from: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> io::Result<Option<FromOperator>> {
    let left = LINE_BYTES.saturating_sub(line.len());
    let limit = u64::try_from(left).unwrap_or(u64::MAX);
    let read = from.take(limit).read_until(b'\n', line).await?;
    if line.last() != Some(&b'\n') {
        return match (read, line.is_empty()) {
            (0, true) => Ok(None),
            _ if line.len() >= LINE_BYTES => Err(io::ErrorKind::InvalidData.into()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        };
    }
    let message = serde_json::from_slice(line).map_err(io::Error::other);
    line.clear();
    message.map(Some)
}
