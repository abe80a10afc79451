//! `sallyport approve`, `deny` and `revoke`: one person's word on one request.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Args;
use sallyport_policy::approval::Verdict;
use sallyport_policy::name::RequestId;
use sallyport_sidecar::clock::{Clock, SystemClock};
use sallyport_sidecar::hold::client::{Client, preview_digest};
use sallyport_sidecar::hold::protocol::{Seen, Word};

use super::{connect, failed, put_outcome, show};
use crate::output::{Failure, Format, confirmed, say};
use crate::state::StateArgs;

/// What every review says.
#[derive(Args, Debug)]
pub(crate) struct VoiceArgs {
    /// The request, as `sallyport requests` shows it
    #[arg(value_name = "ID")]
    id: String,
    /// Who says so; written down as asserted, with the uid of this account
    #[arg(long = "as", value_name = "USER")]
    by: String,
    /// A group of theirs; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Why; some rules ask for it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How the request is printed afterwards
    #[arg(short = 'o', long = "output", value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    state: StateArgs,
}

/// Approve a request.
///
/// Shows who asks for what, and at a terminal asks once more before it approves. What was shown is what is approved:
/// the review carries its digest.
#[derive(Args, Debug)]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    voice: VoiceArgs,
    /// Do not ask once more; without a terminal nothing is asked anyway
    #[arg(short = 'y', long)]
    yes: bool,
}

pub(crate) async fn approve(args: ApproveArgs) -> Result<ExitCode, Failure> {
    let ApproveArgs { voice, yes } = args;
    let mut client = connect(&voice.state.path()?).await?;
    let shown = client
        .get(&RequestId::new(voice.id.as_str()))
        .await
        .map_err(failed)?;
    say(&show::details(&shown, SystemClock::new().now()));
    if !yes && std::io::stdin().is_terminal() && !confirmed("approve this?")? {
        return Err(Failure::no("nothing was approved"));
    }
    speak(&mut client, voice, Verdict::Approve, Some(&shown)).await
}

pub(crate) async fn deny(args: VoiceArgs) -> Result<ExitCode, Failure> {
    let mut client = connect(&args.state.path()?).await?;
    speak(&mut client, args, Verdict::Deny, None).await
}

pub(crate) async fn revoke(args: VoiceArgs) -> Result<ExitCode, Failure> {
    let mut client = connect(&args.state.path()?).await?;
    speak(&mut client, args, Verdict::Revoke, None).await
}

async fn speak(
    client: &mut Client,
    voice: VoiceArgs,
    verdict: Verdict,
    shown: Option<&Seen>,
) -> Result<ExitCode, Failure> {
    let word = Word {
        name: RequestId::new(voice.id),
        verdict,
        by: voice.by,
        groups: voice.groups,
        reason: voice.reason,
        preview_digest: shown.and_then(|shown| preview_digest(&shown.request)),
    };
    let seen = client.review(word).await.map_err(failed)?;
    say(&show::assurance(&seen));
    put_outcome(&seen, voice.output)?;
    Ok(ExitCode::SUCCESS)
}
