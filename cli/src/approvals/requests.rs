//! `sallyport requests`: who asks for what, how long they have waited and how long there is left.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use sallyport_policy::approval::object::RequestObject;
use sallyport_policy::source::access::Phase;
use sallyport_policy::time::UnixMillis;
use sallyport_sidecar::clock::{Clock, SystemClock};
use sallyport_sidecar::hold::client::{Client, ClientError};
use serde::Serialize;

use super::{connect, failed, files, is_absent, show};
use crate::output::{Failure, Format, put, put_table, put_value, say};
use crate::state::StateArgs;

/// How long a closed request still interests whoever asks without `--all`.
const RECENT: Duration = Duration::from_secs(3600);
const HEAD: [&str; 6] = ["ID", "WHO", "WHAT", "WAITED", "LEFT", "PHASE"];

/// List access requests: what is open, and what ended within the last hour.
#[derive(Args, Debug)]
pub(crate) struct RequestsArgs {
    /// How the list is printed; json and yaml are a v1 List of McpAccessRequest
    #[arg(short = 'o', long = "output", value_enum, default_value_t)]
    output: Format,
    /// Show pending requests, then each request as it comes or changes; with -o json one object a line
    #[arg(long)]
    watch: bool,
    /// Everything that the state folder still holds
    #[arg(long, conflicts_with = "watch")]
    all: bool,
    #[command(flatten)]
    state: StateArgs,
}

/// The list that programs get.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    api_version: &'static str,
    kind: &'static str,
    items: &'a [RequestObject],
}

pub(crate) async fn requests(args: RequestsArgs) -> Result<ExitCode, Failure> {
    let state = args.state.path()?;
    if args.watch {
        watch(&state, args.output).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = SystemClock::new().now();
    let mut items = listed(&state, now).await?;
    items.retain(|item| args.all || interests(item, now));
    match args.output {
        Format::Table => {
            let rows: Vec<_> = items.iter().map(|item| show::row(item, now)).collect();
            put_table(&HEAD, &rows)?;
        }
        Format::Json | Format::Yaml => {
            let list = List {
                api_version: "v1",
                kind: "List",
                items: &items,
            };
            put_value(&list, args.output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The guard's word, or what its files say where none runs.
async fn listed(state: &Path, now: UnixMillis) -> Result<Vec<RequestObject>, Failure> {
    match Client::connect(state).await {
        Ok(mut client) => client.list().await.map_err(failed),
        Err(error) if is_absent(&error) => {
            let found = files::read(state, now)?;
            say(&format!(
                "no guard runs with `{}`; this is what its files say",
                state.display()
            ));
            Ok(found)
        }
        Err(error) => Err(failed(error)),
    }
}

fn interests(item: &RequestObject, now: UnixMillis) -> bool {
    match item.status.as_ref().and_then(|status| status.phase) {
        Some(Phase::Pending | Phase::Approved) | None => true,
        Some(
            Phase::Denied | Phase::Expired | Phase::Withdrawn | Phase::Consumed | Phase::Revoked,
        ) => show::since(item).until(now) < RECENT,
    }
}

/// Goes on until the guard ends. A guard that hangs up because we were too slow is asked again.
async fn watch(state: &Path, output: Format) -> Result<(), Failure> {
    let mut client = connect(state).await?;
    loop {
        let mut watching = client.watch().await.map_err(failed)?;
        while let Some(item) = watching.next().await.map_err(failed)? {
            put_changed(&item, output)?;
        }
        client = match Client::connect(state).await {
            Ok(client) => client,
            Err(error @ ClientError::NotServed { .. }) if is_absent(&error) => {
                return Err(Failure::outside("the guard has ended"));
            }
            Err(error) => return Err(failed(error)),
        };
    }
}

fn put_changed(item: &RequestObject, output: Format) -> Result<(), Failure> {
    match output {
        Format::Table => {
            let now = SystemClock::new().now();
            put(&format!(
                "{}  {}",
                show::time_of_day(now),
                show::line(item, now)
            ))
        }
        Format::Json => {
            let line =
                serde_json::to_string(item).map_err(|error| Failure::outside(error.to_string()))?;
            put(&line)
        }
        Format::Yaml => {
            put("---")?;
            put_value(item, output)
        }
    }
}
