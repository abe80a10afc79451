//! `cargo xtask bench`: what the guard costs a call, beside nginx passing the same bytes through in the same run.
//!
//! The contestants take turns, so that whatever else the machine does hits all of them. Everything is loopback, bounded
//! in calls and time.

mod contestants;
mod figures;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::console::say;
use crate::process::{self, Service};
use crate::workspace::{self, Profile};
use contestants::Contestant;
use figures::Figures;

const CONNECTIONS: u32 = 16;
const ROUND_LIMIT: Duration = Duration::from_secs(120);

/// Runs `rounds` turns of `calls` calls a connection, and prints a table.
pub(crate) fn run(rounds: u32, calls: u32) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("sallyport-bench-")
        .tempdir()?;
    let load = workspace::build(
        "sallyport-bench",
        "sallyport-bench",
        Profile::Release,
        folder.path(),
    )?;
    let sallyport = workspace::build(
        "sallyport-cli",
        "sallyport",
        Profile::Release,
        folder.path(),
    )?;
    let (_upstream, server) = upstream(&load)?;
    let contestants = contestants::all(server, &sallyport, folder.path())?;
    let mut figures: Vec<Figures> = contestants.iter().map(|_| Figures::default()).collect();
    for round in 1..=rounds {
        say(&format!("round {round} of {rounds}"));
        for (contestant, figures) in contestants.iter().zip(&mut figures) {
            turn(contestant, figures, &load, calls).with_context(|| contestant.name.clone())?;
        }
    }
    say("");
    say(&format!(
        "{CONNECTIONS} connections, {} calls each way, one worker",
        rounds * calls * CONNECTIONS
    ));
    for line in figures::table(&contestants, &figures) {
        say(&line);
    }
    Ok(())
}

/// The trivial server, and where it listens.
fn upstream(load: &Path) -> Result<(Service, SocketAddr)> {
    let mut service = Service::spawn(Command::new(load).arg("upstream").stdout(Stdio::piped()))?;
    let stdout = service
        .child()
        .stdout
        .take()
        .context("the server's stdout")?;
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
    let address = line.trim().parse().context("the server's address")?;
    Ok((service, address))
}

fn turn(contestant: &Contestant, figures: &mut Figures, load: &Path, calls: u32) -> Result<()> {
    let mut command = Command::new(load);
    command.args(["load", "--to", &contestant.address.to_string()]);
    command.args([
        "--connections",
        &CONNECTIONS.to_string(),
        "--calls",
        &calls.to_string(),
    ]);
    if let Some(token) = &contestant.token {
        command.env("BENCH_TOKEN", token);
    }
    let before = contestant.used()?;
    let text = process::run(&mut command, "", ROUND_LIMIT)?.good("the load")?;
    let report: Value = serde_json::from_str(&text)?;
    figures.add(&report, contestant.used()?.since(&before));
    Ok(())
}
