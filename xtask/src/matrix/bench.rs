//! The bench that rows are run on: what is installed and built, a folder of its own, servers with and without a guard.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{self, Place};
use crate::guard::{self, Guard, Upstream};
use crate::process;
use crate::setup::Inspector;
use crate::tally::Count;
use crate::workspace::{self, Profile};

use super::approver::Approvals;
use super::heard::Message;
use super::rows::{Client, Row, Wire};
use super::scenario::{self, Step};
use super::servers::{self, Installed, Overheard, Server};

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

/// What a browser would send besides, and no server may see.
pub(crate) const COOKIE: &str = "session=cookie-of-the-caller";

/// Words that are no secret, and stay.
pub(crate) const PLAIN: &str = "plain words stay";

/// What is built here: package and binary.
const CLI: (&str, &str) = ("sallyport-cli", "sallyport");
const DRIVER: (&str, &str) = ("sallyport-client-rmcp", "sallyport-client-rmcp");
const FIXTURE: (&str, &str) = ("sallyport-fixture", "sallyport-fixture");

const GIT_LIMIT: Duration = Duration::from_secs(60);

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

/// A text with every secret in it.
pub(crate) fn spilled() -> String {
    let [key, token] = SECRETS.map(|secret| secret.value());
    format!("{key} {token} {PLAIN}")
}

/// What all rows share.
#[derive(Debug)]
pub(crate) struct Bench {
    installed: Installed,
    inspector: Inspector,
    sallyport: PathBuf,
    rmcp: PathBuf,
    repository: PathBuf,
    known: Mutex<BTreeMap<String, Known>>,
    folder: TempDir,
}

/// A straight run that somebody makes, and everybody may use.
type Known = Arc<OnceLock<std::result::Result<Arc<Told>, String>>>;

/// What came of a scenario: what the client saw, and what the server was told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) seen: Value,
    pub(crate) heard: Vec<Message>,
}

/// A server with the guard before it.
#[derive(Debug)]
pub(crate) struct Guarded {
    /// Ended before the guard, which it asks.
    approvals: Option<Approvals>,
    guard: Guard,
    /// Every token that was issued, so that they can be looked for in what was written or passed on.
    tokens: Mutex<Vec<String>>,
    state: PathBuf,
    binary: PathBuf,
    pub(crate) server: Overheard,
}

