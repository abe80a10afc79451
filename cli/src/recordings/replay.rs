//! `sallyport replay`: a session as it happened, in time.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use sallyport_policy::record::event::ViewKind;
use sallyport_policy::record::replay::Pace;
use sallyport_recorder::show::{Look, write_step};

use super::{actor, failed, open};
use crate::output::Failure;
use crate::state::StateArgs;

/// Show a recorded session as it happened; masked values are marked.
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// The session, or the beginning of its id
    id: String,
    /// How fast: 1 as it was, 2 twice as fast, 0 at once [default: 1 on a terminal, else 0]
    #[arg(long, value_name = "FACTOR")]
    speed: Option<f64>,
    /// Longest pause between two events, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    longest_pause: u64,
    /// Most characters shown of a payload; 0 for none
    #[arg(long, value_name = "N", default_value_t = 400)]
    payload: usize,
    /// No colours
    #[arg(long)]
    no_colour: bool,
    #[command(flatten)]
    state: StateArgs,
}

pub(crate) fn run(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let terminal = std::io::stdout().is_terminal();
    let session = open(&args.state)?
        .session(&actor(), ViewKind::Replay, &args.id)
        .map_err(failed)?;
    let speed = args.speed.unwrap_or(if terminal { 1.0 } else { 0.0 });
    let pace = Pace {
        speed,
        longest: Duration::from_secs(args.longest_pause),
    };
    let look = Look {
        colour: terminal && !args.no_colour,
        payload_chars: args.payload,
    };
    let mut out = std::io::stdout().lock();
    for step in session.replay(pace) {
        std::thread::sleep(step.wait);
        match write_step(&session, &step, look, &mut out).and_then(|()| Ok(out.flush()?)) {
            Ok(()) => {}
            Err(sallyport_recorder::ReadError::Output(error))
                if error.kind() == std::io::ErrorKind::BrokenPipe =>
            {
                break;
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(ExitCode::SUCCESS)
}
