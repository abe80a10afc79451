//! standalone

use std::process::ExitCode;

use crate::output::Failure;

#[derive(clap::Args, Debug)]
pub(crate) struct UpArgs {}

pub(crate) async fn up(_args: UpArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}
