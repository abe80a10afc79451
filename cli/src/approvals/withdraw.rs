//! `sallyport withdraw`: whoever asked takes it back.

use std::process::ExitCode;

use clap::Args;
use sallyport_policy::name::RequestId;

use super::{connect, failed, put_outcome};
use crate::output::{Failure, Format};
use crate::state::StateArgs;

/// Take back an access request of one's own.
#[derive(Args, Debug)]
pub(crate) struct WithdrawArgs {
    /// The request, as `sallyport requests` shows it
    #[arg(value_name = "ID")]
    id: String,
    /// Who asked
    #[arg(long = "as", value_name = "USER")]
    by: String,
    /// How the request is printed afterwards
    #[arg(short = 'o', long = "output", value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    state: StateArgs,
}

pub(crate) async fn withdraw(args: WithdrawArgs) -> Result<ExitCode, Failure> {
    let mut client = connect(&args.state.path()?).await?;
    let id = RequestId::new(args.id);
    let withdrawn = client.withdraw(&id, &args.by).await.map_err(failed)?;
    put_outcome(&withdrawn, args.output)?;
    Ok(ExitCode::SUCCESS)
}
