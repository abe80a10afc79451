//! `sallyport policy`: the workbench for what is written in YAML, with the very reader, compiler and evaluator that the
//! guard uses. Nothing here talks to a guard or a cluster.

mod check;
mod diff;
mod explain;
mod input;
mod problem;
mod recorded;
mod report;
mod schemas;
mod test;
mod verdict;

use std::process::ExitCode;

use clap::Subcommand;

use crate::output::Failure;

pub(crate) use check::examine;
pub(crate) use input::{choose, read, read_right};

/// Check, test, explain and compare policies.
#[derive(clap::Args, Debug)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Read and compile files, and tell every mistake in them
    Check(check::CheckArgs),
    /// Run the tests that policies carry
    Test(test::TestArgs),
    /// Tell what one call would meet, and which rules were looked at
    Explain(Box<explain::ExplainArgs>),
    /// Tell what two versions decide differently
    Diff(diff::DiffArgs),
}

pub(crate) fn run(args: PolicyArgs) -> Result<ExitCode, Failure> {
    match args.command {
        PolicyCommand::Check(args) => check::run(&args),
        PolicyCommand::Test(args) => test::run(&args),
        PolicyCommand::Explain(args) => explain::run(*args),
        PolicyCommand::Diff(args) => diff::run(&args),
    }
}
