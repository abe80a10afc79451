//! Proves from inside the pod, as a user that is nobody there, that every connection reaches the sidecar.
//!
//! The key comes over a Unix socket whose peer the kernel names, so neither side can be stood in for. Then each address
//! of the pod is dialled, on the server's port and on a random one, and each must give the answer that this sidecar
//! alone can give. Only when all did is that reported, and only then does the sidecar serve.

mod addresses;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use sallyport_policy::proof::{
    ANSWER, GREETING, KEPT, KEY, Nonce, NotProven, REPORT, Seen, verify,
};

/// How long one dial may take, and one answer.
const ONE: Duration = Duration::from_secs(3);
/// How long after the start something that is not there yet may still come: the sidecar, or an address.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(100);
/// Random ports are drawn from here: above what is well known, below what the kernel gives to clients.
const RANDOM_PORTS: std::ops::Range<u16> = 20_000..30_000;

/// What is to be proven.
#[derive(Clone, Debug)]
pub struct Question {
    /// The socket that the sidecar made.
    pub socket: PathBuf,
    pub sidecar_uid: u32,
    /// The server's port, and ours, which are dialled by nobody here.
    pub server_port: u16,
    pub own_ports: [u16; 3],
}

/// Why it is not proven.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    #[error("the sidecar's socket `{}`: {error}", path.display())]
    Socket { path: PathBuf, error: io::Error },
    #[error("the socket's other end has user id `{0}`, which is not the sidecar's")]
    NotTheSidecar(u32),
    #[error("the sidecar did not say its key")]
    NoKey,
    #[error("the pod's addresses cannot be read: {0}")]
    Addresses(io::Error),
    #[error("no randomness")]
    NoRandomness,
    #[error("connections do not all reach the sidecar: {}", .0.join("; "))]
    Open(Vec<String>),
    #[error("the sidecar did not keep the report")]
    NotKept,
}

/// Asks everywhere, and reports where every answer was right.
///
/// # Errors
/// What is not proven; nothing was reported then.
pub fn validate(question: &Question) -> Result<Vec<SocketAddr>, Unproven> {
    let deadline = Instant::now() + PATIENCE;
    let mut sidecar = Sidecar::reach(question, deadline)?;
    let ips = addresses::all().map_err(Unproven::Addresses)?;
    let random = random_port(question)?;
    let targets: Vec<SocketAddr> = ips
        .iter()
        .flat_map(|ip| [question.server_port, random].map(|port| SocketAddr::new(*ip, port)))
        .collect();
    let mut open = Vec::new();
    for target in &targets {
        if let Err(why) = ask_until(*target, &sidecar.key, deadline) {
            open.push(format!("{target}: {why}"));
        }
    }
    if open.is_empty() {
        sidecar.report()?;
        Ok(targets)
    } else {
        Err(Unproven::Open(open))
    }
}

/// The other end of the socket, once the kernel has named it.
struct Sidecar {
    stream: BufReader<UnixStream>,
    key: Vec<u8>,
}

impl Sidecar {
    fn reach(question: &Question, deadline: Instant) -> Result<Self, Unproven> {
        let stream = connect(&question.socket, deadline)?;
        let failed = |error: io::Error| Unproven::Socket {
            path: question.socket.clone(),
            error,
        };
        // The containers of a pod do not see each other's processes: the peer's user id is known, its process id is 0.
        let peer = getsockopt(&stream, PeerCredentials).map_err(|error| failed(error.into()))?;
        if peer.uid() != question.sidecar_uid {
            return Err(Unproven::NotTheSidecar(peer.uid()));
        }
        stream.set_read_timeout(Some(ONE)).map_err(failed)?;
        let mut stream = BufReader::new(stream);
        let line = line(&mut stream).map_err(failed)?;
        let digits = line.strip_prefix(GREETING).ok_or(Unproven::NoKey)?;
        let key = hex::decode(digits).map_err(|_| Unproven::NoKey)?;
        if key.len() != KEY {
            return Err(Unproven::NoKey);
        }
        Ok(Self { stream, key })
    }

    fn report(&mut self) -> Result<(), Unproven> {
        let mut stream = self.stream.get_ref();
        writeln!(stream, "{REPORT}").map_err(|_| Unproven::NotKept)?;
        match line(&mut self.stream) {
            Ok(said) if said == KEPT => Ok(()),
            Ok(_) | Err(_) => Err(Unproven::NotKept),
        }
    }
}

fn connect(socket: &Path, deadline: Instant) -> Result<UnixStream, Unproven> {
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() >= deadline => {
                return Err(Unproven::Socket {
                    path: socket.to_owned(),
                    error,
                });
            }
            Err(_) => sleep(PAUSE),
        }
    }
}

/// A line without its end; what is longer than any line of ours is cut.
fn line(stream: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut text = String::new();
    stream.take(256).read_line(&mut text)?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// Asks again while an address may still be on its way; a wrong answer is an answer.
fn ask_until(target: SocketAddr, key: &[u8], deadline: Instant) -> Result<(), String> {
    loop {
        match ask(target, key) {
            Ok(proven) => return proven.map_err(|why| why.to_string()),
            Err(error) if Instant::now() >= deadline => return Err(error.to_string()),
            Err(_) => sleep(PAUSE),
        }
    }
}

/// Puts one question to one address.
///
/// # Errors
/// Of the network; what was answered is the value.
pub fn ask(target: SocketAddr, key: &[u8]) -> io::Result<Result<(), NotProven>> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
    let nonce = Nonce::new(bytes);
    let mut stream = TcpStream::connect_timeout(&target, ONE)?;
    stream.set_read_timeout(Some(ONE))?;
    stream.set_write_timeout(Some(ONE))?;
    let ours = Seen::new(stream.local_addr()?, target);
    stream.write_all(&nonce.question())?;
    let mut answer = Vec::new();
    let limit = u64::try_from(ANSWER).unwrap_or(u64::MAX);
    // Whoever keeps the connection open without an answer of ours gave none.
    let read = stream.take(limit).read_to_end(&mut answer);
    match read {
        Ok(_) => Ok(verify(&answer, &nonce, key, ours)),
        Err(error) if answer.is_empty() => Err(error),
        Err(_) => Ok(verify(&answer, &nonce, key, ours)),
    }
}

fn random_port(question: &Question) -> Result<u16, Unproven> {
    loop {
        let mut bytes = [0; 2];
        rand::fill(&mut bytes).map_err(|_| Unproven::NoRandomness)?;
        let port = u16::from_be_bytes(bytes);
        let taken = port == question.server_port || question.own_ports.contains(&port);
        if RANDOM_PORTS.contains(&port) && !taken {
            return Ok(port);
        }
    }
}
