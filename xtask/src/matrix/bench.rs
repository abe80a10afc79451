//! The bench that rows are run on: what is installed and built, a folder of its own, the guard, and an approver who
//! answers what is held.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{self, Place};
use crate::guard::{self, Approver, Guard, Upstream};
use crate::tally::Count;
use crate::workspace::{self, Profile};

use super::rows::{Client, Row, Wire};
use super::scenario;
use super::servers::{self, Installed, Running, Server};

const GLANCE: Duration = Duration::from_millis(200);

/// Fake secrets of the servers; in two parts, so that no scanner takes this file for a leak.
pub(crate) const SECRETS: [Secret; 2] = [
    Secret {
        name: "AWS_ACCESS_KEY_ID",
        parts: ["AKIA", "IOSFODNN7EXAMPLE"],
    },
    Secret {
        name: "GITHUB_TOKEN",
        parts: ["ghp_", "EXAMPLEexampleEXAMPLEexampleEXAMPLE1"],
    },
];

/// The server's own credential, which the guard adds and no caller may see.
pub(crate) const CREDENTIAL: Secret = Secret {
    name: "UPSTREAM_TOKEN",
    parts: ["upstream-credential-", "8c1f2b7d9e0a4455"],
};

/// A secret by name.
#[derive(Debug)]
pub(crate) struct Secret {
    pub(crate) name: &'static str,
    parts: [&'static str; 2],
}

impl Secret {
    pub(crate) fn value(&self) -> String {
        self.parts.concat()
    }
}

/// What all rows share.
#[derive(Debug)]
pub(crate) struct Bench {
    installed: Installed,
    drivers: PathBuf,
    sallyport: PathBuf,
    rmcp: PathBuf,
    folder: TempDir,
}

/// A server with the guard before it.
#[derive(Debug)]
pub(crate) struct Guarded {
    pub(crate) guard: Guard,
    /// Every token that was issued, so that they can be looked for in what the guard wrote.
    tokens: Mutex<Vec<String>>,
    pub(crate) state: PathBuf,
    binary: PathBuf,
    _server: Running,
}

impl Bench {
    pub(crate) fn set_up() -> Result<Self> {
        let installed = Installed::now()?;
        let folder = tempfile::Builder::new()
            .prefix("sallyport-clients-")
            .tempdir()?;
        let built =
            |package, binary| workspace::build(package, binary, Profile::Dev, folder.path());
        Ok(Self {
            drivers: installed.node.drivers()?,
            installed,
            sallyport: built("sallyport-cli", "sallyport")?,
            rmcp: built("sallyport-client-rmcp", "sallyport-client-rmcp")?,
            folder,
        })
    }

    pub(crate) fn guard(&self, server: Server) -> Result<Guarded> {
        let name = format!("{server:?}").to_lowercase();
        let state = self.folder.path().join(&name);
        let env = environment();
        let running = servers::start(
            server,
            &self.installed,
            &env,
            &self.folder.path().join(format!("{name}-server.log")),
        )?;
        let credential = CREDENTIAL.value();
        let policy = workspace::clients().join("policy.yaml");
        let guard = Guard::start(&guard::Plan {
            binary: &self.sallyport,
            policy: &policy,
            gateway: server.gateway(),
            state: &state,
            secrets: &[("upstream/token", &credential)],
            upstream: running.upstream.clone(),
            env: &env,
            flags: &[],
        })?;
        Ok(Guarded {
            guard,
            state,
            tokens: Mutex::default(),
            binary: self.sallyport.clone(),
            _server: running,
        })
    }

    /// The same scenario straight at the server; once for each client and revision.
    pub(crate) fn direct(&self, row: &Row, known: &mut BTreeMap<String, Value>) -> Result<Value> {
        let family = match row.server {
            Server::EverythingHttp | Server::EverythingSse | Server::EverythingStdio => {
                Server::EverythingHttp
            }
            Server::Dual => Server::Dual,
            Server::Time => Server::Time,
        };
        let key = format!("{:?} {} {:?} {family:?}", row.client, row.mode, row.version);
        if let Some(report) = known.get(&key) {
            return Ok(report.clone());
        }
        let log = self.folder.path().join("straight-server.log");
        let server = servers::start(family, &self.installed, &environment(), &log)?;
        let wire = match &server.upstream {
            Upstream::Url(url) => json!({ "transport": "http", "url": url }),
            Upstream::Command(words) => json!({ "transport": "stdio", "command": words }),
        };
        let report = self.drive(row, wire).context("straight at the server")?;
        known.insert(key, report.clone());
        Ok(report)
    }

