//! `policy explain`: what one call would meet under the policy of the files, and why.
//!
//! The call is decided by the evaluator itself, with nothing charged yet; nothing here guesses.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use sallyport_policy::bundle::{Bundle, Settings};
use sallyport_policy::compile::{OwnedCall, TestFacts};
use sallyport_policy::condition::glob::{Glob, GlobKind};
use sallyport_policy::decide::{
    Budgets, Decision, Explanation, Facts, HoldRule, Listed, Operation, Outcome, Verdict,
};
use sallyport_policy::mcp::Method;
use sallyport_policy::mcp::method::Judged;
use sallyport_policy::name::Issuer;
use sallyport_policy::source::policy::{ServiceAccountRef, TestCall, TestCaller};
use sallyport_policy::source::rule::GrantScope;
use sallyport_policy::source::{GoDuration, Subject, Timestamp};
use sallyport_policy::time::UnixMillis;
use sallyport_sidecar::clock::{Clock as _, SystemClock};
use sallyport_sidecar::identity::local::LOCAL_ISSUER;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::output::{Failure, Format, put, put_value, say};

use super::input::{self, Files};
use super::verdict;

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
    let explained = decide(&bundle, args.caller, &args.call, now)?;
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
    fn call(&self) -> TestCall {
        TestCall {
            tool: self.tool.clone(),
            prompt: self.prompt.clone(),
            resource: self.resource.clone(),
            method: self.method.clone(),
            arguments: self.arguments.clone(),
            annotations: self.annotations.clone(),
        }
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

/// Everything that is told of one decision.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    gateway: String,
    revision: String,
    at: String,
    caller: Caller,
    call: String,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_scopes: Vec<String>,
    /// Whether lists show it to this caller; none where no list has such entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    listed: Option<bool>,
    looked_at: Vec<Rule>,
    /// Rules about other calls.
    other_rules: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<String>,
    /// What must happen before, while and after it runs.
    obligations: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Caller {
    issuer: String,
    subject: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    rule: String,
    matched: bool,
    outcome: String,
    observed: bool,
}

fn decide(
    bundle: &Bundle,
    caller: CallerArgs,
    args: &CallArgs,
    now: UnixMillis,
) -> Result<Explained, Failure> {
    let call = OwnedCall::read(&args.call())
        .map_err(|error| Failure::usage(format!("the arguments would be refused: {error}")))?
        .ok_or_else(|| Failure::usage("say one of --tool, --prompt, --resource and --method"))?;
    let method = args.method.as_deref().map(meaning).transpose()?;
    let first = bundle.issuers().first.clone();
    let issuer = first.unwrap_or_else(|| Issuer::new(LOCAL_ISSUER));
    let facts = TestFacts::read(&caller.into_caller(), &issuer, &[]);
    Ok(facts.with(&call, now, |operation, judged| {
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

fn explained(
    bundle: &Bundle,
    operation: &Operation<'_>,
    facts: &Facts<'_>,
    args: &CallArgs,
    decision: &Decision,
) -> Explained {
    let looked_at = looked(decision.explanation());
    let denial = match decision {
        Decision::Deny(denial, _) => Some(denial),
        Decision::Allow(..) | Decision::Hold(..) => None,
    };
    Explained {
        gateway: bundle.gateway().to_string(),
        revision: bundle.revision().to_string(),
        at: facts.now.to_string(),
        caller: Caller {
            issuer: facts.principal.issuer.to_string(),
            subject: facts.principal.subject.to_string(),
        },
        call: described(operation),
        verdict: verdict::word(decision.verdict()),
        rule: decision.rule().map(ToString::to_string),
        reason: denial.map(|denial| denial.reason.code()),
        message: denial.map(|denial| denial.text().to_owned()),
        missing_scopes: denial
            .map(|denial| denial.missing_scopes.clone())
            .unwrap_or_default(),
        listed: args.listed().map(|listed| bundle.visible(&listed, facts)),
        other_rules: bundle.rule_count().saturating_sub(looked_at.len()),
        looked_at,
        shadow: decision
            .explanation()
            .shadow
            .as_ref()
            .map(ToString::to_string),
        obligations: obligations(bundle.settings(), args.tool.as_deref(), decision),
    }
}

fn described(operation: &Operation<'_>) -> String {
    match operation {
        Operation::Tool { name, .. } => format!("tool `{name}`"),
        Operation::Prompt { name, .. } => format!("prompt `{name}`"),
        Operation::Resource { uri } => format!("resource `{uri}`"),
        Operation::Method { method } => format!("method `{method}`"),
        Operation::Open { method } => format!("method `{method}`, which needs no rule"),
    }
}

fn looked(explanation: &Explanation) -> Vec<Rule> {
    let rules = explanation.looked.iter().map(|looked| Rule {
        rule: looked.rule.to_string(),
        matched: looked.outcome == Outcome::Matched,
        outcome: looked.outcome.to_string(),
        observed: looked.observed,
    });
    rules.collect()
}

/// What goes with the verdict beside letting the call through or not.
fn obligations(settings: &Settings, tool: Option<&str>, decision: &Decision) -> Vec<String> {
    let mut found = Vec::new();
    if let Decision::Hold(needed, _) = decision {
        found.extend(needed.rules.iter().map(|rule| approval(rule)));
        let (hold, ttl) = (
            span(settings.approvals.hold),
            span(settings.approvals.request_ttl),
        );
        found.push(format!(
            "the caller waits {hold}, then hears \"pending\"; the request stays open for {ttl}"
        ));
    }
    found.push(format!(
        "recording: {:?}, payloads {:?}",
        settings.recording.mode, settings.recording.payloads
    ));
    if decision.verdict() == Verdict::Deny {
        return found;
    }
    let masking = &settings.masking;
    let detectors = masking.detectors.as_deref().unwrap_or_default().join(", ");
    let patterns: Vec<&str> = masking
        .patterns
        .iter()
        .map(|pattern| pattern.name.as_str())
        .collect();
    let more = if patterns.is_empty() {
        String::new()
    } else {
        format!("; patterns {}", patterns.join(", "))
    };
    found.push(format!("the answer is masked: {detectors}{more}"));
    if let Some(tool) = tool {
        let fields = masking
            .fields
            .iter()
            .filter(|field| fits(&field.tool, tool));
        found.extend(fields.map(|field| {
            let action = field
                .action
                .or(masking.action)
                .map(|action| format!(" ({action:?})"));
            format!(
                "field {} of the answer is masked{}",
                field.path,
                action.unwrap_or_default()
            )
        }));
        let budgets = settings.limits.budgets.iter();
        let budgets = budgets.filter(|budget| budget.tools.iter().any(|glob| fits(glob, tool)));
        found.extend(budgets.map(|budget| {
            format!(
                "budget: {} calls per {} by {:?}",
                budget.calls,
                span(budget.per),
                budget.by
            )
        }));
    }
    found
}

fn approval(rule: &HoldRule) -> String {
    let who: Vec<String> = rule.approvers.iter().map(people).collect();
    let reason = if rule.reason_required {
        "; a reason is required"
    } else {
        ""
    };
    let uses = rule
        .grant
        .max_uses
        .map(|uses| format!(", at most {uses} times"))
        .unwrap_or_default();
    let gives = match rule.grant.scope {
        GrantScope::Call => "this call once",
        GrantScope::Tool => "the tool",
    };
    format!(
        "{}: {} of {} must approve{reason}; that grants {gives} within {}{uses}",
        rule.id,
        rule.required,
        who.join(" or "),
        span(rule.grant.duration),
    )
}

fn people(subject: &Subject) -> String {
    let named = |word: &str, names: &[String]| {
        (!names.is_empty()).then(|| format!("{word} {}", names.join(", ")))
    };
    let parts = [
        named("groups", &subject.groups),
        named("users", &subject.users),
    ];
    let mut parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.extend(
        subject
            .service_accounts
            .iter()
            .map(|account| format!("{}/{}", account.namespace, account.name)),
    );
    parts.extend(subject.claims.keys().map(|claim| format!("claim {claim}")));
    parts.join(" with ")
}

fn span(duration: Duration) -> String {
    GoDuration::of(duration).to_string()
}

fn fits(glob: &str, name: &str) -> bool {
    Glob::new(glob, GlobKind::Name).matches(name)
}

fn tell(explained: &Explained) -> Result<(), Failure> {
    let mut verdict = explained.verdict.to_owned();
    if let Some(rule) = &explained.rule {
        verdict.push_str(&format!(" by {rule}"));
    }
    if let Some(reason) = explained.reason {
        verdict.push_str(&format!(" ({reason})"));
    }
    put(&verdict)?;
    if let Some(message) = &explained.message {
        put(&format!("  told to the caller: {message}"))?;
    }
    if !explained.missing_scopes.is_empty() {
        put(&format!(
            "  missing scopes: {}",
            explained.missing_scopes.join(" ")
        ))?;
    }
    put("")?;
    put(&format!("call      {}", explained.call))?;
    put(&format!(
        "caller    {} of {}",
        explained.caller.subject, explained.caller.issuer
    ))?;
    put(&format!(
        "gateway   {}, revision {}",
        explained.gateway, explained.revision
    ))?;
    put(&format!("at        {}", explained.at))?;
    if let Some(listed) = explained.listed {
        put(if listed {
            "in lists  shown to this caller"
        } else {
            "in lists  hidden from this caller"
        })?;
    }
    put("\nrules looked at")?;
    for rule in &explained.looked_at {
        let mark = if rule.matched { '+' } else { '-' };
        let observed = if rule.observed {
            " (observed only)"
        } else {
            ""
        };
        put(&format!(
            "  {mark} {}{observed}: {}",
            rule.rule, rule.outcome
        ))?;
    }
    if explained.looked_at.is_empty() {
        put("  none is about such a call")?;
    }
    if explained.other_rules > 0 {
        put(&format!(
            "  {} about other calls or other callers",
            super::problem::counted(explained.other_rules, "rule")
        ))?;
    }
    if let Some(shadow) = &explained.shadow {
        put(&format!("  {shadow}"))?;
    }
    put("\nobligations")?;
    explained
        .obligations
        .iter()
        .try_for_each(|line| put(&format!("  {line}")))
}
