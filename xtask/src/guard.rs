//! The guard as a user runs it: `sallyport up` as a child, and the other commands beside it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{self, Service};

const READY_LIMIT: Duration = Duration::from_secs(30);
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// How the guard is to be run.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) binary: &'a Path,
    /// Folder or file of YAML.
    pub(crate) policy: &'a Path,
    pub(crate) gateway: &'a str,
    pub(crate) state: &'a Path,
    /// `--secret NAME/KEY=env:VAR`, and the variables with their values.
    pub(crate) secrets: &'a [(&'a str, &'a str)],
    pub(crate) upstream: Upstream,
    /// What a stdio server finds in its environment.
    pub(crate) env: &'a [(&'a str, String)],
    /// Further flags of `sallyport up`.
    pub(crate) flags: &'a [&'a str],
}

/// What is guarded.
#[derive(Debug, Clone)]
pub(crate) enum Upstream {
    Url(String),
    Command(Vec<String>),
}

/// A port that is free.
const ANYWHERE: &str = "127.0.0.1:0";

/// A running guard; ended when dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    service: Service,
    binary: PathBuf,
    state: PathBuf,
    /// The MCP endpoint, as the ready line says.
    pub(crate) url: String,
}

/// Who decides about a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Approver<'a> {
    pub(crate) user: &'a str,
    pub(crate) group: &'a str,
    pub(crate) reason: &'a str,
}

impl Guard {
    /// Starts the guard and waits for its ready line. Its log goes to `guard.log` beside the state.
    pub(crate) fn start(plan: &Plan<'_>) -> Result<Self> {
        Self::start_at(plan, ANYWHERE)
    }

    /// Starts it at a place that is chosen.
    pub(crate) fn start_at(plan: &Plan<'_>, listen: &str) -> Result<Self> {
        let log = std::fs::File::create(log_of(plan.state))?;
        let mut command = up(plan, listen);
        command.stdout(Stdio::piped()).stderr(log.try_clone()?);
        let mut service = Service::spawn(&mut command)?;
        let stdout = service
            .child()
            .stdout
            .take()
            .context("the guard's stdout")?;
        let ready = first_line(stdout, log);
        let Ok(line) = ready.recv_timeout(READY_LIMIT) else {
            bail!("the guard is not ready: {}", end_of(&log_of(plan.state)));
        };
        let url = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("url="))
            .with_context(|| format!("no url in `{line}`"))?;
        Ok(Self {
            url: url.to_owned(),
            service,
            binary: plan.binary.to_path_buf(),
            state: plan.state.to_path_buf(),
        })
    }

    /// The endpoint of the 2024-11-05 transport, beside the other one.
    pub(crate) fn sse_url(&self) -> String {
        let base = self.url.strip_suffix("/mcp").unwrap_or(&self.url);
        format!("{base}/sse")
    }

    /// Its process id, for those who measure it.
    pub(crate) fn process(&mut self) -> u32 {
        self.service.child().id()
    }

    /// Ends it and waits: what it writes at its end is then written.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.service.stop()
    }

    pub(crate) fn token(&self, user: &str, group: &str) -> Result<String> {
        let text = self.command(&["token", "--user", user, "--group", group, "--ttl", "15m"])?;
        Ok(text.trim().to_owned())
    }

    /// Every access request, whatever its phase.
    pub(crate) fn requests(&self) -> Result<Vec<Value>> {
        items(&self.command(&["requests", "-o", "json"])?)
    }

    pub(crate) fn sessions(&self) -> Result<Vec<Value>> {
        items(&self.command(&["sessions", "-o", "json"])?)
    }

    pub(crate) fn decide(&self, verb: &str, request: &str, by: Approver<'_>) -> Result<String> {
        self.command(&[
            verb, request, "--as", by.user, "--group", by.group, "--reason", by.reason,
        ])
    }

    /// Runs a command of the same binary on the same state; an error if it says so.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<String> {
        sallyport(&self.binary, &self.state, arguments)?
            .good(&format!("`sallyport {}`", arguments.join(" ")))
    }
}

/// Runs `sallyport` on a state folder, with whatever exit code.
pub(crate) fn sallyport(binary: &Path, state: &Path, arguments: &[&str]) -> Result<process::Said> {
    let mut command = Command::new(binary);
    command.args(arguments).arg("--state").arg(state);
    process::run(&mut command, "", COMMAND_LIMIT)
}

/// The phase of a request, and its name.
pub(crate) fn phase(request: &Value) -> Option<(&str, &str)> {
    let name = request.pointer("/metadata/name")?.as_str()?;
    let phase = request.pointer("/status/phase")?.as_str()?;
    Some((name, phase))
}

/// Where a guard on this state folder logs.
pub(crate) fn log_of(state: &Path) -> PathBuf {
    state.with_extension("log")
}

fn up(plan: &Plan<'_>, listen: &str) -> Command {
    let mut command = Command::new(plan.binary);
    command.args(["up", "--listen", listen, "--gateway", plan.gateway]);
    command.arg("-f").arg(plan.policy);
    command.arg("--state").arg(plan.state);
    command.args(plan.flags);
    for (index, (place, value)) in plan.secrets.iter().enumerate() {
        let variable = format!("XTASK_SECRET_{index}");
        command.args(["--secret", &format!("{place}=env:{variable}")]);
        command.env(variable, value);
    }
    command.envs(plan.env.iter().map(|(name, value)| (name, value)));
    match &plan.upstream {
        Upstream::Url(url) => command.args(["--upstream", url]),
        Upstream::Command(words) => command.arg("--").args(words),
    };
    command
}

/// Sends the ready line, and keeps reading, so that the guard never waits for a full pipe.
fn first_line(
    stdout: impl Read + Send + 'static,
    mut log: std::fs::File,
) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if writeln!(log, "{line}").is_err() {
                return;
            }
            // The receiver is gone once the guard is ready; later lines only go to the log.
            if line.starts_with("sallyport ready ") && sender.send(line).is_err() {
                continue;
            }
        }
    });
    receiver
}

fn items(text: &str) -> Result<Vec<Value>> {
    let list: Value = serde_json::from_str(text).context("a list in JSON")?;
    match list.get("items").and_then(Value::as_array) {
        Some(items) => Ok(items.clone()),
        None => bail!("no `items` in what was printed"),
    }
}

fn end_of(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(15);
    lines.get(from..).unwrap_or_default().join("\n    ")
}
