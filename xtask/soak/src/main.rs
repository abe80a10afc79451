//! Both ends of `cargo xtask soak`, each a process of its own: servers that misbehave when they are told to, and the clients.
//!
//! Loopback only and bounded in time. The clients know what each of their calls must come to, because the call itself
//! tells the server how to behave.

mod load;
mod marks;
mod server;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

#[derive(Debug, Parser)]
enum Args {
    /// Serves Streamable HTTP and HTTP+SSE until it is ended; prints its address.
    Serve {
        /// File that gets a line for each call that really ran.
        #[arg(long)]
        ledger: PathBuf,
    },
    /// The same server over stdio.
    Stdio {
        #[arg(long)]
        ledger: PathBuf,
    },
    /// Runs the clients, and prints what they saw as JSON.
    Load {
        /// What to do, as JSON.
        #[arg(long)]
        plan: PathBuf,
    },
}

fn main() -> Result<()> {
    match Args::parse() {
        Args::Stdio { ledger } => server::stdio::serve(&ledger),
        Args::Serve { ledger } => runtime()?.block_on(server::http::serve(&ledger, say)),
        Args::Load { plan } => {
            let plan = serde_json::from_str(&std::fs::read_to_string(plan)?)?;
            let report = runtime()?.block_on(load::run(plan))?;
            say(&serde_json::to_string(&report)?)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
