//! A case: what is sent, what the server answers, and what must come of it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::send::{self, Send};

/// One file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chapter {
    pub chapter: String,
    pub about: String,
    pub cases: Vec<Case>,
}

/// One attack.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the attacker does, as a sentence.
    pub name: String,
    /// Numbers of chapter 7 of the protocol notes; may be empty where `source` says where the idea is from.
    #[serde(default)]
    pub traps: Vec<u8>,
    #[serde(default)]
    pub source: Option<String>,
    /// The revision that the session has, or that the request states.
    #[serde(default = "revision")]
    pub revision: String,
    /// A single request, with what must come of it.
    #[serde(default)]
    send: Option<Send>,
    #[serde(default)]
    expect: Option<Expect>,
    /// Several, one after the other.
    #[serde(default)]
    steps: Vec<Step>,
    /// What the server answers, by method. Only a server of our own can be made to; such a case is put to it alone.
    #[serde(default)]
    pub answers: BTreeMap<String, Answer>,
    /// The name of a script, where time, many connections or approvers are part of the attack.
    #[serde(default)]
    pub script: Option<String>,
    /// Runs against these servers only.
    #[serde(default)]
    pub servers: Vec<String>,
}

/// One request of a case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who sends it; each caller has a token, an agent and a session of its own.
    #[serde(default = "caller")]
    pub by: String,
    #[serde(default)]
    pub send: Send,
    pub expect: Expect,
}

/// What must come of a request. What is not named here is not looked at, except that nothing hangs, that the answer is
/// a legal one, and that what is not `executed` never reaches the server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// HTTP status.
    #[serde(default)]
    pub status: Option<u16>,
    /// Code of the JSON-RPC error; none of it where the case names none and `status` is 200.
    #[serde(default)]
    pub code: Option<i64>,
    /// A tool's result with `isError`.
    #[serde(default)]
    pub is_error: bool,
    /// `reason` of our mark in the answer.
    #[serde(default)]
    pub reason: Option<String>,
    /// The one event that tells the reason, by its code: in the recording, or in the audit log where no call came about.
    #[serde(default)]
    pub audit: Option<String>,
    /// The server was given the call.
    #[serde(default)]
    pub executed: bool,
    /// How many HTTP answers come on the connection; 1.
    #[serde(default)]
    pub answers: Option<usize>,
    /// Stands in the answer.
    #[serde(default)]
    pub says: Vec<String>,
    /// Stands nowhere in the answer.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// Stands in what the server was sent.
    #[serde(default)]
    pub server_says: Vec<String>,
    /// Stands nowhere in what the server was sent.
    #[serde(default)]
    pub server_lacks: Vec<String>,
}

/// What the server says to one method.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// A JSON body, with status 200. `{id}` is the id of the request.
    #[serde(default)]
    json: Option<String>,
    /// The bytes of an event stream.
    #[serde(default)]
    sse: Option<String>,
    /// A whole HTTP answer.
    #[serde(default)]
    raw: Option<String>,
    /// The same, where it is no text.
    #[serde(default)]
    base64: Option<String>,
    /// Put between what stands before `{...}` and what stands behind it, so many times.
    #[serde(default)]
    fill: Option<Fill>,
    /// The stream stays open after the last byte.
    #[serde(default)]
    pub hangs: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fill {
    unit: String,
    times: usize,
}

impl Case {
    /// Its requests in order.
    pub fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        let single = self.expect.iter().map(|expect| Step {
            by: caller(),
            send: self.send.clone().unwrap_or_default(),
            expect: expect.clone(),
        });
        single.chain(self.steps.iter().cloned())
    }

    /// Whether it can be put to any server.
    #[must_use]
    pub fn is_for(&self, server: &str) -> bool {
        if self.servers.is_empty() {
            return self.answers.is_empty() || server == "own";
        }
        self.servers.iter().any(|named| named == server)
    }

    pub(crate) fn judge(&self) -> Result<(), &'static str> {
        if self.traps.is_empty() && self.source.is_none() {
            return Err("it names neither a trap nor a source");
        }
        let single = usize::from(self.expect.is_some());
        let ways =
            single + usize::from(!self.steps.is_empty()) + usize::from(self.script.is_some());
        if ways != 1 {
            return Err("it needs one of `send` with `expect`, `steps`, and `script`");
        }
        if self.send.is_some() && self.expect.is_none() {
            return Err("it sends and expects nothing");
        }
        for step in self.steps() {
            step.send.judge()?;
        }
        self.answers.values().try_for_each(Answer::judge)
    }
}

impl Answer {
    fn judge(&self) -> Result<(), &'static str> {
        let given = [&self.json, &self.sse, &self.raw, &self.base64];
        if given.iter().filter(|kind| kind.is_some()).count() != 1 {
            return Err("an answer is one of `json`, `sse`, `raw`, `base64`");
        }
        match &self.base64 {
            Some(text) => send::decoded(text).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The whole HTTP answer to the request with this id; the end of the connection ends it.
    #[must_use]
    pub fn bytes(&self, id: &str) -> Vec<u8> {
        let head = |kind: &str| {
            format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n")
        };
        let filled = |text: &str| {
            let filling = self
                .fill
                .as_ref()
                .map_or_else(String::new, |fill| fill.unit.repeat(fill.times));
            text.replace("{...}", &filling).replace("{id}", id)
        };
        match (&self.json, &self.sse, &self.raw, &self.base64) {
            (Some(json), ..) => (head("application/json") + &filled(json)).into_bytes(),
            (_, Some(sse), ..) => (head("text/event-stream") + &filled(sse)).into_bytes(),
            (_, _, Some(raw), _) => filled(raw).into_bytes(),
            (.., Some(text)) => send::decoded(text).unwrap_or_default(),
            (None, None, None, None) => Vec::new(),
        }
    }

    /// The body alone, where it is an event stream.
    #[must_use]
    pub fn stream(&self, id: &str) -> Option<Vec<u8>> {
        self.sse.as_ref()?;
        let whole = self.bytes(id);
        let at = whole.windows(4).position(|four| four == b"\r\n\r\n")?;
        whole.get(at + 4..).map(<[u8]>::to_vec)
    }
}

fn revision() -> String {
    crate::REVISION.to_owned()
}

fn caller() -> String {
    "ada".to_owned()
}
