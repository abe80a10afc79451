//! `policy diff`: what two versions decide differently, over calls at the boundaries of their rules and over calls that
//! were recorded.
//!
//! It compares verdicts, not texts: a rewritten rule that decides alike is no difference.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use sallyport_crds::yaml::Loaded;
use sallyport_policy::bundle::{Bundle, BundleContent};
use sallyport_policy::compile::{self, Difference, Probe};
use sallyport_policy::name::GatewayName;
use sallyport_policy::source::policy::{TestCall, TestCaller};
use sallyport_policy::source::{Named, Sources, Timestamp};
use sallyport_policy::time::UnixMillis;
use sallyport_sidecar::clock::{Clock as _, SystemClock};
use serde::Serialize;

use crate::output::{Failure, Format, put, put_value};

use super::input;
use super::problem::counted;
use super::recorded::{self, Recorded};
use super::verdict;

/// Tell what two versions decide differently.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Exit codes: 0 compared; 1 something is decided differently and --exit-code is given; 3 the files are wrong"
)]
pub(crate) struct DiffArgs {
    /// File or folder of the version before
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// File or folder of the version after
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// State folder whose recorded calls are decided again
    #[arg(long, value_name = "DIR")]
    recordings: Option<PathBuf>,
    /// Only this gateway
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    gateway: Option<String>,
    /// When the generated calls are made, such as `2026-11-02T09:00:00Z` [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Exit with 1 where something is decided differently
    #[arg(long)]
    exit_code: bool,
    /// How the differences are printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// The comparison of one gateway.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Comparison {
    gateway: String,
    /// Set where only one of the versions has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    only_in: Option<&'static str>,
    generated_calls: usize,
    /// None where no recordings were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded_calls: Option<usize>,
    /// Recorded calls whose arguments are not there, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    left_out: BTreeMap<&'static str, usize>,
    differences: Vec<Change>,
}

/// Calls of one kind that are decided differently.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    before: String,
    after: String,
    caller: TestCaller,
    call: TestCall,
    /// How often it was recorded; none for a generated call.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<usize>,
    /// When it was recorded last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
}

