//! Servers that are commands: newline-delimited JSON over stdin and stdout, stderr into our log.
//!
//! The command comes from configuration only, never from a request (a request that could name a command would turn
//! a stolen token into a shell). The child is the leader of a process group of its own, so that what it starts ends with it.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Limit;
use super::line::{one_line, read_line};
use crate::credential::Secret;

/// How long a child may take to leave after its stdin closed, and again after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// Messages that may wait for the child to read them.
const QUEUE: usize = 64;
/// Longest stderr line that is logged whole.
const STDERR_LINE: usize = 8 * 1024;

/// Turns a line of the server's log into one without secrets.
pub type Cleaner = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// How to start a server.
#[derive(Clone)]
pub struct StdioCommand {
    pub program: String,
    pub arguments: Vec<String>,
    /// Credentials that the server gets through its environment.
    pub secrets: Vec<(String, Secret)>,
    /// Variables of ours that the server must not inherit.
    pub hidden: Vec<String>,
    /// Longest line that the server may write, in bytes.
    pub line_limit: Limit,
    pub cleaner: Cleaner,
}

impl std::fmt::Debug for StdioCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Arguments may hold what people should not have put there.
        f.debug_struct("StdioCommand")
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

/// A duplex of messages to one server instance; dropping the sender ends it.
#[derive(Debug)]
pub struct Pipe {
    pub outgoing: mpsc::Sender<Bytes>,
    pub incoming: mpsc::Receiver<Bytes>,
    /// Cancelled once the server is gone.
    pub gone: CancellationToken,
    /// Cancel it to end the server.
    pub stop: CancellationToken,
}

