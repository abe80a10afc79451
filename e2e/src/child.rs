//! Other programs, run to their end within a limit, or read line by line while they run.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a child is asked whether it has ended.
const GLANCE: Duration = Duration::from_millis(10);

/// What a program said, and whether it went well.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) good: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end, with `input` on its stdin; one that takes longer than `limit` is killed.
pub(crate) fn run(command: &mut Command, input: &str, limit: Duration) -> Result<Said> {
    let name = command.get_program().display().to_string();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let stdout = child.stdout.take().map(gather);
    let stderr = child.stderr.take().map(gather);
    if let Some(mut stdin) = child.stdin.take()
        && let Err(error) = stdin.write_all(input.as_bytes())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        return Err(error).with_context(|| format!("the stdin of {name}"));
    }
    let until = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            bail!("{name} took longer than {} s", limit.as_secs());
        }
        thread::sleep(GLANCE);
    };
    Ok(Said {
        good: status.success(),
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

fn said(pipe: Option<thread::JoinHandle<String>>) -> String {
    pipe.and_then(|thread| thread.join().ok())
        .unwrap_or_default()
}

/// A program that tells line by line while it runs; ended when dropped.
#[derive(Debug)]
pub(crate) struct Teller {
    child: Child,
    lines: BufReader<ChildStdout>,
    complaints: Option<thread::JoinHandle<String>>,
}

impl Teller {
    /// Starts it with `input` on its stdin.
    pub(crate) fn start(command: &mut Command, input: &str) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let complaints = child.stderr.take().map(gather);
        let mut stdin = child.stdin.take().context("the child's stdin")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        let stdout = child.stdout.take().context("the child's stdout")?;
        Ok(Self {
            child,
            lines: BufReader::new(stdout),
            complaints,
        })
    }

    /// Its next line; the program itself bounds how long that takes.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            let complaints = said(self.complaints.take());
            bail!("it ended without a further line: {}", complaints.trim());
        }
        Ok(line)
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if self.child.kill().is_err() || self.child.wait().is_err() {
            // It has ended already.
        }
    }
}