pub(crate) fn run(args: &DiffArgs) -> Result<ExitCode, Failure> {
    let (old, new) = (Version::read(&args.old)?, Version::read(&args.new)?);
    let now = args
        .at
        .map_or_else(|| SystemClock::new().now(), |stamp| stamp.get());
    let mut comparisons = Vec::new();
    for gateway in gateways(&old, &new, args.gateway.as_deref())? {
        comparisons.push(compare(&old, &new, &gateway, now, args)?);
    }
    match args.output {
        Format::Table => comparisons.iter().try_for_each(tell)?,
        Format::Json | Format::Yaml => put_value(&comparisons, args.output)?,
    }
    let differs = |comparison: &Comparison| {
        comparison.only_in.is_some() || !comparison.differences.is_empty()
    };
    let answer = args.exit_code && comparisons.iter().any(differs);
    Ok(if answer {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

/// The files of one side.
struct Version {
    loaded: Loaded,
    sources: Sources,
}

impl Version {
    fn read(path: &PathBuf) -> Result<Self, Failure> {
        let loaded = input::read_right(std::slice::from_ref(path))?;
        let (sources, _) = input::completed(&loaded.sources);
        Ok(Self { loaded, sources })
    }

    fn content(&self, gateway: &GatewayName) -> Result<BundleContent, Failure> {
        Ok(input::compiled(&self.loaded, &self.sources, gateway)?.content)
    }
}

/// All gateways of both versions, or the one that is named.
fn gateways(
    old: &Version,
    new: &Version,
    named: Option<&str>,
) -> Result<Vec<GatewayName>, Failure> {
    let of = |version: &Version| -> Vec<_> {
        version
            .sources
            .gateways
            .iter()
            .map(Named::gateway_name)
            .collect()
    };
    let mut all = [of(old), of(new)].concat();
    all.sort();
    all.dedup();
    if all.is_empty() {
        return Err(Failure::input(
            "no gateway in the files, and no policy that names one",
        ));
    }
    let Some(named) = named else { return Ok(all) };
    all.retain(|gateway| gateway.name == named || gateway.to_string() == named);
    if all.is_empty() {
        return Err(Failure::usage(format!(
            "no gateway `{named}` in either version"
        )));
    }
    Ok(all)
}

fn compare(
    old: &Version,
    new: &Version,
    gateway: &GatewayName,
    now: UnixMillis,
    args: &DiffArgs,
) -> Result<Comparison, Failure> {
    let mut comparison = Comparison {
        gateway: gateway.to_string(),
        only_in: None,
        generated_calls: 0,
        recorded_calls: None,
        left_out: BTreeMap::new(),
        differences: Vec::new(),
    };
    match (old.sources.gateway(gateway), new.sources.gateway(gateway)) {
        (Some(_), Some(_)) => {}
        (Some(_), None) => comparison.only_in = Some("old"),
        (None, _) => comparison.only_in = Some("new"),
    }
    if comparison.only_in.is_some() {
        return Ok(comparison);
    }
    let (before, after) = (old.content(gateway)?, new.content(gateway)?);
    let probes = compile::boundary_probes(&[&before, &after]);
    let scopes = scopes_of(&[&before, &after]);
    let (before, after) = (input::activated(before)?, input::activated(after)?);
    comparison.generated_calls = probes.len();
    let found = compile::diff(&before, &after, &probes, now);
    comparison
        .differences
        .extend(found.into_iter().map(|found| Change::of(found, None)));
    if let Some(state) = &args.recordings {
        let recorded = recorded::read(state, gateway, &scopes)?;
        comparison.add(recorded, &before, &after);
    }
    Ok(comparison)
}

/// Recordings do not tell a token's scopes, so a recorded caller is taken to have had those that the rules ask for.
fn scopes_of(contents: &[&BundleContent]) -> Vec<String> {
    let rules = contents
        .iter()
        .flat_map(|content| &content.objects)
        .flat_map(|object| &object.rules);
    let mut scopes: Vec<String> = rules
        .flat_map(|content| content.rule.scopes.iter().cloned())
        .collect();
    scopes.sort();
    scopes.dedup();
    scopes
}

impl Comparison {
    /// Decides recorded calls again, each at its own time; equal ones are told once.
    fn add(&mut self, recorded: Recorded, before: &Bundle, after: &Bundle) {
        self.recorded_calls = Some(recorded.calls.len());
        self.left_out = recorded.left_out;
        let mut changes: BTreeMap<String, Change> = BTreeMap::new();
        for call in recorded.calls {
            let probes: [Probe; 1] = [call.probe];
            for found in compile::diff(before, after, &probes, call.at) {
                let mut change = Change::of(found, Some(call.at));
                // What cannot be written is told alone.
                let key = serde_json::to_string(&change.identity())
                    .unwrap_or_else(|_| call.at.to_string());
                change.recorded = Some(
                    changes
                        .get(&key)
                        .and_then(|known| known.recorded)
                        .unwrap_or(0)
                        + 1,
                );
                changes.insert(key, change);
            }
        }
        self.differences.extend(changes.into_values());
    }
}

impl Change {
    fn of(found: Difference, at: Option<UnixMillis>) -> Self {
        let told = |found: &compile::Found| {
            verdict::whole(found.verdict, found.rule.as_ref(), found.reason)
        };
        Self {
            before: told(&found.before),
            after: told(&found.after),
            caller: found.probe.caller,
            call: found.probe.call,
            recorded: at.map(|_| 1),
            last: at.map(|at| at.to_string()),
        }
    }

    fn identity(&self) -> (&str, &str, &TestCaller, &TestCall) {
        (&self.before, &self.after, &self.caller, &self.call)
    }
}

fn tell(comparison: &Comparison) -> Result<(), Failure> {
    put(&format!("gateway {}", comparison.gateway))?;
    if let Some(version) = comparison.only_in {
        return put(&format!("  is in the {version} version only"));
    }
    let mut by_verdict: BTreeMap<(&str, &str), Vec<&Change>> = BTreeMap::new();
    for change in &comparison.differences {
        by_verdict
            .entry((&change.before, &change.after))
            .or_default()
            .push(change);
    }
    for ((before, after), changes) in by_verdict {
        put(&format!("  {before}\n    becomes {after}"))?;
        for change in changes {
            put(&format!("      {}", line(change)))?;
        }
    }
    let recorded = comparison
        .recorded_calls
        .map(|count| format!(" and {}", counted(count, "recorded call")));
    put(&format!(
        "  {} of {}{} are decided differently",
        comparison.differences.len(),
        counted(comparison.generated_calls, "generated call"),
        recorded.unwrap_or_default(),
    ))?;
    for (why, count) in &comparison.left_out {
        put(&format!(
            "  {} left out: {why}",
            counted(*count, "recorded call")
        ))?;
    }
    Ok(())
}

fn line(change: &Change) -> String {
    let call = &change.call;
    let targets = [
        ("tool", &call.tool),
        ("prompt", &call.prompt),
        ("resource", &call.resource),
        ("method", &call.method),
    ];
    let mut text = String::new();
    for (kind, name) in targets {
        if let Some(name) = name {
            text.push_str(&format!("{kind} `{name}`"));
        }
    }
    if let Some(arguments) = &call.arguments {
        text.push_str(&format!(
            " {}",
            serde_json::Value::Object(arguments.clone())
        ));
    }
    text.push_str(&format!(" as {}", who(&change.caller)));
    if let (Some(count), Some(last)) = (change.recorded, &change.last) {
        text.push_str(&format!(" (recorded {count} times, last at {last})"));
    }
    // Recorded values came from callers.
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn who(caller: &TestCaller) -> String {
    let mut parts = Vec::new();
    parts.extend(caller.user.iter().map(|user| format!("user {user}")));
    parts.extend(caller.email.iter().map(|email| format!("e-mail {email}")));
    if !caller.groups.is_empty() {
        parts.push(format!("groups {}", caller.groups.join(", ")));
    }
    parts.extend(
        caller
            .service_account
            .iter()
            .map(|account| format!("account {}/{}", account.namespace, account.name)),
    );
    parts.extend(
        caller
            .claims
            .iter()
            .map(|(name, value)| format!("claim {name}={value}")),
    );
    parts.extend(
        caller
            .client
            .iter()
            .map(|client| format!("client {client}")),
    );
    if parts.is_empty() {
        "somebody whom no policy names".to_owned()
    } else {
        parts.join(" with ")
    }
}
