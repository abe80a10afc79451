//! `policy explain`: what one call would meet under the policy of the files, and why.
//!
//! The call is decided by the evaluator itself, with nothing charged yet; nothing here guesses.

mod told;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::ExitCode;

use sallyport_policy::bundle::Bundle;
use sallyport_policy::compile::{OwnedCall, TestFacts};
use sallyport_policy::decide::{Budgets, Listed, Operation};
use sallyport_policy::mcp::Method;
use sallyport_policy::mcp::method::Judged;
use sallyport_policy::name::Issuer;
use sallyport_policy::source::Timestamp;
use sallyport_policy::source::policy::{ServiceAccountRef, TestCall, TestCaller};
use sallyport_policy::time::UnixMillis;
use sallyport_sidecar::clock::{Clock as _, SystemClock};
use sallyport_sidecar::identity::local::LOCAL_ISSUER;
use serde_json::{Map, Value};

use crate::output::{Failure, Format, put_value, say};

use super::input::{self, Files};
use told::{Explained, explained, tell};

/// Tell what one call would meet, and which rules were looked at.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Exit codes: 0 the call was decided, whatever the verdict; 3 the files are wrong"
)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    caller: CallerArgs,
    #[command(flatten)]
    call: CallArgs,
    /// Which gateway, where the files hold several
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    gateway: Option<String>,
    /// When the call is made, such as `2026-11-02T09:00:00Z` [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    #[command(flatten)]
    files: Files,
    /// How the explanation is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Who calls.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Caller")]
struct CallerArgs {
    /// The subject claim [default: somebody whom no policy names]
    #[arg(long = "as-user", value_name = "USER")]
    user: Option<String>,
    /// The verified e-mail address
    #[arg(long)]
    email: Option<String>,
    /// A group; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// The agent that the token names
    #[arg(long)]
    client: Option<String>,
    /// The delegate that acts for the user
    #[arg(long)]
    actor: Option<String>,
    /// A scope of the token; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A claim of the token, its value as JSON or as text; may be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = pair)]
    claims: Vec<(String, String)>,
    /// The issuer of the token [default: the gateway's first]
    #[arg(long)]
    issuer: Option<String>,
    /// The ServiceAccount that calls
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = account)]
    service_account: Option<ServiceAccountRef>,
    /// The address that the call comes from
    #[arg(long, value_name = "IP")]
    source: Option<IpAddr>,
    /// A header of the request; may be repeated
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = pair)]
    headers: Vec<(String, String)>,
}

