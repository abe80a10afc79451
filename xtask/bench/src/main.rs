//! Both ends of `cargo xtask bench`, each a process of its own so that only the proxy between them is measured.
//!
//! Loopback only, and bounded: so many calls on so many connections, then it ends.

mod load;
mod upstream;

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Result;
use clap::Parser;

#[derive(Debug, Parser)]
enum Args {
    /// Serves a trivial MCP server until it is ended; prints its address.
    Upstream,
    /// Makes calls, and prints what they took as JSON.
    Load {
        /// Where the proxy, or the server itself, listens. Loopback only.
        #[arg(long)]
        to: SocketAddr,
        /// Connections at once, each with a session of its own.
        #[arg(long, default_value_t = 16)]
        connections: u32,
        /// Calls on each connection.
        #[arg(long, default_value_t = 500)]
        calls: u32,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match Args::parse() {
        Args::Upstream => upstream::serve(say).await,
        Args::Load {
            to,
            connections,
            calls,
        } => {
            // By environment: arguments are for everybody on the machine to read.
            let token = std::env::var("BENCH_TOKEN").ok();
            let report = load::run(to, connections, calls, token).await?;
            say(&report.to_string())
        }
    }
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