/// Starts the command and its three pumps.
pub fn start(command: &StdioCommand) -> std::io::Result<Pipe> {
    let mut process = Command::new(&command.program);
    process
        .args(&command.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    process.process_group(0).kill_on_drop(true);
    for name in &command.hidden {
        process.env_remove(name);
    }
    for (name, secret) in &command.secrets {
        // The one place where this server's credential is handed over.
        process.env(name, secret.reveal());
    }
    let mut child = process.spawn()?;
    let missing = || std::io::Error::other("the child has no pipes");
    let stdin = child.stdin.take().ok_or_else(missing)?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;

    let (outgoing, to_child) = mpsc::channel(QUEUE);
    let (from_child, incoming) = mpsc::channel(QUEUE);
    let (gone, stop) = (CancellationToken::new(), CancellationToken::new());
    tokio::spawn(log_stderr(stderr, Arc::clone(&command.cleaner)));
    let reading = tokio::spawn(read_messages(stdout, from_child, command.line_limit.now()));
    let writing = tokio::spawn(write_messages(stdin, to_child));
    tokio::spawn(supervise(
        child,
        reading,
        writing,
        gone.clone(),
        stop.clone(),
    ));
    Ok(Pipe {
        outgoing,
        incoming,
        gone,
        stop,
    })
}

async fn write_messages(mut stdin: ChildStdin, mut messages: mpsc::Receiver<Bytes>) {
    while let Some(message) = messages.recv().await {
        let written = async {
            stdin.write_all(&one_line(message)).await?;
            stdin.write_all(b"\n").await?;
            stdin.flush().await
        };
        if written.await.is_err() {
            return;
        }
    }
    // Dropping stdin closes it, which is how the protocol asks a server to leave.
}

async fn read_messages(stdout: ChildStdout, messages: mpsc::Sender<Bytes>, limit: usize) {
    let mut reader = BufReader::with_capacity(64 * 1024, stdout);
    loop {
        match read_line(&mut reader, limit).await {
            Ok(Some(line)) if line.iter().all(u8::is_ascii_whitespace) => {}
            Ok(Some(line)) => {
                if messages.send(line).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the server's output cannot be read; ending it");
                return;
            }
        }
    }
}

async fn log_stderr(stderr: ChildStderr, cleaner: Cleaner) {
    let mut reader = BufReader::new(stderr);
    while let Ok(Some(line)) = read_line(&mut reader, 1 << 20).await {
        let text = String::from_utf8_lossy(line.get(..STDERR_LINE).unwrap_or(&line)).into_owned();
        tracing::info!(target: "server", "{}", cleaner(&text));
    }
}

/// Waits for the end of either side, then sees the whole process group out.
async fn supervise(
    mut child: Child,
    reading: tokio::task::JoinHandle<()>,
    writing: tokio::task::JoinHandle<()>,
    gone: CancellationToken,
    stop: CancellationToken,
) {
    let group = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let (reader, writer) = (reading.abort_handle(), writing.abort_handle());
    let early = tokio::select! {
        status = child.wait() => status.ok(),
        _ = writing => None,
        () = stop.cancelled() => None,
        () = reader_ended(reading) => None,
    };
    writer.abort(); // closes stdin
    let status = match early {
        Some(status) => Some(status),
        None => see_out(&mut child, group).await,
    };
    // Grandchildren that outlive their parent would keep working with nobody watching.
    signal(group, Signal::KILL);
    reader.abort();
    report(status, stop.is_cancelled());
    gone.cancel();
}

async fn reader_ended(reading: tokio::task::JoinHandle<()>) {
    if let Err(error) = reading.await {
        tracing::debug!(%error, "reader ended");
    }
}

async fn see_out(child: &mut Child, group: Option<Pid>) -> Option<ExitStatus> {
    if let Ok(status) = tokio::time::timeout(GRACE, child.wait()).await {
        return status.ok();
    }
    signal(group, Signal::TERM);
    if let Ok(status) = tokio::time::timeout(GRACE, child.wait()).await {
        return status.ok();
    }
    signal(group, Signal::KILL);
    child.wait().await.ok()
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group
        && let Err(error) = kill_process_group(group, signal)
        && error != rustix::io::Errno::SRCH
    {
        tracing::debug!(%error, "cannot signal the server's process group");
    }
}

fn report(status: Option<ExitStatus>, asked: bool) {
    match status {
        Some(status) if !asked && !status.success() => {
            tracing::warn!(%status, "the server process ended");
        }
        Some(status) => tracing::debug!(%status, "the server process ended"),
        None => tracing::warn!("the server process could not be waited for"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(script: &str) -> StdioCommand {
        StdioCommand {
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            secrets: vec![("TOKEN".into(), Secret::new("s3cret"))],
            hidden: vec!["PATH_THAT_IS_NOT_THERE".into()],
            line_limit: Limit::new(64),
            cleaner: Arc::new(str::to_owned),
        }
    }

    #[tokio::test]
    async fn lines_go_in_and_come_out_and_the_credential_is_in_the_environment() {
        let mut pipe = start(&command("read x; echo \"$x $TOKEN\"; cat")).unwrap();
        pipe.outgoing
            .send(Bytes::from_static(b"hello"))
            .await
            .unwrap();
        assert_eq!(pipe.incoming.recv().await.unwrap(), "hello s3cret");
        pipe.outgoing
            .send(Bytes::from_static(b"again"))
            .await
            .unwrap();
        assert_eq!(pipe.incoming.recv().await.unwrap(), "again");
        drop(pipe.outgoing);
        pipe.gone.cancelled().await;
    }

    #[tokio::test]
    async fn a_line_break_inside_a_message_cannot_carry_a_second_one() {
        let mut pipe = start(&command("cat")).unwrap();
        let smuggling = "{\"a\":\n{\"method\":\"tools/call\"}\r\n}\n";
        pipe.outgoing.send(Bytes::from(smuggling)).await.unwrap();
        pipe.outgoing
            .send(Bytes::from_static(b"{\"b\":1}"))
            .await
            .unwrap();
        let first = pipe.incoming.recv().await.unwrap();
        assert_eq!(first, "{\"a\": {\"method\":\"tools/call\"}  } ");
        assert_eq!(pipe.incoming.recv().await.unwrap(), "{\"b\":1}");
    }

    #[tokio::test]
    async fn a_line_beyond_the_limit_ends_the_server() {
        let mut pipe = start(&command(
            "head -c 100 /dev/zero | tr '\\0' x; echo; sleep 30",
        ))
        .unwrap();
        assert!(pipe.incoming.recv().await.is_none());
        pipe.gone.cancelled().await;
    }

    #[tokio::test]
    async fn stopping_ends_a_server_that_ignores_its_stdin_and_its_children() {
        let pipe = start(&command("trap '' TERM; sleep 60 & wait; sleep 60")).unwrap();
        pipe.stop.cancel();
        tokio::time::timeout(Duration::from_secs(8), pipe.gone.cancelled())
            .await
            .unwrap();
    }
}
