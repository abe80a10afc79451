//! `cargo xtask bench`: what the guard costs a call, beside nginx passing the same bytes through and Envoy checking
//! tokens and roles, in the same run.
//!
//! The contestants take turns, so that whatever else the machine does hits all of them. Everything is loopback, bounded
//! in calls and time.

mod chart;
mod contestants;
mod envoy;
mod figures;
mod goals;
mod load;
mod nginx;
mod report;
mod scenario;
mod sidecar;
mod start;
mod used;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::console::say;
use crate::process::{self, Service};
use crate::workspace::{self, Profile};
use figures::Board;
use start::Starts;

const PREPARE_LIMIT: Duration = Duration::from_secs(60);

/// What is run, and what is made of it.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Turns that each contestant takes in each scenario.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Calls on each of 16 connections in one turn; a single connection makes four times as many.
    #[arg(long, default_value_t = 250)]
    calls: u32,
    /// Only contestants whose name contains one of these texts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only scenarios whose name contains this text.
    #[arg(long)]
    scenario: Option<String>,
    /// Writes every figure as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Writes the table and the goals into docs/performance.md, and the chart to docs/performance.svg.
    #[arg(long)]
    write_docs: bool,
}

/// What one run saw.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) board: Board,
    pub(crate) starts: Starts,
    pub(crate) rounds: u32,
}

/// Runs all turns, and prints figures and goals.
pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    let BenchArgs {
        rounds,
        calls,
        only,
        scenario,
        json,
        write_docs,
    } = args;
    let folder = tempfile::Builder::new()
        .prefix("sallyport-bench-")
        .tempdir()?;
    let field = Field::prepare(folder.path())?;
    let starts = start::measure(&field)?;
    let contestants = contestants::all(&field, only)?;
    let scenarios = scenario::all(scenario.as_deref());
    let mut board = Board::new(&scenarios, &contestants);
    for round in 1..=*rounds {
        say(&format!("round {round} of {rounds}"));
        for (row, scenario) in scenarios.iter().enumerate() {
            for (column, contestant) in contestants.iter().enumerate() {
                let turn = load::turn(contestant, scenario, &field.load, *calls)
                    .with_context(|| format!("{}, {}", contestant.name, scenario.name))?;
                board.add(row, column, turn);
            }
        }
    }
    drop(contestants);
    let seen = Seen {
        board,
        starts,
        rounds: *rounds,
    };
    for line in report::lines(&seen) {
        say(&line);
    }
    if let Some(file) = json {
        std::fs::write(file, report::json(&seen).to_string())?;
    }
    if *write_docs {
        report::write_docs(&seen)?;
    }
    Ok(())
}

/// Everything that contestants start with.
#[derive(Debug)]
pub(crate) struct Field {
    folder: PathBuf,
    load: PathBuf,
    sallyport: PathBuf,
    sidecar: PathBuf,
    server: SocketAddr,
    token: String,
    _upstream: Service,
}

impl Field {
    fn prepare(folder: &Path) -> Result<Self> {
        let build = |package, binary| workspace::build(package, binary, Profile::Release, folder);
        let load = build("sallyport-bench", "sallyport-bench")?;
        let sallyport = build("sallyport-cli", "sallyport")?;
        let sidecar = build("sallyport-sidecar", "sallyport-sidecar")?;
        let mut prepare = Command::new(&load);
        prepare.arg("prepare").arg("--into").arg(folder);
        prepare
            .arg("--policy")
            .arg(workspace::root().join("xtask/bench/policy.yaml"));
        process::run(&mut prepare, "", PREPARE_LIMIT)?.good("preparing")?;
        let (upstream, server) = upstream(&load)?;
        Ok(Self {
            token: std::fs::read_to_string(folder.join("token"))?,
            folder: folder.to_owned(),
            load,
            sallyport,
            sidecar,
            server,
            _upstream: upstream,
        })
    }
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
