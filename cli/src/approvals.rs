//! approvals

use std::process::ExitCode;

use crate::output::Failure;

#[derive(clap::Args, Debug)]
pub(crate) struct RequestsArgs {}
#[derive(clap::Args, Debug)]
pub(crate) struct RequestArgs {}
#[derive(clap::Args, Debug)]
pub(crate) struct VoiceArgs {}

pub(crate) async fn requests(_args: RequestsArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}

pub(crate) async fn request(_args: RequestArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}

pub(crate) async fn approve(_args: VoiceArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}

pub(crate) async fn deny(_args: VoiceArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}

pub(crate) async fn revoke(_args: VoiceArgs) -> Result<ExitCode, Failure> {
    Err(Failure::usage("not built yet"))
}
