//! What reaches a server, seen from outside of it: a relay in front of one that listens, a log of one that reads a pipe.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use serde_json::Value;

use super::wire::find;

/// Methods that the guard sends by itself, or that open a session: nobody's call is executed by them.
const HARMLESS: [&str; 5] = [
    "initialize",
    "notifications/initialized",
    "tools/list",
    "ping",
    "server/discover",
];

/// One request that a server was sent.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    /// Request line and headers; empty on a pipe.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Arrived {
    pub(super) fn text(&self) -> String {
        format!("{}{}", self.head, String::from_utf8_lossy(&self.body))
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The JSON-RPC method, else the HTTP one.
    pub(super) fn method(&self) -> String {
        let json = self.json();
        match json.get("method").and_then(Value::as_str) {
            Some(method) => method.to_owned(),
            None if self.body.is_empty() => {
                self.head.split(' ').next().unwrap_or_default().to_owned()
            }
            None => "a body without a method".to_owned(),
        }
    }

    /// Whether somebody's call is in it.
    pub(super) fn is_call(&self) -> bool {
        !HARMLESS.contains(&self.method().as_str())
    }
}

/// Everything that arrived, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Arrived>>>);

impl Log {
    pub(super) fn push(&self, arrived: Arrived) {
        self.lock().push(arrived);
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn since(&self, from: usize) -> Vec<Arrived> {
        self.lock().get(from..).unwrap_or_default().to_vec()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arrived>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a server's requests are seen.
#[derive(Clone, Debug)]
pub(super) enum Tap {
    Relay(Log),
    /// A file to which each line that the server reads is copied.
    Pipe(PathBuf),
}

impl Tap {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Relay(log) => log.len(),
            Self::Pipe(_) => self.lines().len(),
        }
    }

    pub(super) fn since(&self, from: usize) -> Vec<Arrived> {
        match self {
            Self::Relay(log) => log.since(from),
            Self::Pipe(_) => self.lines().split_off(from.min(self.lines().len())),
        }
    }

    fn lines(&self) -> Vec<Arrived> {
        let Self::Pipe(path) = self else {
            return Vec::new();
        };
        let bytes = std::fs::read(path).unwrap_or_default();
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        lines
            .map(|line| Arrived {
                head: String::new(),
                body: line.to_vec(),
            })
            .collect()
    }
}

/// Relays connections to `server`, and logs each request on its way. Ends with the process.
pub(super) fn relay(server: SocketAddr) -> Result<(SocketAddr, Log)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let log = Log::default();
    let seen = log.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(server) else {
                continue;
            };
            let (Ok(client_out), Ok(server_in)) = (client.try_clone(), server.try_clone()) else {
                continue;
            };
            let log = seen.clone();
            std::thread::spawn(move || pass(&client, server_in, Requests::new(log)));
            std::thread::spawn(move || pass(&server, client_out, Requests::nobody()));
        }
    });
    Ok((address, log))
}

fn pass(mut from: &TcpStream, mut to: TcpStream, mut requests: Requests) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(read) = from.read(&mut piece) {
        let bytes = piece.get(..read).unwrap_or_default();
        // Logged before it is passed on, so that an answer never comes before its request is known.
        requests.push(bytes);
        if bytes.is_empty() || to.write_all(bytes).is_err() {
            break;
        }
    }
    // Either side may be gone already.
    to.shutdown(Shutdown::Write).ok();
}

/// Requests out of the bytes of one connection.
#[derive(Debug)]
pub(super) struct Requests {
    log: Option<Log>,
    pending: Vec<u8>,
}

impl Requests {
    pub(super) fn new(log: Log) -> Self {
        Self {
            log: Some(log),
            pending: Vec::new(),
        }
    }

    fn nobody() -> Self {
        Self {
            log: None,
            pending: Vec::new(),
        }
    }

    /// Takes the next bytes; the requests that they complete are logged.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Arrived> {
        let mut whole = Vec::new();
        let Some(log) = self.log.clone() else {
            return whole;
        };
        self.pending.extend_from_slice(bytes);
        while let Some(arrived) = self.take() {
            log.push(arrived.clone());
            whole.push(arrived);
        }
        whole
    }

    fn take(&mut self) -> Option<Arrived> {
        let end = find(&self.pending, b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(self.pending.get(..end)?).into_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        let length: usize = length.unwrap_or(0);
        let body = self.pending.get(end..end + length)?.to_vec();
        self.pending.drain(..end + length);
        Some(Arrived { head, body })
    }
}
