//! connect

use std::process::ExitCode;

use crate::output::Failure;

#[derive(clap::Args, Debug)]
pub(crate) struct ConnectArgs {}

pub(crate) async fn run(_args: ConnectArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}
