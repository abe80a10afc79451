//! The project's own commands. Each installs what a fresh Debian machine with only cargo lacks, and says what it does.

mod attacks;
mod bench;
mod checks;
mod client;
mod cluster;
mod conformance;
mod console;
mod demo;
mod differential;
mod files;
mod fuzz;
mod guard;
mod matrix;
mod process;
mod setup;
mod soak;
mod tally;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that must hold: format, lints, licences, crate directions, tests, and real clients through the guard.
    Test {
        /// Only these parts: fmt, clippy, deny, directions, unit, differential, clients, attacks, conformance, soak.
        #[arg(long, value_delimiter = ',')]
        only: Vec<checks::Part>,
        /// Only the rows of the client matrix whose name contains this text.
        #[arg(long)]
        row: Option<String>,
    },
    /// The official conformance suite, straight at a server and through the guard: every check must be equal.
    Conformance {
        /// Only this set: 2025-11-25 or 2026-07-28.
        #[arg(long)]
        requirements: Option<String>,
        /// Only this way through the guard, and no client scenarios.
        #[arg(long)]
        run: Option<conformance::Run>,
    },
    /// Only the client matrix: every official client before every server.
    Matrix {
        /// Only the rows whose name contains this text.
        #[arg(long, conflicts_with = "write_docs")]
        row: Option<String>,
        /// Writes what came of it to `docs/compatibility.md`.
        #[arg(long)]
        write_docs: bool,
    },
    /// Puts the guard in front of two servers that nobody here wrote, and shows what it does.
    Demo {
        /// On a real cluster, which is started if none runs.
        #[arg(long)]
        cluster: bool,
    },
    /// Measures the guard beside nginx and Envoy, and says which goals are met.
    Bench(bench::BenchArgs),
    /// Many clients of every revision at once, servers that fail, guards that are killed: nothing may leak, mix or run twice.
    Soak {
        /// Only these acts: load, kill, drain.
        #[arg(long, value_delimiter = ',')]
        only: Vec<soak::Act>,
        /// How long the main load lasts.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Clients at once, over three guards.
        #[arg(long, default_value_t = 200)]
        clients: u32,
        /// Chance begins here; the same seed takes the same steps.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Print the report as JSON at the end.
        #[arg(long)]
        json: bool,
    },
    /// Looks for inputs on which a law of the parsers does not hold, guided by the code that they reach.
    Fuzz {
        /// The target; `--list` names them.
        #[arg(required_unless_present_any = ["all", "list"])]
        target: Option<String>,
        /// Every target, one after the other.
        #[arg(long, conflicts_with = "target")]
        all: bool,
        /// Only say which targets there are, and what holds for each.
        #[arg(long)]
        list: bool,
        /// Minutes for each target.
        #[arg(long, default_value_t = 10.0)]
        minutes: f64,
        /// Keep the least set of inputs that reaches the same code in the repository.
        #[arg(long)]
        keep: bool,
    },
    /// Reads documents as Rust, Python, Node and Go do: what they read differently the guard must refuse.
    Differential {
        #[arg(long, default_value_t = 1_000_000)]
        documents: u64,
        /// The same seed makes the same documents.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// A real Kubernetes cluster of one node, in namespaces of its own.
    Cluster {
        #[command(subcommand)]
        action: cluster::Action,
    },
    /// Installs what the other commands need, and nothing else.
    Setup,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            console::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// False where something that was checked does not hold.
fn run(args: Args) -> Result<bool> {
    match args.command {
        Command::Test { only, row } => checks::test(&only, row.as_deref()),
        Command::Conformance { requirements, run } => {
            Ok(conformance::run(&conformance::Choice { requirements, run }))
        }
        Command::Matrix { row, write_docs } => matrix::alone(row.as_deref(), write_docs),
        Command::Demo { cluster: false } => demo::run(),
        Command::Demo { cluster: true } => cluster::test(None),
        Command::Bench(args) => bench::run(&args).map(|()| true),
        Command::Soak {
            only,
            seconds,
            clients,
            seed,
            json,
        } => soak::run(&soak::Scale::by_hand(only, seconds, clients, seed), json),
        Command::Fuzz { list: true, .. } => fuzz::list().map(|()| true),
        Command::Fuzz {
            target,
            all: _,
            list: false,
            minutes,
            keep,
        } => fuzz::run(&fuzz::Wanted {
            target,
            minutes,
            keep,
        }),
        Command::Differential { documents, seed } => {
            let mut tally = tally::Tally::default();
            tally.step("differential parsing", || {
                differential::run(documents, seed)
            });
            Ok(tally.close())
        }
        Command::Cluster { action } => cluster::run(action),
        Command::Setup => setup::everything().map(|()| true),
    }
}
