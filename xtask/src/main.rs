//! The project's own commands. Each installs what a fresh Debian machine with only cargo lacks, and says what it does.

mod bench;
mod checks;
mod client;
mod console;
mod demo;
mod files;
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
        /// Only these parts: fmt, clippy, deny, directions, unit, clients.
        #[arg(long, value_delimiter = ',')]
        only: Vec<checks::Part>,
        /// Only the rows of the client matrix whose name contains this text.
        #[arg(long)]
        row: Option<String>,
    },
    /// Puts the guard in front of two servers that nobody here wrote, and shows what it does.
    Demo,
    /// Measures the guard beside nginx and Envoy, and says which goals are met.
    Bench(bench::BenchArgs),
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
        Command::Bench(args) => bench::run(&args).map(|()| true),
        Command::Setup => setup::everything().map(|()| true),
    }
}
