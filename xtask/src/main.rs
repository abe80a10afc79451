//! The project's own commands. Each installs what a fresh Debian machine with only cargo lacks, and says what it does.

mod bench;
mod checks;
mod client;
mod console;
mod demo;
mod differential;
mod files;
mod fuzz;
mod guard;
mod matrix;
mod process;
mod setup;
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
        /// Only these parts: fmt, clippy, deny, directions, unit, differential, clients.
        #[arg(long, value_delimiter = ',')]
        only: Vec<checks::Part>,
        /// Only the rows of the client matrix whose name contains this text.
        #[arg(long)]
        row: Option<String>,
    },
    /// Puts the guard in front of two servers that nobody here wrote, and shows what it does.
    Demo,
    /// Measures the guard beside nginx, which only passes bytes through; prints a table.
    Bench {
        /// Turns that each contestant takes.
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        /// Calls on each connection in one turn.
        #[arg(long, default_value_t = 500)]
        calls: u32,
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
        Command::Demo => demo::run(),
        Command::Bench { rounds, calls } => bench::run(rounds, calls).map(|()| true),
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
        Command::Setup => setup::everything().map(|()| true),
    }
}
