//! One turn: a contestant under one kind of load, its counters read while the connections are open and warm.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::contestants::Contestant;
use super::figures::Turn;
use super::scenario::Scenario;

const TURN_LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn turn(
    contestant: &Contestant,
    scenario: &Scenario,
    load: &Path,
    calls: u32,
) -> Result<Turn> {
    let mut running = Running::start(contestant, scenario, load, calls)?;
    running.hears("ready")?;
    let before = contestant.used()?;
    running.go_on()?;
    let report: Value = serde_json::from_str(&running.line()?)?;
    let used = contestant.used()?.since(&before);
    running.go_on()?;
    let number = |name: &str| report.get(name).and_then(Value::as_f64).context("a figure");
    let calls = number("calls")?;
    Ok(Turn {
        processor: used.processor as f64 / calls / 1000.0,
        memory: used.memory,
        median: number("p50")?,
        slow: number("p99")?,
        rate: calls / number("seconds")?,
    })
}

/// The load at work; killed when dropped.
struct Running {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Running {
    fn start(
        contestant: &Contestant,
        scenario: &Scenario,
        load: &Path,
        calls: u32,
    ) -> Result<Self> {
        let mut command = Command::new(load);
        command.args(["load", "--to", &contestant.address.to_string()]);
        command.args(["--connections", &scenario.connections.to_string()]);
        let each = if scenario.connections == 1 {
            calls * 4
        } else {
            calls
        };
        command.args(["--calls", &each.to_string()]);
        command.args(["--bytes", &(scenario.kibibytes * 1024).to_string()]);
        if scenario.stream {
            command.arg("--stream");
        }
        command.args([
            "--revision",
            if scenario.newest { "newest" } else { "legacy" },
        ]);
        if let Some(token) = &contestant.token {
            command.env("BENCH_TOKEN", token);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().context("the load's stdin")?;
        let stdout = child.stdout.take().context("the load's stdout")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            stdin,
            lines,
        })
    }

    fn line(&self) -> Result<String> {
        self.lines
            .recv_timeout(TURN_LIMIT)
            .context("the load ended early, or takes too long")
    }

    fn hears(&self, wanted: &str) -> Result<()> {
        let line = self.line()?;
        anyhow::ensure!(line == wanted, "the load says `{line}`");
        Ok(())
    }

    fn go_on(&mut self) -> Result<()> {
        Ok(writeln!(self.stdin)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended by itself, or something went wrong that was told already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
