//! `sallyport sessions`: which sessions there are, searched by who, tool, decision, rule and time.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use sallyport_policy::record::event::Verdict;
use sallyport_policy::time::UnixMillis;
use sallyport_recorder::show::words;
use sallyport_recorder::{CallFilter, SessionFilter, SessionSummary};
use serde_json::json;

use super::{actor, failed, moment, open};
use crate::output::{Failure, Format, put_table, put_value};
use crate::state::StateArgs;

/// List recorded sessions, newest first.
#[derive(Args, Debug)]
pub(crate) struct SessionsArgs {
    /// Part of a user, e-mail address, group or client
    #[arg(long, value_name = "TEXT")]
    who: Option<String>,
    /// With a call of this tool, prompt or resource; `*` matches any characters
    #[arg(long, value_name = "GLOB")]
    tool: Option<String>,
    /// With a call that was decided so
    #[arg(long, value_enum)]
    decision: Option<Decision>,
    /// With a call decided by this rule (OBJECT/RULE); `*` matches any characters
    #[arg(long, value_name = "GLOB")]
    rule: Option<String>,
    /// With anything since: a time, or an age such as 2h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<UnixMillis>,
    /// Begun before: a time, or an age
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<UnixMillis>,
    /// Only sessions that are still open
    #[arg(long)]
    open: bool,
    /// The calls of these sessions instead of the sessions
    #[arg(long)]
    calls: bool,
    /// Most sessions listed; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// How the list is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    state: StateArgs,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Decision {
    Allow,
    Hold,
    Deny,
}

pub(crate) fn run(args: &SessionsArgs) -> Result<ExitCode, Failure> {
    let recordings = open(&args.state)?;
    let filter = filter(args);
    let typed = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    if args.calls {
        return calls(args, &recordings, &filter, &typed);
    }
    let sessions = recordings
        .sessions(&actor(), &filter, &typed)
        .map_err(failed)?;
    if args.output != Format::Table {
        put_value(
            &json!({ "kind": "SessionList", "items": sessions }),
            args.output,
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = sessions.iter().map(row).collect();
    let head = [
        "ID", "WHO", "CLIENT", "GATEWAY", "BEGAN", "STATE", "CALLS", "DENIED", "HELD", "MASKED",
    ];
    put_table(&head, &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn filter(args: &SessionsArgs) -> SessionFilter {
    SessionFilter {
        who: args.who.clone(),
        since: args.since,
        until: args.until,
        open: args.open.then_some(true),
        call: CallFilter {
            target: args.tool.clone(),
            rule: args.rule.clone(),
            verdict: args.decision.map(|decision| match decision {
                Decision::Allow => Verdict::Allow,
                Decision::Hold => Verdict::Hold,
                Decision::Deny => Verdict::Deny,
            }),
            ..CallFilter::default()
        },
        limit: args.limit,
        ..SessionFilter::default()
    }
}

fn calls(
    args: &SessionsArgs,
    recordings: &sallyport_recorder::Recordings,
    filter: &SessionFilter,
    typed: &str,
) -> Result<ExitCode, Failure> {
    let calls = recordings.calls(&actor(), filter, typed).map_err(failed)?;
    if args.output != Format::Table {
        put_value(&json!({ "kind": "CallList", "items": calls }), args.output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let word = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let rows: Vec<Vec<String>> = calls
        .iter()
        .map(|call| {
            vec![
                call.at.to_string(),
                call.user.clone(),
                call.method.clone(),
                word(call.target.clone()),
                word(call.verdict.map(|verdict| words(&verdict))),
                word(call.outcome.map(|outcome| words(&outcome))),
                word(call.rule.clone()),
                word(call.millis.map(|millis| format!("{millis} ms"))),
            ]
        })
        .collect();
    put_table(
        &[
            "TIME", "WHO", "METHOD", "TARGET", "DECISION", "OUTCOME", "RULE", "TOOK",
        ],
        &rows,
    )?;
    Ok(ExitCode::SUCCESS)
}

fn row(session: &SessionSummary) -> Vec<String> {
    let state = session
        .ended
        .map_or_else(|| "open".to_owned(), |end| words(&end));
    vec![
        session.id.to_string(),
        session.user.clone(),
        session.client.clone().unwrap_or_else(|| "-".to_owned()),
        session.gateway.clone(),
        session.began.to_string(),
        state,
        session.calls.to_string(),
        session.denied.to_string(),
        session.held.to_string(),
        session.masked.to_string(),
    ]
}
