//! An SDK's own OAuth client, end to end: it knows nothing but the guard's URL, and finds by the challenge and the
//! metadata (RFC 9728) who issues tokens, gets one, calls, and steps up where a scope is missing.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::client::{self, Place};
use crate::guard::{self, Guard};
use crate::process::{self, Service};
use crate::tally::Count;
use crate::workspace;

use super::bench::Bench;
use super::servers::{self, Server};

const START_LIMIT: Duration = Duration::from_secs(30);

/// The name of the row before a mode of agreeing on a revision.
pub(super) fn name(mode: &str) -> String {
    format!("OAuth client of TypeScript SDK 2 ({mode}): discovery, login, step-up")
}

/// How the client agrees on a revision.
pub(super) const MODES: [&str; 2] = ["legacy", "auto"];

pub(super) fn run(bench: &Bench, mode: &'static str) -> Result<Count> {
    let folder = bench.folder().join(format!("oauth-{mode}"));
    std::fs::create_dir(&folder)?;
    let log = folder.join("authorization.log");
    let (_issuer, issuer_url) = authorization(bench, &log)?;
    let server = servers::overhear(
        Server::Handler,
        bench.installed(),
        &[],
        &folder.join("server"),
    )?;
    let port = process::free_port()?;
    let url = format!("http://127.0.0.1:{port}/mcp");
    let policy = folder.join("policy.yaml");
    let text = std::fs::read_to_string(workspace::clients().join("oauth.yaml"))?;
    std::fs::write(
        &policy,
        text.replace("PUBLIC_URL", &url)
            .replace("ISSUER", &issuer_url),
    )?;
    let plan = guard::Plan {
        binary: bench.sallyport(),
        policy: &policy,
        gateway: "http",
        state: &folder.join("state"),
        secrets: &[],
        upstream: server.upstream.clone(),
        env: &[],
        flags: &["--allow-http-idp"],
    };
    let mut guard = Guard::start_at(&plan, &format!("127.0.0.1:{port}"))?;
    let report = drive(bench, &url, mode)?;
    judge(&report, &log, &url)?;
    guard.stop()?;
    no_token_passed(&report, &server)?;
    let revision = report.get("protocolVersion").and_then(Value::as_str);
    Ok(Count::one(revision.unwrap_or("revision not told")))
}

fn authorization(bench: &Bench, log: &Path) -> Result<(Service, String)> {
    let port = process::free_port()?;
    let mut command = Command::new(bench.installed().node.program());
    command.arg(bench.installed().scripts.join("authorization.mjs"));
    command.env("PORT", port.to_string());
    let mut service = Service::start(&mut command, log)?;
    process::listening(&mut service, port, START_LIMIT).context("the authorization server")?;
    Ok((service, format!("http://127.0.0.1:{port}")))
}

fn drive(bench: &Bench, url: &str, mode: &'static str) -> Result<Value> {
    let mut driver = Command::new(bench.installed().node.program());
    driver.arg(bench.installed().scripts.join("oauth.mjs"));
    let place = Place {
        wire: json!({ "url": url }),
        mode,
        version: None,
    };
    let sum =
        |label: &str| json!({ "as": label, "name": "get-sum", "arguments": { "a": 1, "b": 2 } });
    let echo = json!({ "as": "call", "name": "echo", "arguments": { "message": "hello" } });
    client::take(&mut driver, &place, &[echo, sum("step-up"), sum("again")])
}

fn judge(report: &Value, log: &Path, url: &str) -> Result<()> {
    let steps = [
        ("call", "Echo: hello", 0),
        ("step-up", "The sum of 1 and 2 is 3.", 1),
        ("again", "The sum of 1 and 2 is 3.", 0),
    ];
    for (label, says, visits) in steps {
        let at = |place: &str| report.pointer(&format!("/outcomes/{label}/{place}"));
        if at("result/content/0/text") != Some(&json!(says)) || at("visits") != Some(&json!(visits))
        {
            bail!(
                "{label}: expected `{says}` after {visits} logins, found {:?}",
                report.pointer(&format!("/outcomes/{label}"))
            );
        }
    }
    let told = std::fs::read_to_string(log)?;
    let told: Vec<Value> = told
        .lines()
        .map(serde_json::from_str)
        .collect::<serde_json::Result<_>>()?;
    let asked = |path: &str| -> Vec<(&Value, &Value)> {
        let of = |entry: &&Value| entry.get("path") == Some(&json!(path));
        told.iter()
            .filter(of)
            .filter_map(|entry| Some((entry.get("scope")?, entry.get("resource")?)))
            .collect()
    };
    // Without the metadata the client would know neither whom to ask nor for which resource.
    let wanted = [(&json!(""), &json!(url)), (&json!("sums.add"), &json!(url))];
    if asked("/authorize") != wanted || asked("/token").len() != 2 || asked("/register").len() != 1
    {
        bail!(
            "the authorization server was asked otherwise: {}",
            json!(told)
        );
    }
    Ok(())
}

fn no_token_passed(report: &Value, server: &servers::Overheard) -> Result<()> {
    let tokens = report.get("tokens").and_then(Value::as_array);
    let tokens: Vec<&str> = tokens
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let heads = server.ear.all()?.heads;
    if tokens.len() != 2 || heads.is_empty() {
        bail!(
            "nothing to compare: {} tokens, {} requests",
            tokens.len(),
            heads.len()
        );
    }
    let leaked = |value: &String| tokens.iter().any(|token| value.contains(token));
    if heads
        .iter()
        .flat_map(std::collections::BTreeMap::values)
        .any(leaked)
    {
        bail!("the server was told a caller's token");
    }
    Ok(())
}
