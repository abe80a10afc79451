//! recordings

use std::process::ExitCode;

use crate::output::Failure;

#[derive(clap::Args, Debug)]
pub(crate) struct SessionsArgs {}

pub(crate) fn sessions(_args: SessionsArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}

#[derive(clap::Args, Debug)]
pub(crate) struct ReplayArgs {}

pub(crate) fn replay(_args: ReplayArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}

#[derive(clap::Args, Debug)]
pub(crate) struct ExportArgs {}

pub(crate) fn export(_args: ExportArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}

#[derive(clap::Args, Debug)]
pub(crate) struct VerifyArgs {}

pub(crate) fn verify(_args: VerifyArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}
