//! `sallyport token`: a token of the standalone issuer, so that nobody needs an identity provider to start.

use std::process::ExitCode;

use clap::Args;
use sallyport_policy::source::scalar::GoDuration;
use sallyport_sidecar::clock::{Clock, SystemClock};
use sallyport_sidecar::identity::local::{LocalIssuer, Mint};
use serde_json::{Map, Value};

use crate::output::{Failure, put};
use crate::state::StateArgs;

/// Issue a token of the standalone issuer and print it.
#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    /// Who the token is for (`sub`)
    #[arg(long, value_name = "USER")]
    user: String,
    /// A group of theirs; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// The agent that acts for them (`client_id`)
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// A scope; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A further claim, NAME=VALUE; the value may be JSON; may be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
    /// An audience instead of every gateway of this state folder; may be repeated
    #[arg(long = "audience", value_name = "URL")]
    audiences: Vec<String>,
    /// How long it holds, such as 15m or 8h
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    ttl: GoDuration,
    /// Group id that `up --approver-group` gave the issuer's key to
    #[arg(long, value_name = "GID")]
    approver_group: Option<u32>,
    #[command(flatten)]
    state: StateArgs,
}

pub(crate) fn run(args: TokenArgs) -> Result<ExitCode, Failure> {
    let state = args.state.made()?;
    let issuer = LocalIssuer::open(&state, args.approver_group)
        .map_err(|error| Failure::outside(error.to_string()))?;
    let mint = Mint {
        user: args.user,
        groups: args.groups,
        client: args.client,
        audiences: args.audiences,
        scopes: args.scopes,
        claims: claims(&args.claims)?,
        ttl: args.ttl.get(),
    };
    let token = issuer
        .mint(&mint, SystemClock::new().now())
        .map_err(|error| Failure::usage(error.to_string()))?;
    put(&token.token)?;
    Ok(ExitCode::SUCCESS)
}

fn claims(given: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut claims = Map::new();
    for text in given {
        let Some((name, value)) = text.split_once('=') else {
            return Err(Failure::usage(format!(
                "--claim {text}: expected NAME=VALUE"
            )));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        claims.insert(name.to_owned(), value);
    }
    Ok(claims)
}
