//! What is attacked: the guard as a user runs it, in front of servers whose log shows what they were given.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::guard::{self, Approver, Guard, Plan, Upstream};
use crate::matrix::servers::{self, Installed, Running, Server};
use crate::workspace::{self, Profile};

use super::hostile::Hostile;
use super::issuer::{Caller, Issuer};
use super::tap::{self, Tap};
use super::wire;

/// The credential that the guard adds for the server, as the corpus names it.
pub(super) const CREDENTIAL: &str = "upstream-credential-8c1f2b7d9e0a4455";

/// What all parts of the suite share.
#[derive(Debug)]
pub(super) struct Bed {
    pub(super) issuer: Issuer,
    installed: Installed,
    sallyport: PathBuf,
    policy: PathBuf,
    folder: TempDir,
}

/// A guard with its server.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) guard: Guard,
    pub(super) address: SocketAddr,
    pub(super) tap: Tap,
    pub(super) state: PathBuf,
    /// The server, where it is ours.
    pub(super) hostile: Option<Hostile>,
    pub(super) policy: PathBuf,
    pub(super) issuer: Issuer,
    process: u32,
    _running: Option<Running>,
}

/// What a guard stands before.
#[derive(Debug)]
struct Behind {
    upstream: Upstream,
    tap: Tap,
    hostile: Option<Hostile>,
    running: Option<Running>,
}

/// A caller with what it needs to send.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) user: String,
    pub(super) token: String,
    /// Of a legacy revision.
    pub(super) session: Option<String>,
    pub(super) revision: String,
}