impl Bench {
    pub(crate) fn set_up() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("sallyport-clients-")
            .tempdir()?;
        let wanted = [CLI, DRIVER, FIXTURE];
        workspace::build_all(&wanted, Profile::Dev)?;
        let built =
            |(_, binary): (&str, &str)| workspace::copy(binary, Profile::Dev, folder.path());
        Ok(Self {
            installed: Installed {
                fixture: Some(built(FIXTURE)?),
                ..Installed::now()?
            },
            inspector: Inspector::installed()?,
            sallyport: built(CLI)?,
            rmcp: built(DRIVER)?,
            repository: repository(&folder.path().join("repository"))?,
            known: Mutex::default(),
            folder,
        })
    }

    pub(crate) fn installed(&self) -> &Installed {
        &self.installed
    }

    pub(crate) fn sallyport(&self) -> &Path {
        &self.sallyport
    }

    /// A folder that is gone with the bench.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn steps(&self, row: &Row) -> Vec<Step> {
        scenario::steps(row, &self.repository)
    }

    /// A server that nobody guards. `name` is that of the group, of which each has a folder.
    pub(crate) fn straight(&self, server: Server, name: &str) -> Result<Overheard> {
        let folder = self.folder.path().join(format!("{name}-straight"));
        servers::overhear(server.straight(), &self.installed, &environment(), &folder)
    }

    pub(crate) fn guard(&self, server: Server, name: &str) -> Result<Guarded> {
        let state = self.folder.path().join(name);
        let env = environment();
        let folder = self.folder.path().join(format!("{name}-server"));
        let running = servers::overhear(server, &self.installed, &env, &folder)?;
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
            approvals: Some(Approvals::given(&self.sallyport, &state)?),
            guard,
            state,
            tokens: Mutex::default(),
            binary: self.sallyport.clone(),
            server: running,
        })
    }

    /// The scenario straight at the server: once for each client and server, on whatever transport it is guarded.
    pub(crate) fn direct(&self, row: &Row, server: &Overheard) -> Result<Arc<Told>> {
        let Row { seat, server: kind } = row;
        let key = format!(
            "{:?} {} {:?} {:?}",
            seat.client,
            seat.mode,
            seat.version,
            kind.straight()
        );
        let known = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(key).or_default())
        };
        let told = known.get_or_init(|| {
            let wire = match &server.upstream {
                Upstream::Url(url) => json!({ "transport": "http", "url": url }),
                Upstream::Command(words) => {
                    json!({ "transport": "stdio", "command": words, "env": named(&environment()) })
                }
            };
            self.drive(row, wire, server)
                .map(Arc::new)
                .map_err(|error| format!("{error:#}"))
        });
        told.clone()
            .map_err(|error| anyhow!("straight at the server: {error}"))
    }

    /// The scenario through the guard.
    pub(crate) fn through(&self, row: &Row, guarded: &Guarded) -> Result<Told> {
        let guard = &guarded.guard;
        let token = guarded.caller()?;
        let wire = match row.seat.wire {
            Wire::Http => {
                json!({ "transport": "http", "url": guard.url, "token": token, "cookie": COOKIE })
            }
            Wire::Sse => {
                json!({ "transport": "sse", "url": guard.sse_url(), "token": token, "cookie": COOKIE })
            }
            Wire::Connect => json!({
                "transport": "stdio",
                "command": [self.sallyport, "connect", guard.url, "--token-env", "SALLYPORT_TOKEN"],
                "env": { "SALLYPORT_TOKEN": token },
            }),
        };
        self.drive(row, wire, &guarded.server)
            .context("through the guard")
    }

    fn drive(&self, row: &Row, wire: Value, server: &Overheard) -> Result<Told> {
        let steps: Vec<Value> = self.steps(row).iter().map(Step::to_json).collect();
        let place = Place {
            wire,
            mode: row.seat.mode,
            version: row.seat.version,
        };
        let mark = server.ear.mark()?;
        let seen = client::take(&mut self.driver(row.seat.client), &place, &steps)?;
        Ok(Told {
            seen,
            heard: server.ear.since(mark)?,
        })
    }

    fn driver(&self, client: Client) -> Command {
        let scripts = &self.installed.scripts;
        let (program, script) = match client {
            Client::Ts1 => (self.installed.node.program(), Some(scripts.join("ts1.mjs"))),
            Client::Ts2 => (self.installed.node.program(), Some(scripts.join("ts2.mjs"))),
            Client::Inspector => (
                self.installed.node.program(),
                Some(scripts.join("inspector.mjs")),
            ),
            Client::Py1 => (
                self.installed.first.program(),
                Some(workspace::clients().join("py1.py")),
            ),
            Client::Py2 => (
                self.installed.second.program(),
                Some(workspace::clients().join("py2.py")),
            ),
            Client::Rmcp => (self.rmcp.clone(), None),
        };
        let mut command = Command::new(program);
        command.args(script);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        if client == Client::Inspector {
            command.arg(self.inspector.script());
            // It keeps a catalogue and logins in its user's home folder.
            command.env("HOME", self.folder.path().join("inspector"));
        }
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

    /// Ends the guard and waits: what it writes at its end is then written.
    pub(crate) fn stop(&mut self) -> Result<()> {
        if let Some(approvals) = self.approvals.take() {
            approvals.close()?;
        }
        self.guard.stop()
    }

    /// Everything that was recorded proves itself.
    pub(crate) fn verify(&self) -> Result<Count> {
        guard::sallyport(&self.binary, &self.state, &["verify"])?.good("`sallyport verify`")?;
        let arguments = ["sessions", "--limit", "1000", "-o", "json"];
        let text = guard::sallyport(&self.binary, &self.state, &arguments)?
            .good("`sallyport sessions`")?;
        let list: Value = serde_json::from_str(&text)?;
        let sessions = list
            .get("items")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let callers = self.tokens().len();
        if sessions < callers {
            bail!("{callers} callers, but only {sessions} recorded sessions");
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
    env.push(("SALLYPORT_PLAIN", PLAIN.into()));
    env
}

fn named(env: &[(&'static str, String)]) -> Value {
    env.iter()
        .map(|(name, value)| (*name, json!(value)))
        .collect()
}

/// A repository of one commit, with secrets in it.
fn repository(folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir(folder)?;
    std::fs::write(folder.join("notes.txt"), format!("{}\n", spilled()))?;
    let who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
    for words in [
        &["init", "--quiet"][..],
        &["add", "."],
        &["commit", "--quiet", "-m", "Notes"],
    ] {
        let mut git = Command::new(crate::setup::git()?);
        git.current_dir(folder).args(who).args(words);
        process::run(&mut git, "", GIT_LIMIT)?.good("git")?;
    }
    Ok(folder.to_path_buf())
}
