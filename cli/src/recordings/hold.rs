//! `sallyport legal-hold`: sessions that no purge touches, whatever the retention says (law 32).

use std::process::ExitCode;

use clap::{Args, Subcommand};
use sallyport_recorder::purge::Hold;
use serde_json::json;

use super::{actor, failed, open};
use crate::output::{Failure, Format, put, put_table, put_value};
use crate::state::StateArgs;

/// Keep sessions from being purged.
#[derive(Args, Debug)]
pub(crate) struct HoldArgs {
    #[command(subcommand)]
    command: HoldCommand,
}

#[derive(Debug, Subcommand)]
enum HoldCommand {
    /// List the sessions on legal hold
    List(ListArgs),
    /// Place a session on legal hold: neither retention nor an order deletes anything of it
    Place(WordArgs),
    /// Lift the hold of a session
    Lift(WordArgs),
}

#[derive(Args, Debug)]
struct ListArgs {
    /// How the list is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    state: StateArgs,
}

#[derive(Args, Debug)]
struct WordArgs {
    /// The session, or the beginning of its id
    id: String,
    /// Why; kept in the audit chain
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    state: StateArgs,
}

pub(crate) fn run(args: &HoldArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        HoldCommand::List(args) => list(args),
        HoldCommand::Place(args) => speak(args, true),
        HoldCommand::Lift(args) => speak(args, false),
    }
}

fn list(args: &ListArgs) -> Result<ExitCode, Failure> {
    let holds = open(&args.state)?.holds().map_err(failed)?;
    match args.output {
        Format::Json | Format::Yaml => {
            let item = |(session, hold): (_, &Hold)| json!({ "session": session, "since": hold.since.to_string(), "user": hold.user, "uid": hold.uid, "reason": hold.reason });
            let items: Vec<_> = holds.iter().map(item).collect();
            put_value(
                &json!({ "kind": "LegalHoldList", "items": items }),
                args.output,
            )?;
        }
        Format::Table if holds.is_empty() => put("no session is on legal hold")?,
        Format::Table => {
            let rows: Vec<Vec<String>> = holds
                .into_iter()
                .map(|(session, hold)| {
                    vec![
                        session.to_string(),
                        hold.since.to_string(),
                        hold.user,
                        hold.reason,
                    ]
                })
                .collect();
            put_table(&["SESSION", "SINCE", "BY", "REASON"], &rows)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn speak(args: &WordArgs, held: bool) -> Result<ExitCode, Failure> {
    let recordings = open(&args.state)?;
    let id = recordings.resolve(&args.id).map_err(failed)?;
    let is_held = recordings.holds().map_err(failed)?.contains_key(&id);
    if is_held == held {
        let state = if held { "already" } else { "not" };
        return Err(Failure::no(format!(
            "session `{id}` is {state} on legal hold"
        )));
    }
    let id = recordings
        .set_hold(&actor(), id.as_str(), held, &args.reason)
        .map_err(failed)?;
    put(&if held {
        format!("session {id} is on legal hold")
    } else {
        format!("session {id} is no longer on legal hold")
    })?;
    Ok(ExitCode::SUCCESS)
}
