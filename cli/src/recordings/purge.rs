//! `sallyport purge`: recordings deleted by order, with a signed tombstone in their place (law 32).

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use sallyport_policy::name::SessionId;
use sallyport_policy::record::event::PurgeCause;
use sallyport_policy::source::scalar::GoDuration;
use sallyport_policy::time::UnixMillis;
use sallyport_recorder::Recordings;
use sallyport_recorder::purge::{Order, Taken};
use sallyport_sidecar::clock::{Clock as _, SystemClock};
use serde_json::json;

use super::{actor, counted, failed, open};
use crate::output::{Failure, Format, confirmed, put, put_value, say};
use crate::state::StateArgs;

/// Delete recordings by order, leaving signed tombstones that `verify` accepts.
///
/// `--older-than` deletes whole segments whose last event is older. `--session` deletes the payloads of one session
/// (arguments and answers) and keeps its events. What is on legal hold stays.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  sallyport purge --older-than 2160h --dry-run\n  sallyport purge --session 01kayq --reason \"erasure request 41\""
)]
pub(crate) struct PurgeArgs {
    /// Everything older than this age, such as 2160h
    #[arg(
        long,
        value_name = "DURATION",
        required_unless_present = "session",
        conflicts_with = "session"
    )]
    older_than: Option<GoDuration>,
    /// The payloads of this session, or the beginning of its id
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Tell what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Why; kept in the tombstone
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not ask at a terminal
    #[arg(short, long)]
    yes: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    state: StateArgs,
}

/// What is to go.
enum Aim {
    Before(UnixMillis),
    Session(SessionId),
}

pub(crate) fn run(args: &PurgeArgs) -> Result<ExitCode, Failure> {
    let recordings = open(&args.state)?;
    let aim = aim(args, &recordings)?;
    let asks = std::io::stdin().is_terminal() && !args.yes && !args.dry_run;
    if asks {
        let planned = purge(args, &recordings, &aim, true)?;
        say(&sentence(&planned, &aim, "would be deleted"));
        if !planned.is_empty() && !confirmed("delete this?")? {
            return Err(Failure::no("nothing was deleted"));
        }
    }
    let taken = purge(args, &recordings, &aim, args.dry_run)?;
    match args.output {
        Format::Table => tell(&taken, &aim, args.dry_run)?,
        Format::Json | Format::Yaml => {
            put_value(&machine(&taken, &aim, args.dry_run), args.output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn aim(args: &PurgeArgs, recordings: &Recordings) -> Result<Aim, Failure> {
    if let Some(id) = &args.session {
        return Ok(Aim::Session(recordings.resolve(id).map_err(failed)?));
    }
    let age = args.older_than.map_or(Duration::ZERO, GoDuration::get);
    if age.is_zero() {
        return Err(Failure::usage(
            "say which: `--older-than DURATION`, longer than nothing, or `--session ID`",
        ));
    }
    let back = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    let now = SystemClock::new().now();
    Ok(Aim::Before(UnixMillis(now.0.saturating_sub(back))))
}

fn purge(
    args: &PurgeArgs,
    recordings: &Recordings,
    aim: &Aim,
    dry_run: bool,
) -> Result<Taken, Failure> {
    let actor = actor();
    let order = |cause| Order {
        actor: &actor,
        cause,
        reason: args.reason.as_deref(),
        dry_run,
    };
    match aim {
        Aim::Before(before) => recordings.purge_before(order(PurgeCause::Retention), *before),
        Aim::Session(id) => recordings.purge_payloads(order(PurgeCause::Erasure), id.as_str()),
    }
    .map_err(failed)
}

fn tell(taken: &Taken, aim: &Aim, dry_run: bool) -> Result<(), Failure> {
    let done = if dry_run {
        "would be deleted"
    } else {
        "deleted"
    };
    put(&sentence(taken, aim, done))?;
    if !taken.held.is_empty() {
        put(&format!(
            "kept: {}, because of sessions on legal hold",
            counted(taken.held.len() as u64, "segment")
        ))?;
    }
    if !taken.unreadable.is_empty() {
        put(&format!(
            "kept: {} that cannot be read; run `sallyport verify`",
            counted(taken.unreadable.len() as u64, "segment")
        ))?;
    }
    Ok(())
}

fn sentence(taken: &Taken, aim: &Aim, done: &str) -> String {
    if taken.is_empty() {
        return match aim {
            Aim::Before(before) => {
                format!("nothing to delete: no closed segment ends before {before}")
            }
            Aim::Session(id) => format!("nothing to delete: session {id} has no payloads left"),
        };
    }
    let mut parts = Vec::new();
    if !taken.segments.is_empty() {
        parts.push(counted(taken.segments.len() as u64, "segment"));
    }
    if taken.payloads > 0 {
        parts.push(counted(taken.payloads, "payload"));
    }
    let of = match aim {
        Aim::Before(before) => format!("older than {before}"),
        Aim::Session(id) => format!("of session {id}"),
    };
    format!(
        "{done}: {} {of}, {} bytes",
        parts.join(" and "),
        taken.bytes
    )
}

fn machine(taken: &Taken, aim: &Aim, dry_run: bool) -> serde_json::Value {
    let (before, session) = match aim {
        Aim::Before(before) => (Some(before.to_string()), None),
        Aim::Session(id) => (None, Some(id)),
    };
    json!({ "kind": "Purge", "dryRun": dry_run, "before": before, "session": session, "taken": taken })
}
