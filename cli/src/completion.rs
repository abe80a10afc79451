//! Completion scripts for shells.

use std::process::ExitCode;

use crate::output::Failure;

/// Print a completion script for a shell.
#[derive(clap::Args, Debug)]
pub(crate) struct CompletionArgs {
    /// The shell
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &CompletionArgs) -> Result<ExitCode, Failure> {
    let mut command = <crate::Cli as clap::CommandFactory>::command();
    clap_complete::generate(
        args.shell,
        &mut command,
        "sallyport",
        &mut std::io::stdout(),
    );
    Ok(ExitCode::SUCCESS)
}
