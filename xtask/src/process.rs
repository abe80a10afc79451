//! Other programs: run to their end within a limit, or kept until dropped. Only what was started here is ever ended.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How often a child is asked whether it has ended.
const GLANCE: Duration = Duration::from_millis(15);
/// How long a child has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// What a program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// Its stdout, or an error with the end of what it complained about.
    pub(crate) fn good(self, what: &str) -> Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        bail!(
            "{what} failed ({}): {}",
            self.status,
            tail(&self.stderr, &self.stdout)
        )
    }
}

fn tail(stderr: &str, stdout: &str) -> String {
    let text = if stderr.trim().is_empty() {
        stdout
    } else {
        stderr
    };
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(12);
    lines.get(from..).unwrap_or_default().join("\n    ")
}

/// Runs a program to its end, with `input` on its stdin; one that takes longer than `limit` is killed.
pub(crate) fn run(command: &mut Command, input: &str, limit: Duration) -> Result<Said> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let stdout = child.stdout.take().map(gather);
    let stderr = child.stderr.take().map(gather);
    if let Some(mut stdin) = child.stdin.take()
        && let Err(error) = stdin.write_all(input.as_bytes())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        return Err(error).context("the child's stdin");
    }
    let status = wait(&mut child, limit)?;
    let said = |pipe: Option<thread::JoinHandle<String>>| {
        pipe.and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    };
    let Some(status) = status else {
        child.kill()?;
        child.wait()?;
        let stderr = said(stderr);
        bail!(
            "took longer than {} s: {}",
            limit.as_secs(),
            tail(&stderr, "")
        );
    };
    Ok(Said {
        status,
        stdout: said(stdout),
        stderr: said(stderr),
    })
}

fn gather(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if pipe.read_to_end(&mut bytes).is_err() {
            // What came before the error is still worth telling.
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// None: still running when the limit was reached.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        thread::sleep(GLANCE);
    }
}

/// A program that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
}

impl Service {
    /// Starts it with both outputs in `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(file.try_clone()?).stderr(file);
        Self::spawn(command)
    }

    /// Starts it with its outputs as the command says.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Asks it to end, and insists after a while.
    pub(crate) fn stop(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        terminate(&self.child)?;
        if wait(&mut self.child, GRACE)?.is_none() {
            self.child.kill()?;
            self.child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            crate::console::say(&format!("a child could not be ended: {error:#}"));
        }
    }
}

/// Sends SIGTERM, and does not wait.
pub(crate) fn terminate(child: &Child) -> Result<()> {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        kill_process(pid, Signal::TERM)?;
    }
    Ok(())
}

/// Tries until something answers on the port, or the child has ended.
pub(crate) fn listening(service: &mut Service, port: u16, limit: Duration) -> Result<()> {
    let until = Instant::now() + limit;
    while Instant::now() < until {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        if let Some(status) = service.child().try_wait()? {
            bail!("it ended at once ({status})");
        }
        thread::sleep(GLANCE);
    }
    bail!("nothing answers on port {port} after {} s", limit.as_secs())
}

/// A port that was free a moment ago, for servers that cannot pick one and tell.
pub(crate) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .port())
}
