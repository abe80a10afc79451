//! token

use std::process::ExitCode;

use crate::output::Failure;

#[derive(clap::Args, Debug)]
pub(crate) struct TokenArgs {}

pub(crate) fn run(_args: TokenArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}
