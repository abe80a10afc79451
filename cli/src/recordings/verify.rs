//! `sallyport verify`: prove offline that recordings were not changed, and say how far that can be proved (law 33).

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use sallyport_policy::record::verify::Verdict;
use sallyport_policy::record::{Head, VerifyingKey};
use sallyport_recorder::{Report, VerifyOptions, verify_export};
use serde_json::json;

use super::{counted, failed, open};
use crate::output::{Failure, Format, put, put_value};
use crate::state::StateArgs;

/// Prove offline that recordings were not changed.
///
/// Without a head kept elsewhere this proves that what is there is consistent, not that nothing was cut off at the
/// end; `up` prints the head at its exit.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// A session id, or a file that `export` wrote; everything by default
    what: Option<String>,
    /// The head that was kept elsewhere
    #[arg(long, value_name = "HEAD")]
    head: Option<Head>,
    /// The recordings' public key, known from elsewhere
    #[arg(long, value_name = "KEY")]
    key: Option<VerifyingKey>,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    state: StateArgs,
}

pub(crate) fn run(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    if let Some(path) = args
        .what
        .as_deref()
        .map(Path::new)
        .filter(|path| path.is_file())
    {
        return export_file(&path.to_path_buf());
    }
    let recordings = open(&args.state)?;
    let report = recordings
        .verify(VerifyOptions {
            key: args.key,
            head: args.head,
        })
        .map_err(failed)?;
    let findings: Vec<String> = match &args.what {
        Some(id) => {
            let session = recordings.resolve(id).map_err(failed)?;
            report
                .of_session(&session)
                .map(ToString::to_string)
                .collect()
        }
        None => {
            let audit = report.audit.iter().flat_map(|verdict| &verdict.findings);
            report
                .recordings
                .findings
                .iter()
                .chain(audit)
                .map(ToString::to_string)
                .collect()
        }
    };
    if args.output == Format::Table {
        tell(&report, &findings)?;
    } else {
        put_value(&machine(&report, &findings), args.output)?;
    }
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// An export proves the consistency of one session by itself; it holds no checkpoints.
fn export_file(path: &PathBuf) -> Result<ExitCode, Failure> {
    let problems = verify_export(BufReader::new(File::open(path)?))
        .map_err(|error| Failure::no(error.to_string()))?;
    for problem in &problems {
        put(problem)?;
    }
    if problems.is_empty() {
        put(
            "good: every event follows from the one before it (an export holds no signed checkpoints)",
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(1))
}

fn tell(report: &Report, findings: &[String]) -> Result<(), Failure> {
    let verdict = &report.recordings;
    for finding in findings {
        put(&format!("bad: {finding}"))?;
    }
    put(&format!(
        "{} of sessions and writers, {}, {} in {}",
        counted(verdict.sessions, "chain"),
        counted(verdict.events, "event"),
        counted(report.payloads, "payload"),
        counted(verdict.segments, "segment")
    ))?;
    if verdict.purged_segments > 0 || verdict.purged_payloads > 0 {
        put(&format!(
            "purged by order, with signed tombstones: {}, {}",
            counted(verdict.purged_segments, "segment"),
            counted(verdict.purged_payloads, "payload")
        ))?;
    }
    put(&proved(verdict, findings.is_empty()))
}

/// What was proved, and what was not.
fn proved(verdict: &Verdict, good: bool) -> String {
    if !good {
        return match verdict.consistent_through {
            Some(head) => format!("NOT consistent; unharmed through checkpoint {head}"),
            None => "NOT consistent; no checkpoint was reached unharmed".to_owned(),
        };
    }
    let unsigned = match verdict.unsigned_events {
        0 => String::new(),
        1 => "; 1 event after it is chained, not yet signed".to_owned(),
        events => format!("; {events} events after it are chained, not yet signed"),
    };
    match (verdict.complete, verdict.consistent_through) {
        (Some(head), _) => format!("good: consistent, and complete through head {head}{unsigned}"),
        (None, Some(head)) => {
            format!(
                "good: consistent through checkpoint {head}{unsigned}; complete only against a head kept elsewhere (--head)"
            )
        }
        (None, None) => "good: consistent, but nothing is signed yet".to_owned(),
    }
}

fn machine(report: &Report, findings: &[String]) -> serde_json::Value {
    let verdict = &report.recordings;
    json!({
        "good": findings.is_empty(),
        "findings": findings,
        "sessions": verdict.sessions,
        "events": verdict.events,
        "segments": verdict.segments,
        "payloads": report.payloads,
        "purgedSegments": verdict.purged_segments,
        "purgedPayloads": verdict.purged_payloads,
        "consistentThrough": verdict.consistent_through.map(|head| head.to_string()),
        "complete": verdict.complete.map(|head| head.to_string()),
        "unsignedEvents": verdict.unsigned_events,
    })
}
