//! The other end of the approval socket, for the command line.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sallyport_policy::approval::object::RequestObject;
use sallyport_policy::name::{Digest, RequestId};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::local::with_short_path;
use super::protocol::{AskedWindow, Fault, Question, Reply, SOCKET, Seen, Word};

/// The guard answers from memory and one fsync; what takes longer is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a guard that runs on this machine.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "no guard serves `{path}` ({error}); is `sallyport up` running with this state folder?"
    )]
    NotServed { path: String, error: io::Error },
    #[error("the guard hung up: {0}")]
    HungUp(#[from] io::Error),
    #[error("the guard answered with something that this version does not know: {0}")]
    Strange(String),
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Client {
    /// Connects to the guard of a state folder.
    pub async fn connect(state: &Path) -> Result<Self, ClientError> {
        let path: PathBuf = state.join(SOCKET);
        let connected = with_short_path(&path, |short| {
            let stream = std::os::unix::net::UnixStream::connect(short)?;
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)
        });
        let stream = connected.map_err(|error| ClientError::NotServed {
            path: path.display().to_string(),
            error,
        })?;
        let (reader, writer) = stream.into_split();
        Ok(Self {
            reader: BufReader::new(reader),
            writer,
        })
    }

    /// All requests, oldest first.
    pub async fn list(&mut self) -> Result<Vec<RequestObject>, ClientError> {
        match self.ask(&Question::List).await? {
            Reply::Requests(requests) => Ok(requests),
            other @ (Reply::Request(_) | Reply::Changed(_) | Reply::Error(_)) => {
                Err(unexpected(other))
            }
        }
    }

    pub async fn get(&mut self, name: &RequestId) -> Result<Seen, ClientError> {
        self.seen(&Question::Get { name: name.clone() }).await
    }

    /// Approves, denies or revokes. To approve, `preview_digest` must be of what the reviewer was shown:
    /// [`preview_digest`] of the object from [`Client::get`].
    pub async fn review(&mut self, word: Word) -> Result<Seen, ClientError> {
        self.seen(&Question::Review(word)).await
    }

    /// Asks for a window ahead.
    pub async fn request(&mut self, asked: AskedWindow) -> Result<Seen, ClientError> {
        self.seen(&Question::Request(asked)).await
    }

    pub async fn withdraw(&mut self, name: &RequestId, by: &str) -> Result<Seen, ClientError> {
        let question = Question::Withdraw {
            name: name.clone(),
            by: by.to_owned(),
        };
        self.seen(&question).await
    }

    /// All pending requests now, then each request as it changes.
    pub async fn watch(mut self) -> Result<Watching, ClientError> {
        self.say(&Question::Watch).await?;
        Ok(Watching(self))
    }

    async fn seen(&mut self, question: &Question) -> Result<Seen, ClientError> {
        match self.ask(question).await? {
            Reply::Request(seen) => Ok(*seen),
            other @ (Reply::Requests(_) | Reply::Changed(_) | Reply::Error(_)) => {
                Err(unexpected(other))
            }
        }
    }

    async fn ask(&mut self, question: &Question) -> Result<Reply, ClientError> {
        self.say(question).await?;
        let reply = timeout(PATIENCE, self.hear()).await;
        reply
            .map_err(io::Error::from)??
            .ok_or_else(|| ClientError::HungUp(io::ErrorKind::UnexpectedEof.into()))
    }

    async fn say(&mut self, question: &Question) -> Result<(), ClientError> {
        let mut line = serde_json::to_vec(question).map_err(io::Error::from)?;
        line.push(b'\n');
        let said = timeout(PATIENCE, self.writer.write_all(&line)).await;
        said.map_err(io::Error::from)??;
        Ok(())
    }

    async fn hear(&mut self) -> Result<Option<Reply>, ClientError> {
        let mut line = Vec::new();
        if self.reader.read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        serde_json::from_slice(&line)
            .map(Some)
            .map_err(|error| ClientError::Strange(error.to_string()))
    }
}

/// A watch that has begun.
#[derive(Debug)]
pub struct Watching(Client);

impl Watching {
    /// The next request that is new or has changed; none when the guard ends, or we were too slow.
    pub async fn next(&mut self) -> Result<Option<RequestObject>, ClientError> {
        match self.0.hear().await? {
            Some(Reply::Changed(object)) => Ok(Some(*object)),
            Some(other @ (Reply::Requests(_) | Reply::Request(_) | Reply::Error(_))) => {
                Err(unexpected(other))
            }
            None => Ok(None),
        }
    }
}

/// What a reviewer of this object has seen.
#[must_use]
pub fn preview_digest(request: &RequestObject) -> Option<Digest> {
    let preview = request.spec.call.preview.as_ref();
    preview.map(|text| Digest::of(text.as_bytes()))
}

fn unexpected(reply: Reply) -> ClientError {
    match reply {
        Reply::Error(fault) => ClientError::Fault(fault),
        Reply::Requests(_) | Reply::Request(_) | Reply::Changed(_) => {
            ClientError::Strange("an answer to another question".to_owned())
        }
    }
}
