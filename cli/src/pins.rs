//! pins

use std::process::ExitCode;

use crate::output::Failure;

#[derive(clap::Args, Debug)]
pub(crate) struct PinsArgs {}

pub(crate) fn run(_args: PinsArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}
