//! Both ends of `cargo xtask bench`, each a process of its own so that only the proxy between them is measured, and
//! what the proxies need before.
//!
//! Loopback only, and bounded: so many calls on so many connections, then it ends.

mod load;
mod prepare;
mod upstream;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

#[derive(Debug, Parser)]
enum Args {
    /// Serves a trivial MCP server until it is ended; prints its address.
    Upstream,
    /// Makes calls, and prints what they took as JSON.
    Load(load::Plan),
    /// Writes an issuer's keys, a token, and gateways that trust it, in YAML and signed.
    Prepare {
        /// The policies to put in force.
        #[arg(long)]
        policy: PathBuf,
        /// Where it all goes.
        #[arg(long)]
        into: PathBuf,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match Args::parse() {
        Args::Upstream => upstream::serve(say).await,
        Args::Load(plan) => {
            // By environment: arguments are for everybody on the machine to read.
            let token = std::env::var("BENCH_TOKEN").ok();
            load::run(plan, token, say).await
        }
        Args::Prepare { policy, into } => prepare::prepare(&policy, &into),
    }
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
