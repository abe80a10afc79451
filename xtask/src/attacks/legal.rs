//! Whether an answer is a legal one, whatever was asked: HTTP that means what it says, JSON-RPC of one kind.

use anyhow::{Result, bail};
use serde_json::Value;

use super::wire::Heard;

pub(super) fn judge(heard: &Heard) -> Result<()> {
    if !(200..600).contains(&heard.status) || heard.status == 500 {
        bail!(
            "status {} is no answer to anything: {}",
            heard.status,
            heard.text()
        );
    }
    let json = heard
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"));
    if json && heard.body.is_empty() {
        bail!("a JSON answer without a body");
    }
    if heard.status == 202 && !heard.body.is_empty() {
        bail!("202 with a body: {}", heard.text());
    }
    if heard.status == 401 && heard.header("www-authenticate").is_none() {
        bail!("401 without a challenge");
    }
    for message in heard.messages() {
        kind(&message)?;
    }
    Ok(())
}

fn kind(message: &Value) -> Result<()> {
    let has = |name: &str| message.get(name).is_some();
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        bail!("no JSON-RPC: {message}");
    }
    let response = has("result") != has("error") && !has("method");
    let other = has("method") && !has("result") && !has("error");
    if !response && !other {
        bail!("neither a request nor an answer: {message}");
    }
    if let Some(error) = message.get("error") {
        let whole = error.get("code").is_some_and(Value::is_i64)
            && error.get("message").is_some_and(Value::is_string);
        if !whole {
            bail!("an error without code and message: {message}");
        }
    }
    Ok(())
}
