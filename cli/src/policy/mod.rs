//! policy

use std::process::ExitCode;

use crate::output::Failure;

#[derive(clap::Args, Debug)]
pub(crate) struct PolicyArgs {}

pub(crate) fn run(_args: PolicyArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}
