//! `sallyport connect`: a client that knows only stdio speaks to a guarded server over Streamable HTTP, in whatever
//! revision the two agree on.
//!
//! A bridge and nothing more: it judges nothing, keeps nothing and adds nothing to a message. What it must know of the
//! protocol is what HTTP says beside the body: sessions, mirrored headers, streams and how they end.

mod bridge;
mod error;
mod exchange;
mod lines;
mod mirror;
mod stream;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use http::Uri;
use sallyport_sidecar::tls::Trust;
use tokio::signal::unix::{SignalKind, signal};

use crate::output::Failure;

use bridge::Bridge;
use lines::{Input, Output};
use wire::{Token, Wire};

/// Bridge a client that knows only stdio to a guarded server.
///
/// Put it where a client's settings name a server's command. Messages go through stdin and stdout, one a line; what goes
/// wrong is told to the client as errors of its requests, and on stderr.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  sallyport token --user ada@example.com > token\n  \
sallyport connect http://127.0.0.1:8931/mcp --token-file token"
)]
pub(crate) struct ConnectArgs {
    /// The guarded server, such as `https://inventory.example.com/mcp`
    #[arg(value_name = "URL")]
    url: Uri,
    /// File with the access token; read anew for each message, so that it may be renewed
    #[arg(long, value_name = "FILE", conflicts_with = "token_env")]
    token_file: Option<PathBuf>,
    /// Environment variable with the access token
    #[arg(long, value_name = "VAR")]
    token_env: Option<String>,
    /// Further CA certificates (PEM) for the server
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Send the token without TLS to another machine
    #[arg(long)]
    allow_http: bool,
}

pub(crate) async fn run(args: ConnectArgs) -> Result<ExitCode, Failure> {
    let ConnectArgs {
        url,
        token_file,
        token_env,
        ca,
        allow_http,
    } = args;
    let token = Token::new(token_file, token_env.as_deref())?;
    check(&url, token.is_some() && !allow_http)?;
    let trust = trust(&url, ca)?;
    let (output, written) = Output::start();
    let bridge = Arc::new(Bridge::new(Wire::new(url, &trust, token), output));
    let mut input = Input::start();
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let patient = tokio::select! {
        () = Arc::clone(&bridge).run(&mut input) => true,
        _ = interrupt.recv() => false,
        _ = terminate.recv() => false,
        () = written.broken() => false,
    };
    tokio::select! {
        () = bridge.finish(patient) => {}
        _ = terminate.recv() => {}
        () = written.broken() => {}
    }
    drop(bridge);
    written.wait().await;
    Ok(ExitCode::SUCCESS)
}

fn check(url: &Uri, confidential: bool) -> Result<(), Failure> {
    let whole = || {
        Failure::usage(format!(
            "`{url}` is not a whole URL such as http://127.0.0.1:8931/mcp"
        ))
    };
    let host = url.host().ok_or_else(whole)?;
    match url.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if !confidential || is_this_machine(host) => Ok(()),
        Some("http") => Err(Failure::usage(format!(
            "the token would go to `{host}` unencrypted; use https, or --allow-http where the way there is safe"
        ))),
        Some(_) | None => Err(whole()),
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn trust(url: &Uri, ca: Option<PathBuf>) -> Result<Trust, Failure> {
    let trust = match ca {
        Some(path) => {
            let pem = std::fs::read(&path).map_err(|error| {
                Failure::input(format!("cannot read `{}`: {error}", path.display()))
            })?;
            Trust::system_and(&pem)
        }
        None if url.scheme_str() == Some("https") => Trust::system(),
        None => Trust::nobody(),
    };
    trust.map_err(|error| Failure::outside(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_unencrypted_to_this_machine_alone() {
        let rows = [
            ("http://127.0.0.1:8931/mcp", true),
            ("http://localhost/mcp", true),
            ("http://[::1]:8931/mcp", true),
            ("https://inventory.example.com/mcp", true),
            ("http://inventory.example.com/mcp", false),
            ("http://127.0.0.1.example.com/mcp", false),
            ("ftp://127.0.0.1/mcp", false),
            ("/mcp", false),
        ];
        for (url, expected) in rows {
            assert_eq!(
                check(&url.parse().unwrap(), true).is_ok(),
                expected,
                "{url}"
            );
        }
        assert!(check(&"http://inventory.example.com/mcp".parse().unwrap(), false).is_ok());
    }
}
