//! doctor

use std::process::ExitCode;

use crate::output::Failure;

#[derive(clap::Args, Debug)]
pub(crate) struct DoctorArgs {}

pub(crate) async fn run(_args: DoctorArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}
