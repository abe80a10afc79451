//! `sallyport request`: a window of time for one tool, asked for before the first call.

use std::process::ExitCode;

use clap::Args;
use sallyport_policy::source::GoDuration;
use sallyport_sidecar::hold::protocol::AskedWindow;

use super::{connect, failed, put_outcome};
use crate::output::{Failure, Format, say};
use crate::state::StateArgs;

/// Ask ahead for a window in which calls of one tool need no approval of their own.
#[derive(Args, Debug)]
pub(crate) struct RequestArgs {
    /// The gateway, to be sure that it is this one
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// The tool
    #[arg(long, value_name = "TOOL")]
    tool: String,
    /// How long, from the approval on; at most the gateway's `maxGrant`
    #[arg(long = "for", value_name = "DURATION")]
    duration: GoDuration,
    /// The one agent that may use it; any agent of USER where none is named, and approvers are told so
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// How often it may be used
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_uses: Option<u32>,
    /// Why; some rules ask for it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who will call: the subject of their token
    #[arg(long = "as", value_name = "USER")]
    by: String,
    /// Their groups, as in their token; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Whose name USER is, where the gateway trusts other issuers beside the standalone one
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
    /// How the request is printed
    #[arg(short = 'o', long = "output", value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    state: StateArgs,
}

pub(crate) async fn request(args: RequestArgs) -> Result<ExitCode, Failure> {
    let RequestArgs {
        gateway,
        tool,
        duration,
        client,
        max_uses,
        reason,
        by,
        groups,
        issuer,
        output,
        state,
    } = args;
    let any_client = client.is_none();
    let asked = AskedWindow {
        by,
        groups,
        issuer,
        gateway,
        client,
        tool,
        duration,
        max_uses,
        reason,
    };
    let mut guard = connect(&state.path()?).await?;
    let seen = guard.request(asked).await.map_err(failed)?;
    if any_client {
        say("for any agent of this user; --client names one");
    }
    put_outcome(&seen, output)?;
    Ok(ExitCode::SUCCESS)
}