/// What is called.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Call")]
#[group(skip)]
struct CallArgs {
    /// A tool
    #[arg(long, group = "target")]
    tool: Option<String>,
    /// A prompt
    #[arg(long, group = "target")]
    prompt: Option<String>,
    /// A resource
    #[arg(long, group = "target", value_name = "URI")]
    resource: Option<String>,
    /// Another method, such as `sampling/createMessage`
    #[arg(long, group = "target")]
    method: Option<String>,
    /// The arguments of the tool or prompt
    #[arg(long = "args", value_name = "JSON", value_parser = object)]
    arguments: Option<Map<String, Value>>,
    /// The tool's annotations, for `tool:` conditions
    #[arg(long, value_name = "JSON", value_parser = object)]
    annotations: Option<Map<String, Value>>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn account(text: &str) -> Result<ServiceAccountRef, String> {
    let (namespace, name) = text.split_once('/').ok_or("expected NAMESPACE/NAME")?;
    Ok(ServiceAccountRef {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("expected a JSON object".to_owned()),
        Err(error) => Err(format!("expected a JSON object: {error}")),
    }
}

pub(crate) fn run(args: ExplainArgs) -> Result<ExitCode, Failure> {
    let call = args.call.read()?;
    let loaded = input::read_right(&args.files.files)?;
    let (sources, added) = input::completed(&loaded.sources);
    let gateway = input::choose(&sources, args.gateway.as_deref())?;
    if added.contains(&gateway) {
        say(&format!(
            "sallyport: gateway {gateway} is not in the files and is taken with its defaults"
        ));
    }
    let compiled = input::compiled(&loaded, &sources, &gateway)?;
    let bundle = input::activated(compiled.content)?;
    let now = args
        .at
        .map_or_else(|| SystemClock::new().now(), |stamp| stamp.get());
    let explained = decide(&bundle, args.caller, &args.call, &call, now)?;
    match args.output {
        Format::Table => tell(&explained)?,
        Format::Json | Format::Yaml => put_value(&explained, args.output)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl CallerArgs {
    fn into_caller(self) -> TestCaller {
        TestCaller {
            user: self.user,
            email: self.email,
            groups: self.groups,
            issuer: self.issuer,
            client: self.client,
            actor: self.actor,
            scopes: Some(self.scopes),
            service_account: self.service_account,
            claims: claims_of(self.claims),
            address: self.source.map(|address| address.to_string()),
            headers: self.headers.into_iter().collect::<BTreeMap<_, _>>(),
        }
    }
}

/// A claim that is given twice has both values.
fn claims_of(pairs: Vec<(String, String)>) -> Map<String, Value> {
    let mut claims: Map<String, Value> = Map::new();
    for (name, text) in pairs {
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let both = match claims.remove(&name) {
            None => value,
            Some(Value::Array(mut values)) => {
                values.push(value);
                Value::Array(values)
            }
            Some(first) => Value::Array(vec![first, value]),
        };
        claims.insert(name, both);
    }
    claims
}

impl CallArgs {
    fn read(&self) -> Result<OwnedCall, Failure> {
        let call = TestCall {
            tool: self.tool.clone(),
            prompt: self.prompt.clone(),
            resource: self.resource.clone(),
            method: self.method.clone(),
            arguments: self.arguments.clone(),
            annotations: self.annotations.clone(),
        };
        OwnedCall::read(&call)
            .map_err(|error| Failure::usage(format!("the arguments would be refused: {error}")))?
            .ok_or_else(|| Failure::usage("say one of --tool, --prompt, --resource and --method"))
    }

    fn listed(&self) -> Option<Listed<'_>> {
        match (&self.tool, &self.prompt, &self.resource) {
            (Some(name), _, _) => Some(Listed::Tool { name }),
            (None, Some(name), _) => Some(Listed::Prompt { name }),
            (None, None, Some(uri)) => Some(Listed::Resource { uri }),
            (None, None, None) => None,
        }
    }
}

fn decide(
    bundle: &Bundle,
    caller: CallerArgs,
    args: &CallArgs,
    call: &OwnedCall,
    now: UnixMillis,
) -> Result<Explained, Failure> {
    let method = args.method.as_deref().map(meaning).transpose()?;
    let first = bundle.issuers().first.clone();
    let issuer = first.unwrap_or_else(|| Issuer::new(LOCAL_ISSUER));
    let facts = TestFacts::read(&caller.into_caller(), &issuer, &[]);
    Ok(facts.with(call, now, |operation, judged| {
        let operation = method.unwrap_or(*operation);
        let decision = bundle.decide(&operation, judged, &mut Budgets::new());
        explained(bundle, &operation, judged, args, &decision)
    }))
}

/// How the guard judges a method that is no tool, prompt or resource.
fn meaning(name: &str) -> Result<Operation<'_>, Failure> {
    let Some(method) = Method::named(name) else {
        say(&format!(
            "sallyport: the guard knows no method `{name}` and would refuse it whatever the rules say"
        ));
        return Ok(Operation::Method { method: name });
    };
    let instead = |option: &str| {
        Err(Failure::usage(format!(
            "`{name}` is about a target; say {option}"
        )))
    };
    match method.judged {
        Judged::Open | Judged::List(_) | Judged::Listen | Judged::Task | Judged::Relayed => {
            Ok(Operation::Open { method: name })
        }
        Judged::Rule => Ok(Operation::Method { method: name }),
        Judged::As(method) => Ok(Operation::Method { method }),
        Judged::Tool => instead("--tool"),
        Judged::Prompt => instead("--prompt"),
        Judged::Resource => instead("--resource"),
        Judged::Completion => instead("--prompt or --resource, which a completion refers to"),
    }
}
