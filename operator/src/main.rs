//! `sallyport-operator`: reads its flags, sets up the log, and hands over to the library.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use sallyport_operator::args::{Args, LogForm};
use sallyport_operator::run::run;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(told) => {
            // Nobody is left to tell when both streams are closed.
            told.print().ok();
            return if told.use_stderr() {
                USAGE.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The log may not be there yet.
            writeln!(std::io::stderr().lock(), "sallyport-operator: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

fn serve(args: Args) -> anyhow::Result<()> {
    let levels: Targets = args.log_levels.parse()?;
    let registry = tracing_subscriber::registry().with(levels);
    match args.log {
        LogForm::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr),
            )
            .init(),
        LogForm::Text => registry
            .with(fmt::layer().with_writer(std::io::stderr))
            .init(),
    }
    // kube's client asks for the process-wide provider.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another crypto provider is installed already"))?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(args))
}