impl Bed {
    pub(super) fn set_up() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("sallyport-attacks-")
            .tempdir()?;
        let issuer = Issuer::start()?;
        let policy = folder.path().join("policy.yaml");
        std::fs::write(
            &policy,
            sallyport_attacks::POLICY.replace(sallyport_attacks::ISSUER, &issuer.url),
        )?;
        Ok(Self {
            installed: Installed::now()?,
            sallyport: workspace::build("sallyport-cli", "sallyport", Profile::Dev, folder.path())?,
            issuer,
            policy,
            folder,
        })
    }

    /// A real server behind a relay that logs, or behind a pipe that is copied.
    pub(super) fn real(&self, name: &'static str, server: Server) -> Result<Target> {
        let log = self.path(&format!("{name}-server.log"));
        let running = servers::start(server, &self.installed, &[], &log)?;
        let (upstream, tap) = match &running.upstream {
            Upstream::Url(url) => {
                let rest = url.strip_prefix("http://").unwrap_or(url);
                let (host, path) = rest.split_once('/').context("a path")?;
                let (address, log) = tap::relay(host.parse()?)?;
                (
                    Upstream::Url(format!("http://{address}/{path}")),
                    Tap::Relay(log),
                )
            }
            Upstream::Command(words) => {
                let copy = self.path(&format!("{name}-stdin.log"));
                let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
                let script = format!("tee -a '{}' | {}", copy.display(), quoted.join(" "));
                (
                    Upstream::Command(vec!["sh".into(), "-c".into(), script]),
                    Tap::Pipe(copy),
                )
            }
        };
        let behind = Behind {
            upstream,
            tap,
            hostile: None,
            running: Some(running),
        };
        self.target(name, behind, &self.policy)
    }

    /// A server of our own, which can be told to misbehave, with a policy file of its own that a script may change.
    pub(super) fn own(&self, name: &'static str) -> Result<Target> {
        let hostile = Hostile::start()?;
        let upstream = Upstream::Url(format!("http://{}/mcp", hostile.address));
        let tap = Tap::Relay(hostile.log.clone());
        let policy = self.path(&format!("{name}-policy.yaml"));
        std::fs::copy(&self.policy, &policy)?;
        let behind = Behind {
            upstream,
            tap,
            hostile: Some(hostile),
            running: None,
        };
        self.target(name, behind, &policy)
    }

    fn target(&self, name: &'static str, behind: Behind, policy: &Path) -> Result<Target> {
        let Behind {
            upstream,
            tap,
            hostile,
            running,
        } = behind;
        let state = self.path(name);
        let gateway = match upstream {
            Upstream::Url(_) => "attacked",
            Upstream::Command(_) => "attacked-stdio",
        };
        let mut guard = self.start(policy, gateway, &state, upstream)?;
        let process = guard.process();
        let url = guard.url.strip_prefix("http://").context("a URL")?;
        let address = url.split('/').next().unwrap_or_default().parse()?;
        Ok(Target {
            name,
            guard,
            address,
            tap,
            state,
            hostile,
            policy: policy.to_owned(),
            issuer: self.issuer.clone(),
            process,
            _running: running,
        })
    }

    fn start(
        &self,
        policy: &Path,
        gateway: &str,
        state: &Path,
        upstream: Upstream,
    ) -> Result<Guard> {
        let secrets: &[(&str, &str)] = match upstream {
            Upstream::Url(_) => &[("upstream/token", CREDENTIAL)],
            Upstream::Command(_) => &[],
        };
        Guard::start(&Plan {
            binary: &self.sallyport,
            policy,
            gateway,
            state,
            secrets,
            upstream,
            env: &[],
            flags: &["--log", "json", "--allow-http-idp"],
        })
    }

    /// The same guard once more on the same state, as after a crash.
    pub(super) fn again(&self, target: &mut Target) -> Result<()> {
        target.guard.stop()?;
        let hostile = target.hostile.as_ref().context("a server of our own")?;
        let upstream = Upstream::Url(format!("http://{}/mcp", hostile.address));
        target.guard = self.start(&target.policy, "attacked", &target.state, upstream)?;
        let url = target.guard.url.strip_prefix("http://").context("a URL")?;
        target.address = url.split('/').next().unwrap_or_default().parse()?;
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Target {
    /// A caller with a session of that revision, where it has sessions.
    pub(super) fn client(&self, user: &str, revision: &str) -> Result<Client> {
        let token = self.issuer.token(Caller::clerk(user));
        self.client_with(user, revision, token)
    }

    pub(super) fn client_with(&self, user: &str, revision: &str, token: String) -> Result<Client> {
        let mut client = Client {
            user: user.to_owned(),
            token,
            session: None,
            revision: revision.to_owned(),
        };
        if revision == "2026-07-28" {
            return Ok(client);
        }
        let open = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{revision}","capabilities":{{}},"clientInfo":{{"name":"attacker","version":"1"}}}}}}"#
        );
        let heard = wire::ask(self.address, &client.post(self.address, open.as_bytes()))?;
        client.session = heard.header("mcp-session-id").map(str::to_owned);
        if client.session.is_none() {
            anyhow::bail!("no session: {}", heard.text());
        }
        let told = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        wire::ask(self.address, &client.post(self.address, told))?;
        Ok(client)
    }

    /// Lines of the guard's log from an offset on, as JSON.
    pub(super) fn log_since(&self, from: usize) -> Vec<Value> {
        let bytes = std::fs::read(guard::log_of(&self.state)).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    pub(super) fn log_length(&self) -> usize {
        let length = std::fs::metadata(guard::log_of(&self.state)).map_or(0, |file| file.len());
        usize::try_from(length).unwrap_or(usize::MAX)
    }

    /// Approves or denies the pending request of this user.
    pub(super) fn decide(
        &self,
        verb: &str,
        request: &str,
        user: &str,
        group: &str,
    ) -> Result<String> {
        let by = Approver {
            user,
            group,
            reason: "asked by the attack suite",
        };
        self.guard.decide(verb, request, by)
    }

    /// The guard's process.
    pub(super) fn process(&self) -> u32 {
        self.process
    }
}

impl Client {
    /// The headers that a good client sends, without the request line.
    pub(super) fn headers(&self, address: SocketAddr) -> Vec<(String, String)> {
        let mut headers = vec![
            ("Host".to_owned(), address.to_string()),
            ("Authorization".to_owned(), format!("Bearer {}", self.token)),
            ("Content-Type".to_owned(), "application/json".to_owned()),
            (
                "Accept".to_owned(),
                "application/json, text/event-stream".to_owned(),
            ),
        ];
        if self.revision != "2025-03-26" {
            headers.push(("MCP-Protocol-Version".to_owned(), self.revision.clone()));
        }
        if let Some(session) = &self.session {
            headers.push(("Mcp-Session-Id".to_owned(), session.clone()));
        }
        headers
    }

    /// A whole ordinary request.
    pub(super) fn post(&self, address: SocketAddr, body: &[u8]) -> Vec<u8> {
        let mut text = "POST /mcp HTTP/1.1\r\n".to_owned();
        for (name, value) in self.headers(address) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    /// A tool's call.
    pub(super) fn call(
        &self,
        address: SocketAddr,
        id: u64,
        tool: &str,
        arguments: &str,
    ) -> Vec<u8> {
        self.post(address, call(id, tool, arguments).as_bytes())
    }
}

pub(super) fn call(id: u64, tool: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    )
}
