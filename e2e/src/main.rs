//! What Sallyport does on a real cluster, shown case by case and judged as it is shown.
//!
//! It speaks to the cluster as a user does: `kubectl` and `helm` with a kubeconfig, official clients in pods of their
//! own. Nothing of Sallyport is linked, so nothing is known here that a user could not see.

mod bed;
mod cases;
mod child;
mod client;
mod issuer;
mod kubectl;
mod node;
mod release;
mod scene;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;

use bed::Bed;
use stage::{Stage, say};

/// Runs the cases against the cluster of the kubeconfig.
#[derive(Debug, Parser)]
#[command(name = "sallyport-e2e")]
struct Args {
    /// What pods call the images: a JSON object, as `cargo xtask cluster load` writes it
    #[arg(long, value_name = "FILE")]
    images: PathBuf,
    /// The chart to install; without it, what the cluster has is what is tried
    #[arg(long, value_name = "DIR")]
    chart: Option<PathBuf>,
    /// Only cases whose name contains this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Say which cases there are, and run none
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// True: everything that was to be seen was seen.
fn run(args: &Args) -> Result<bool> {
    let wanted = |name: &str| args.only.as_ref().is_none_or(|text| name.contains(text));
    let cases: Vec<_> = cases::ALL.iter().filter(|case| wanted(case.name)).collect();
    if args.list {
        for case in cases {
            say(&format!("{:<44} {}", case.name, case.shows));
        }
        return Ok(true);
    }
    let began = Instant::now();
    let bed = Bed::ready(&args.images, args.chart.as_deref())?;
    if cases.iter().any(|case| case.installed)
        && let Some(chart) = &bed.chart
    {
        release::install(&bed, chart)?;
    }
    let mut stage = Stage::default();
    for case in cases {
        say("");
        say(&format!("{}: {}", case.name, case.shows));
        if let Err(error) = (case.run)(&mut stage, &bed) {
            stage.check(&format!("{} ran to its end: {error:#}", case.name), false);
        }
    }
    say("");
    say(&format!(
        "{} of {} outcomes seen in {:.0} s",
        stage.seen(),
        stage.told(),
        began.elapsed().as_secs_f64()
    ));
    Ok(stage.told() > 0 && stage.seen() == stage.told())
}
