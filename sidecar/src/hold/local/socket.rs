//! The approval socket: where people list, review, ask ahead and watch (law 24).
//!
//! The file's mode says who may connect, the kernel says which account did (`SO_PEERCRED`), and the name that a
//! reviewer gives is written down as asserted. With an approver group the socket belongs to that group, and the
//! account that runs the guard, which is the agent's account as a rule, cannot approve through it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sallyport_policy::approval::Verdict;
use sallyport_policy::approval::object::RequestObject;
use sallyport_policy::name::RequestId;
use sallyport_policy::source::access::Phase;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::LocalDesk;
use super::address::bind;
use super::keeper::{Keeper, Peer, WordError};
use super::window::{WindowBook, window_terms};
use crate::hold::desk::{AskError, StoreError};
use crate::hold::protocol::{
    AskedWindow, Fault, FaultCode, LINE_LIMIT, Question, Reply, SOCKET, Seen, Word,
};

/// Connections at a time.
const CONNECTIONS: usize = 64;
/// How long a connection may stay silent before its next question.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a reader may take for one answer.
const SLOWNESS: Duration = Duration::from_secs(10);

/// How the socket is served.
#[derive(Clone, Debug, Default)]
pub struct SocketOptions {
    /// The group of accounts that may approve; none: only the account that runs the guard.
    pub approver_group: Option<u32>,
    /// None: nothing can be asked for ahead.
    pub windows: Option<Arc<dyn WindowBook>>,
}

/// The socket cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve the approval socket `{path}`: {error}")]
pub struct SocketError {
    path: String,
    error: io::Error,
}

/// The served socket; dropping it stops serving and removes the file.
#[derive(Debug)]
pub struct Listening {
    task: JoinHandle<()>,
    path: PathBuf,
}

impl Listening {
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
        fs::remove_file(&self.path).ok();
    }
}

impl LocalDesk {
    /// Serves `STATE/approvals.sock`. The folder's lock is ours, so a socket that lies there is a dead one.
    pub fn listen(&self, options: SocketOptions) -> Result<Listening, SocketError> {
        let path = self.state.join(SOCKET);
        let listener = bind(&self.state, &path, options.approver_group);
        let listener = listener.map_err(|error| SocketError {
            path: path.display().to_string(),
            error,
        })?;
        let task = tokio::spawn(accept(listener, self.clone(), Arc::new(options)));
        Ok(Listening { task, path })
    }
}