    /// The scenario through the guard, with an approver at work.
    pub(crate) fn through(&self, row: &Row, guarded: &Guarded) -> Result<Value> {
        let guard = &guarded.guard;
        let token = guarded.caller()?;
        let wire = match row.wire {
            Wire::Http => json!({ "transport": "http", "url": guard.url, "token": token }),
            Wire::Sse => {
                json!({ "transport": "sse", "url": guard.sse_url(), "token": token })
            }
            Wire::Connect => json!({
                "transport": "stdio",
                "command": [self.sallyport, "connect", guard.url, "--token-env", "SALLYPORT_TOKEN"],
                "env": { "SALLYPORT_TOKEN": token },
            }),
        };
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let approver = scope.spawn(|| answer_requests(guard, &done));
            let report = self.drive(row, wire).context("through the guard");
            done.store(true, Ordering::Relaxed);
            let answered = approver.join().unwrap_or(Ok(()));
            let report = report?;
            answered.context("the approver")?;
            Ok(report)
        })
    }

    fn drive(&self, row: &Row, wire: Value) -> Result<Value> {
        let steps: Vec<Value> = scenario::steps(row)
            .iter()
            .map(scenario::Step::to_json)
            .collect();
        let place = Place {
            wire,
            mode: row.mode,
            version: row.version,
        };
        client::take(&mut self.driver(row.client), &place, &steps)
    }

    fn driver(&self, client: Client) -> Command {
        let file = scenario::driver(client);
        let (program, script) = match client {
            Client::Ts1 | Client::Ts2 => {
                (self.installed.node.program(), Some(self.drivers.join(file)))
            }
            Client::Py1 => (
                self.installed.first.program(),
                Some(workspace::clients().join(file)),
            ),
            Client::Py2 => (
                self.installed.second.program(),
                Some(workspace::clients().join(file)),
            ),
            Client::Rmcp => (self.rmcp.clone(), None),
        };
        let mut command = Command::new(program);
        command.args(script);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

impl Guarded {
    /// A caller whom no earlier row was: a denied request keeps refusing the one who made it.
    fn caller(&self) -> Result<String> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let user = format!("clerk-{}@example.com", tokens.len() + 1);
        let token = self.guard.token(&user, "stock-clerks")?;
        tokens.push(token.clone());
        Ok(token)
    }

    /// Tokens of all callers so far.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Everything that was recorded proves itself.
    pub(crate) fn verify(&self) -> Result<Count> {
        guard::sallyport(&self.binary, &self.state, &["verify"])?.good("`sallyport verify`")?;
        let text = guard::sallyport(&self.binary, &self.state, &["sessions", "-o", "json"])?
            .good("`sallyport sessions`")?;
        let list: Value = serde_json::from_str(&text)?;
        let sessions = list
            .get("items")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let callers = self.tokens().len();
        if sessions < callers {
            anyhow::bail!("{callers} callers, but only {sessions} recorded sessions");
        }
        Ok(Count::one(format!("{sessions} sessions verified")))
    }

    pub(crate) fn log(&self) -> PathBuf {
        guard::log_of(&self.state)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.state
    }
}

/// What servers find in their environment, and tell to whoever calls `get-env`.
fn environment() -> Vec<(&'static str, String)> {
    let mut env: Vec<(&'static str, String)> = SECRETS
        .iter()
        .map(|secret| (secret.name, secret.value()))
        .collect();
    env.push(("SALLYPORT_PLAIN", "plain words stay".into()));
    env
}

/// Approves sums and denies pictures until told to stop.
fn answer_requests(guard: &Guard, done: &AtomicBool) -> Result<()> {
    while !done.load(Ordering::Relaxed) {
        for request in guard.requests()? {
            let Some((id, "Pending")) = guard::phase(&request) else {
                continue;
            };
            let verb = if guard::tool(&request) == Some("get-sum") {
                "approve"
            } else {
                "deny"
            };
            let by = Approver {
                user: "bob@example.com",
                group: "stock-leads",
                reason: "asked by the client matrix",
            };
            guard.decide(verb, id, by)?;
        }
        std::thread::sleep(GLANCE);
    }
    Ok(())
}
