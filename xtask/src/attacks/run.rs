//! One case against one server: its requests are sent to the byte, and what comes of them is compared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sallyport_attacks::{Case, Expect, Step};
use serde_json::Value;

use super::bed::{Client, Target};
use super::hostile::Play;
use super::wire::{self, Heard};
use super::{h2, legal};

/// How long an event may take to be in the log once its answer is there.
const TOLD: Duration = Duration::from_secs(3);

/// What the recording must hold of a step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Recorded {
    pub(super) user: String,
    pub(super) reason: String,
}

/// Runs a case; what was told of calls, to be looked for in the recording.
pub(super) fn case(target: &Target, case: &Case, number: usize) -> Result<Vec<Recorded>> {
    if let Some(hostile) = &target.hostile {
        hostile.behave();
        for (method, answer) in &case.answers {
            let bytes = answer.bytes("{id}");
            let hangs = answer.hangs;
            hostile.play(
                method,
                Play {
                    bytes,
                    hangs,
                    after: Duration::ZERO,
                },
            );
        }
    }
    let mut clients = BTreeMap::new();
    let steps: Vec<Step> = case.steps().collect();
    for by in ["ada", "eve"] {
        let named = format!("of {by}}}");
        let needed = steps.iter().any(|step| {
            step.by == by
                || step
                    .send
                    .line
                    .iter()
                    .chain(&step.send.headers)
                    .any(|text| text.contains(&named))
        });
        if needed {
            // A child of a server on a pipe costs a second: there all cases share the session.
            let user = match &target.tap {
                super::tap::Tap::Relay(_) => format!("{by}-{number}"),
                super::tap::Tap::Pipe(_) => by.to_owned(),
            };
            clients.insert(by.to_owned(), client(target, &user, &case.revision)?);
        }
    }
    let mut recorded = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let found =
            step_of(target, step, &clients).with_context(|| format!("step {}", index + 1))?;
        recorded.extend(found);
    }
    Ok(recorded)
}

fn client(target: &Target, user: &str, revision: &str) -> Result<Client> {
    let super::tap::Tap::Pipe(_) = &target.tap else {
        return target.client(user, revision);
    };
    super::kept(user, revision, || target.client(user, revision))
}

fn step_of(
    target: &Target,
    step: &Step,
    clients: &BTreeMap<String, Client>,
) -> Result<Option<Recorded>> {
    let client = clients.get(&step.by).context("a caller")?;
    let (arrived, logged) = (target.tap.len(), target.log_length());
    let fill = |text: &str| {
        filled(
            text,
            target,
            client,
            clients,
            step.send.body().map_or(0, |body| body.len()),
        )
    };
    let heard = send(target, step, client, &fill)?;
    let expect = &step.expect;
    for heard in &heard {
        legal::judge(heard)?;
    }
    compare(expect, &heard, &fill)?;
    reached(target, expect, arrived, &fill)?;
    match &expect.audit {
        Some(code) => told(target, code, logged, &client.user),
        None => Ok(None),
    }
}

fn filled(
    text: &str,
    target: &Target,
    client: &Client,
    clients: &BTreeMap<String, Client>,
    length: usize,
) -> String {
    let mut text = text
        .replace("{host}", &target.address.to_string())
        .replace("{token}", &client.token)
        .replace("{session}", client.session.as_deref().unwrap_or_default())
        .replace("{length}", &length.to_string());
    for (name, other) in clients {
        text = text.replace(
            &format!("{{session of {name}}}"),
            other.session.as_deref().unwrap_or_default(),
        );
    }
    text
}

fn send(
    target: &Target,
    step: &Step,
    client: &Client,
    fill: &dyn Fn(&str) -> String,
) -> Result<Vec<Heard>> {
    let send = &step.send;
    let body = send.body();
    if let Some(headers) = &send.h2 {
        let mut headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| (name.clone(), fill(value)))
            .collect();
        if let Some(session) = &client.session {
            headers.push(("mcp-session-id".to_owned(), session.clone()));
        }
        let status = h2::ask(target.address, &headers, body.as_deref())?;
        return Ok(status
            .map(|status| Heard {
                status,
                ..Heard::default()
            })
            .into_iter()
            .collect());
    }
    if let Some(raw) = &send.raw {
        return wire::all_answers(target.address, fill(raw).as_bytes());
    }
    let line = send
        .line
        .clone()
        .unwrap_or_else(|| "POST /mcp HTTP/1.1".to_owned());
    let mut head = fill(&line) + "\r\n";
    let mut headers = client.headers(target.address);
    if let Some(forgery) = &send.token {
        headers.retain(|(name, _)| name != "Authorization" && name != "Mcp-Session-Id");
        headers.push(("Authorization".to_owned(), target.issuer.forged(forgery)));
    }
    if let Some(body) = &body {
        headers.push(("Content-Length".to_owned(), body.len().to_string()));
    }
    headers.retain(|(name, _)| {
        !send
            .omit
            .iter()
            .any(|omitted| omitted.eq_ignore_ascii_case(name))
    });
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    for line in &send.headers {
        head.push_str(&(fill(line) + "\r\n"));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend(body.unwrap_or_default());
    wire::ask(target.address, &bytes).map(|heard| vec![heard])
}

