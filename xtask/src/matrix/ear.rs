//! What a server is told, heard on its way to it: before a port as bytes of each connection, before a pipe by `tee`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use crate::guard::Upstream;

use super::heard::{Heard, Message, read_lines, read_requests};

/// One who listens.
#[derive(Debug)]
pub(crate) enum Ear {
    Port(Tap),
    Pipes(PathBuf),
}

/// A moment, from which on somebody asks what was heard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(usize);

impl Ear {
    /// Listens before a server that listens; also tells where others then speak to it.
    pub(crate) fn at_url(url: &str) -> Result<(Upstream, Self)> {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let (place, path) = rest.split_once('/').context("a path")?;
        let (_, port) = place.rsplit_once(':').context("a port")?;
        let (tap, heard) = Tap::before(port.parse()?)?;
        let url = format!("http://127.0.0.1:{heard}/{path}");
        Ok((Upstream::Url(url), Self::Port(tap)))
    }

    /// Listens before a server that speaks stdio; also gives the command that others then start.
    pub(crate) fn at_pipes(command: &[String], folder: &Path) -> (Upstream, Self) {
        // Named by the time, so that later pipes have later names.
        let script = "tee \"$0/$(date +%s%N)\" | \"$@\"";
        let mut words: Vec<String> = vec!["sh".into(), "-c".into(), script.into()];
        words.push(folder.display().to_string());
        words.extend(command.iter().cloned());
        (Upstream::Command(words), Self::Pipes(folder.to_path_buf()))
    }

    pub(crate) fn mark(&self) -> Result<Mark> {
        Ok(Mark(match self {
            Self::Port(tap) => tap.chunks().len(),
            Self::Pipes(folder) => pipes(folder)?.len(),
        }))
    }

    /// Messages since the mark, in the order in which they came.
    pub(crate) fn since(&self, mark: Mark) -> Result<Vec<Message>> {
        let Heard { messages, .. } = self.heard(mark)?;
        Ok(messages)
    }

    /// Everything from the beginning: messages, and the heads that came with them.
    pub(crate) fn all(&self) -> Result<Heard> {
        self.heard(Mark(0))
    }

    fn heard(&self, mark: Mark) -> Result<Heard> {
        match self {
            Self::Port(tap) => read_requests(tap.since(mark.0)),
            Self::Pipes(folder) => {
                let mut heard = Heard::default();
                for path in pipes(folder)?.iter().skip(mark.0) {
                    heard.extend(read_lines(&std::fs::read_to_string(path)?));
                }
                Ok(heard)
            }
        }
    }
}

/// What each child of a stdio server was told, the first child first.
fn pipes(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?;
    let mut files: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    Ok(files)
}

/// A port that passes everything on, and keeps what clients say.
#[derive(Debug)]
pub(crate) struct Tap {
    chunks: Arc<Mutex<Vec<Chunk>>>,
    port: u16,
    over: Arc<AtomicBool>,
}

/// Bytes of one connection; none where the client has closed it.
#[derive(Debug, Clone)]
struct Chunk {
    connection: usize,
    bytes: Vec<u8>,
}

/// A connection, as far as its client has spoken.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    /// Where the bytes begin in the order of everything that was heard, by their offset.
    pub(crate) starts: Vec<(usize, usize)>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) closed: bool,
}

impl Tap {
    fn before(server: u16) -> Result<(Self, u16)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let tap = Self {
            chunks: Arc::default(),
            port,
            over: Arc::default(),
        };
        let (chunks, over) = (Arc::clone(&tap.chunks), Arc::clone(&tap.over));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let served = stream
                    .context("accept")
                    .and_then(|client| pass_on(client, server, connection, &chunks));
                if let Err(error) = served {
                    crate::console::say(&format!("the tap before a server: {error:#}"));
                }
            }
        });
        Ok((tap, port))
    }

    fn chunks(&self) -> MutexGuard<'_, Vec<Chunk>> {
        held(&self.chunks)
    }

    fn since(&self, mark: usize) -> Vec<Spoken> {
        let mut connections: BTreeMap<usize, Spoken> = BTreeMap::new();
        for (order, chunk) in self.chunks().iter().enumerate().skip(mark) {
            let spoken = connections.entry(chunk.connection).or_default();
            spoken.closed |= chunk.bytes.is_empty();
            spoken.starts.push((spoken.bytes.len(), order));
            spoken.bytes.extend_from_slice(&chunk.bytes);
        }
        connections.into_values().collect()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // The thread waits for a connection, so it gets one.
        if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            crate::console::say("the tap before a server was gone already");
        }
    }
}

fn held(chunks: &Mutex<Vec<Chunk>>) -> MutexGuard<'_, Vec<Chunk>> {
    chunks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two threads a connection, which end when its ends do.
fn pass_on(
    client: TcpStream,
    server: u16,
    connection: usize,
    chunks: &Arc<Mutex<Vec<Chunk>>>,
) -> Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).context("the server")?;
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let passed = std::io::copy(&mut from_server, &mut to_client);
        // Whoever hangs up first, the other hears of it by the connection's end.
        passed.is_ok() && to_client.shutdown(Shutdown::Write).is_ok()
    });
    let chunks = Arc::clone(chunks);
    thread::spawn(move || listen(client, server, connection, &chunks));
    Ok(())
}

fn listen(
    mut client: TcpStream,
    mut server: TcpStream,
    connection: usize,
    chunks: &Mutex<Vec<Chunk>>,
) -> bool {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let bytes = match client.read(&mut buffer) {
            Ok(count) => buffer.get(..count).unwrap_or_default().to_vec(),
            Err(_) => Vec::new(),
        };
        let over = bytes.is_empty();
        held(chunks).push(Chunk {
            connection,
            bytes: bytes.clone(),
        });
        if over {
            return server.shutdown(Shutdown::Both).is_ok();
        }
        if server.write_all(&bytes).is_err() {
            return client.shutdown(Shutdown::Both).is_ok();
        }
    }
}
