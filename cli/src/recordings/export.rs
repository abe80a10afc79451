//! `sallyport export`: a session for other programs.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use sallyport_policy::record::event::ViewKind;
use sallyport_recorder::export::{csv, json_lines};
use sallyport_recorder::{Recordings, SessionFilter};

use super::{actor, failed, open};
use crate::output::{Failure, say};
use crate::state::StateArgs;

/// Write a recorded session as JSON Lines (every event with its hash, `verify` takes it) or its calls as CSV.
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The session, or the beginning of its id
    id: String,
    /// What is written
    #[arg(long, value_enum, default_value_t)]
    format: ExportFormat,
    /// A file instead of stdout; made for its owner alone, never overwritten
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    state: StateArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    #[default]
    Jsonl,
    Csv,
}

pub(crate) fn run(args: &ExportArgs) -> Result<ExitCode, Failure> {
    let recordings = open(&args.state)?;
    match &args.file {
        None => write(&recordings, args, &mut std::io::stdout().lock())?,
        Some(path) => {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path);
            let file =
                file.map_err(|error| Failure::outside(format!("`{}`: {error}", path.display())))?;
            let mut out = BufWriter::new(file);
            write(&recordings, args, &mut out)?;
            out.flush()?;
            say(&format!("written to {}", path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(recordings: &Recordings, args: &ExportArgs, out: &mut impl Write) -> Result<(), Failure> {
    match args.format {
        ExportFormat::Jsonl => {
            let session = recordings
                .session(&actor(), ViewKind::Export, &args.id)
                .map_err(failed)?;
            json_lines(&session, out).map_err(failed)
        }
        ExportFormat::Csv => {
            let id = recordings.resolve(&args.id).map_err(failed)?;
            let typed = format!("export {id} --format csv");
            let calls = recordings
                .calls(&actor(), &SessionFilter::default(), &typed)
                .map_err(failed)?;
            csv(calls.iter().filter(|call| call.session == id), out).map_err(failed)
        }
    }
}