fn compare(expect: &Expect, heard: &[Heard], fill: &dyn Fn(&str) -> String) -> Result<()> {
    if let Some(answers) = expect.answers
        && answers != heard.len()
    {
        bail!("{answers} answers are expected: {}", shown(heard));
    }
    let text: String = heard.iter().map(Heard::text).collect();
    let answer = heard.first().and_then(Heard::answer);
    let status = heard.first().map(|heard| heard.status);
    if expect.status.is_some() && expect.status != status {
        bail!("status {:?} is expected: {}", expect.status, shown(heard));
    }
    let code = answer
        .as_ref()
        .and_then(|answer| answer.pointer("/error/code")?.as_i64());
    let wanted_code = expect.code.is_some() || (expect.status == Some(200) && expect.executed);
    if wanted_code && code != expect.code {
        bail!("code {:?} is expected: {}", expect.code, shown(heard));
    }
    let is_error = answer
        .as_ref()
        .is_some_and(|answer| answer.pointer("/result/isError") == Some(&Value::Bool(true)));
    if expect.is_error && !is_error {
        bail!("isError is expected: {}", shown(heard));
    }
    if let Some(reason) = &expect.reason
        && !text.contains(&format!(r#""reason":"{reason}""#))
    {
        bail!("the mark's reason `{reason}` is expected: {}", shown(heard));
    }
    for (wanted, texts) in [(true, &expect.says), (false, &expect.lacks)] {
        for part in texts.iter().map(|part| fill(part)) {
            if text.contains(&part) != wanted {
                bail!(
                    "`{}` must {}stand in {}",
                    short(&part),
                    if wanted { "" } else { "not " },
                    shown(heard)
                );
            }
        }
    }
    Ok(())
}

/// The server was given the call, or nothing that is one.
fn reached(
    target: &Target,
    expect: &Expect,
    from: usize,
    fill: &dyn Fn(&str) -> String,
) -> Result<()> {
    let arrived = target.tap.since(from);
    let raw_pings = expect.status.is_none() && expect.audit.is_none();
    if !expect.executed
        && !raw_pings
        && let Some(call) = arrived.iter().find(|arrived| arrived.is_call())
    {
        bail!("THE SERVER WAS GIVEN IT: {}", short(&call.text()));
    }
    if expect.executed && arrived.is_empty() {
        bail!("the server was given nothing");
    }
    let text: String = arrived.iter().map(super::tap::Arrived::text).collect();
    for (wanted, texts) in [(true, &expect.server_says), (false, &expect.server_lacks)] {
        for part in texts.iter().map(|part| fill(part)) {
            if text.contains(&part) != wanted {
                bail!(
                    "`{}` must {}reach the server: {}",
                    short(&part),
                    if wanted { "" } else { "not " },
                    short(&text)
                );
            }
        }
    }
    Ok(())
}

/// Exactly one event tells the reason.
fn told(target: &Target, code: &str, from: usize, user: &str) -> Result<Option<Recorded>> {
    let until = Instant::now() + TOLD;
    loop {
        let lines = target.log_since(from);
        let field =
            |line: &Value, name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
        let audits = lines
            .iter()
            .filter(|line| field(line, "target").as_deref() == Some("sallyport::audit"));
        let audits = audits
            .filter(|line| field(line, "code").as_deref() == Some(code))
            .count();
        let calls = lines
            .iter()
            .filter(|line| field(line, "target").as_deref() == Some("sallyport::call"));
        let calls = calls
            .filter(|line| field(line, "reason").as_deref() == Some(code))
            .count();
        if audits + calls == 1 {
            return Ok((calls == 1).then(|| Recorded {
                user: user.to_owned(),
                reason: code.to_owned(),
            }));
        }
        if audits + calls > 1 {
            bail!("`{code}` is told {} times", audits + calls);
        }
        if Instant::now() >= until {
            let told: Vec<String> = lines
                .iter()
                .filter_map(|line| field(line, "code").or_else(|| field(line, "reason")))
                .collect();
            bail!("nothing tells `{code}`; told were {told:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn shown(heard: &[Heard]) -> String {
    let text: String = heard.iter().map(Heard::text).collect();
    short(&text)
}

fn short(text: &str) -> String {
    let visible: String = text.chars().take(700).collect();
    visible.escape_debug().to_string()
}