async fn accept(listener: UnixListener, desk: LocalDesk, options: Arc<SocketOptions>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = Connection::new(desk.clone(), Arc::clone(&options), &stream);
                tokio::spawn(async move {
                    if let Ok(connection) = connection {
                        // A peer that hangs up or is too slow has nobody left to tell.
                        connection.serve(stream).await.ok();
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the approval socket did not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One peer.
struct Connection {
    desk: LocalDesk,
    options: Arc<SocketOptions>,
    peer: Peer,
}

impl Connection {
    fn new(desk: LocalDesk, options: Arc<SocketOptions>, stream: &UnixStream) -> io::Result<Self> {
        let uid = stream.peer_cred()?.uid();
        let separate = options.approver_group.is_some();
        Ok(Self {
            desk,
            options,
            peer: Peer {
                uid,
                beside: separate.then(|| rustix::process::geteuid().as_raw()),
            },
        })
    }

    async fn serve(&self, stream: UnixStream) -> io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        loop {
            let line = timeout(SILENCE, read_line(&mut reader)).await??;
            let Some(line) = line else {
                return Ok(());
            };
            match serde_json::from_slice(&line) {
                Ok(Question::Watch) => return self.watch(&mut reader, &mut writer).await,
                Ok(question) => {
                    let reply = self.answer(question).await.unwrap_or_else(Reply::Error);
                    say(&mut writer, &reply).await?;
                }
                Err(error) => {
                    let fault = Fault {
                        code: FaultCode::NotAQuestion,
                        message: format!("this line is not a question: {error}"),
                    };
                    say(&mut writer, &Reply::Error(fault)).await?;
                }
            }
        }
    }

    async fn answer(&self, question: Question) -> Result<Reply, Fault> {
        match question {
            Question::List | Question::Watch => {
                let all = self.desk.run(|keeper| keeper.list()).await;
                Ok(Reply::Requests(
                    all.and_then(|all| all).map_err(unavailable)?,
                ))
            }
            Question::Get { name } => self.seen(name, |_| Ok(())).await,
            Question::Review(word) => {
                self.may_say(&word)?;
                let peer = self.peer;
                let name = word.name.clone();
                self.seen(name, move |keeper| keeper.review(&word, peer))
                    .await
            }
            Question::Withdraw { name, by } => {
                let withdrawn = name.clone();
                self.seen(name, move |keeper| keeper.withdraw(&withdrawn, &by))
                    .await
            }
            Question::Request(asked) => self.open_window(asked).await,
        }
    }

    /// Does something about a request and shows how it stands then.
    async fn seen(
        &self,
        name: RequestId,
        act: impl FnOnce(&mut Keeper) -> Result<(), WordError> + Send + 'static,
    ) -> Result<Reply, Fault> {
        let two_person = self.options.approver_group.is_some();
        let seen = self.desk.run(move |keeper| {
            act(keeper)?;
            keeper.seen(&name)
        });
        let (request, reviews) = seen.await.map_err(unavailable)?.map_err(Fault::from)?;
        Ok(Reply::Request(Box::new(Seen {
            request,
            reviews,
            two_person,
        })))
    }

    /// With an approver group the guard's own account, hence the agent's, cannot be the second person.
    fn may_say(&self, word: &Word) -> Result<(), Fault> {
        let own = rustix::process::geteuid().as_raw() == self.peer.uid;
        let separate = self.options.approver_group.is_some();
        if separate && own && word.verdict == Verdict::Approve {
            return Err(refused(
                "approvals come from the approver group here; the account that runs the guard cannot approve",
            ));
        }
        Ok(())
    }

    async fn open_window(&self, asked: AskedWindow) -> Result<Reply, Fault> {
        let Some(windows) = &self.options.windows else {
            return Err(refused("this guard takes no requests ahead"));
        };
        let known = windows.terms(&asked).map_err(|why| refused(&why))?;
        let limit = known.settings.max_pending;
        let terms = self
            .desk
            .run(move |keeper| window_terms(asked, known, keeper.present()));
        let terms = terms.await.map_err(unavailable)?;
        let terms = terms.map_err(refused)?;
        let ticket = self.desk.open_window(terms, limit).await?;
        self.seen(ticket.request().clone(), |_| Ok(())).await
    }

    async fn watch(
        &self,
        reader: &mut BufReader<OwnedReadHalf>,
        writer: &mut OwnedWriteHalf,
    ) -> io::Result<()> {
        // Listening before looking, so that nothing falls between.
        let mut changes = self.desk.changed.subscribe();
        let present = self.desk.run(|keeper| keeper.list()).await;
        for object in present.and_then(|all| all).map_err(io::Error::other)? {
            if is_pending(&object) {
                say(writer, &Reply::Changed(Box::new(object))).await?;
            }
        }
        loop {
            let mut byte = [0];
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(id) => self.show(id, writer).await?,
                    // The peer asks again and sees everything; skipping silently would hide a request.
                    Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => {
                        return Ok(());
                    }
                },
                read = reader.read(&mut byte) => {
                    if read? == 0 {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn show(&self, id: RequestId, writer: &mut OwnedWriteHalf) -> io::Result<()> {
        let seen = self.desk.run(move |keeper| keeper.seen(&id)).await;
        match seen.map_err(io::Error::other)? {
            Ok((object, _)) => say(writer, &Reply::Changed(Box::new(object))).await,
            // Purged in the meantime.
            Err(_) => Ok(()),
        }
    }
}

fn is_pending(object: &RequestObject) -> bool {
    let phase = object.status.as_ref().and_then(|status| status.phase);
    phase == Some(Phase::Pending)
}

/// A line without its end; none when the peer has hung up.
async fn read_line(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = reader.take(LINE_LIMIT).read_until(b'\n', &mut line).await?;
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        None if read == 0 => Ok(None),
        Some(_) | None => Err(io::ErrorKind::InvalidData.into()),
    }
}

async fn say(writer: &mut OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    timeout(SLOWNESS, writer.write_all(&line)).await?
}

fn refused(why: &str) -> Fault {
    Fault {
        code: FaultCode::Refused,
        message: why.to_owned(),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "used as a function for `map_err`"
)]
fn unavailable(error: StoreError) -> Fault {
    Fault {
        code: FaultCode::Unavailable,
        message: error.to_string(),
    }
}

impl From<WordError> for Fault {
    fn from(error: WordError) -> Self {
        let code = match &error {
            WordError::Unknown(_) => FaultCode::UnknownRequest,
            WordError::Refused(_) | WordError::OtherName { .. } | WordError::NotTheRequester(_) => {
                FaultCode::Refused
            }
            WordError::Store(_) => FaultCode::Unavailable,
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

impl From<AskError> for Fault {
    fn from(error: AskError) -> Self {
        let code = match &error {
            AskError::TooManyPending { .. }
            | AskError::NoApprovers(_)
            | AskError::NothingToApprove => FaultCode::Refused,
            AskError::Store(_) => FaultCode::Unavailable,
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}
