//! An MCP server of both eras on the official Rust SDK: what the conformance suite and the client matrix run against.
//!
//! It has every tool, resource and prompt that the suite's scenarios name, and those of the reference server that the
//! client matrix calls. It listens on loopback only: one of its tools tells its whole environment, as the reference
//! server's does.

mod asking;
mod call;
mod catalog;
mod changes;
mod demo;
mod fixture;
mod jobs;
mod material;
mod prompts;
mod resources;
mod rounds;
mod seal;
mod streams;
mod tools;
mod web;

use anyhow::Result;
use clap::Parser;
use rmcp::ServiceExt;

use fixture::Fixture;

#[derive(Debug, Parser)]
#[command(name = "sallyport-fixture")]
struct Args {
    /// Speak over stdin and stdout, not HTTP.
    #[arg(long)]
    stdio: bool,
    /// The port on loopback; 0 picks one. The first line on stdout tells the address.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Args { stdio, port } = Args::parse();
    let fixture = Fixture::new()?;
    if !stdio {
        return web::serve(fixture, port).await;
    }
    fixture
        .serve(rmcp::transport::stdio())
        .await?
        .waiting()
        .await?;
    Ok(())
}
