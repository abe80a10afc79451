//! What a server was told, as messages: read from what an ear kept, and compared with what it should have been.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::ear::Spoken;
use super::scenario::Step;

/// Everything that was heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) messages: Vec<Message>,
    /// The head of each HTTP request.
    pub(crate) heads: Vec<Head>,
}

/// Names in lower case.
pub(crate) type Head = BTreeMap<String, String>;

/// One message to a server.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    order: usize,
    pub(crate) body: Value,
    /// Whether the client has left the connection that brought it.
    pub(crate) left: bool,
}

impl Heard {
    pub(crate) fn extend(&mut self, messages: Vec<Message>) {
        self.messages.extend(messages);
    }
}

/// Messages that stand one a line.
pub(crate) fn read_lines(text: &str) -> Vec<Message> {
    let parsed = |line: &str| serde_json::from_str(line).ok();
    text.lines()
        .filter_map(parsed)
        .map(|body| Message {
            order: 0,
            body,
            left: false,
        })
        .collect()
}

/// Messages in HTTP requests, in the order in which the requests began.
pub(crate) fn read_requests(connections: Vec<Spoken>) -> Result<Heard> {
    let mut heard = Heard::default();
    for spoken in connections {
        let mut from = 0;
        while let Some((head, body, length)) =
            request(spoken.bytes.get(from..).unwrap_or_default())?
        {
            let before = |start: &&(usize, usize)| start.0 <= from;
            let order = spoken.starts.iter().rfind(before);
            let message = |body| Message {
                order: order.map_or(0, |start| start.1),
                body,
                left: spoken.closed,
            };
            heard.messages.extend(body.into_iter().map(message));
            heard.heads.push(head);
            from += length;
        }
    }
    heard.messages.sort_by_key(|message| message.order);
    Ok(heard)
}

/// The first request: its head, the messages in its body, and its length. None: it is not whole, or there is none.
fn request(bytes: &[u8]) -> Result<Option<(Head, Vec<Value>, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(start)) = parsed.parse(bytes) else {
        return Ok(None);
    };
    let mut head = Head::new();
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value).into_owned();
        head.insert(header.name.to_ascii_lowercase(), value);
    }
    if head.contains_key("transfer-encoding") {
        bail!("a request of unknown length, which nobody here reads");
    }
    let length = match head.get("content-length") {
        Some(text) => text.parse().context("content-length")?,
        None => 0,
    };
    let Some(body) = bytes.get(start..start + length) else {
        return Ok(None);
    };
    let messages = match serde_json::from_slice(body) {
        Ok(Value::Array(batch)) => batch,
        Ok(message) => vec![message],
        Err(_) => Vec::new(),
    };
    Ok(Some((head, messages, start + length)))
}

/// The server was told what it is told without a guard, but for what policy keeps from it.
pub(crate) fn compare(
    steps: &[Step],
    modern: bool,
    straight: &[Message],
    guarded: &[Message],
) -> Result<()> {
    let told = |messages: &[Message]| -> Vec<Value> {
        let essences = messages
            .iter()
            .filter_map(|message| essence(&message.body, modern));
        // Clients do not wait until it has arrived, so that the next request may overtake it on a connection of its own.
        let (notices, mut told): (Vec<Value>, Vec<Value>) =
            essences.partition(|message| message.get("names a request").is_some());
        told.extend(notices);
        told
    };
    let mut expected = told(straight);
    expected.retain(|message| !steps.iter().any(|step| step.keeps_back(message)));
    let found = told(guarded);
    if expected.is_empty() {
        bail!("the server was told nothing, so that nothing is shown");
    }
    if expected == found {
        return Ok(());
    }
    let differs = |(one, other): &(&Value, &Value)| one != other;
    let at = expected.iter().zip(&found).position(|pair| differs(&pair));
    let at = at.unwrap_or(expected.len().min(found.len()));
    bail!(
        "the server was told {} messages instead of {}; the first that differs\n      straight: {}\n      guarded:  {}",
        found.len(),
        expected.len(),
        json!(expected.get(at)),
        json!(found.get(at))
    )
}

/// What the server acts on: without ids, lists, notices of the session, and what is new in each run.
fn essence(message: &Value, modern: bool) -> Option<Value> {
    let Some(method) = message.get("method").and_then(Value::as_str) else {
        return answer(message);
    };
    let mut params = params(message)?;
    match method {
        "tools/call" | "prompts/get" | "resources/read" | "completion/complete" => {
            let wanted = params
                .remove("_meta")
                .is_some_and(|meta| meta.get("progressToken").is_some());
            if params.contains_key("requestState") {
                params.insert("requestState".into(), json!("the server's own"));
            }
            // Whether no arguments are an empty object or nothing is each client's own way.
            params.entry("arguments").or_insert_with(|| json!({}));
            Some(json!({ "method": method, "params": params, "progress": wanted }))
        }
        // In the newest revision a call is taken back by leaving its stream; some clients say so besides.
        "notifications/cancelled" if !modern => {
            let named = params.contains_key("requestId");
            Some(
                json!({ "method": method, "reason": params.get("reason"), "names a request": named }),
            )
        }
        _ => None,
    }
}

/// What the client said to a question; roots are asked by servers as they please, and `ping` is no question.
fn answer(message: &Value) -> Option<Value> {
    let result = message.get("result")?;
    let told = result.get("action").is_some() || result.get("content").is_some();
    told.then(|| json!({ "answer": result }))
}

fn params(message: &Value) -> Option<Map<String, Value>> {
    match message.get("params") {
        None => Some(Map::new()),
        Some(params) => params.as_object().cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Spoken, read_requests};

    #[test]
    fn requests_are_read_in_the_order_in_which_they_began() {
        let post = |body: &str| {
            format!(
                "POST /mcp HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let first = post(r#"{"method":"a"}"#);
        let both = format!("{first}{}", post(r#"[{"method":"c"}]"#));
        let one = Spoken {
            starts: vec![(0, 0), (first.len(), 2)],
            bytes: both.into_bytes(),
            closed: false,
        };
        let other = Spoken {
            starts: vec![(0, 1)],
            bytes: post(r#"{"method":"b"}"#).into_bytes(),
            closed: true,
        };
        let heard = read_requests(vec![one, other]).unwrap();
        let told: Vec<(&str, bool)> = heard
            .messages
            .iter()
            .map(|message| (message.body["method"].as_str().unwrap(), message.left))
            .collect();
        assert_eq!(told, [("a", false), ("b", true), ("c", false)]);
    }
}
