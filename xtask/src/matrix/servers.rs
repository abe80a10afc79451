//! The servers of the matrix, none of them ours but `dual`, which is the SDK's own machinery with our tool names.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::guard::Upstream;
use crate::process::{self, Service};
use crate::setup::{Node, Python};
use crate::workspace;

const START_LIMIT: Duration = Duration::from_secs(30);

/// A server and the transport on which it is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Server {
    EverythingHttp,
    EverythingSse,
    EverythingStdio,
    /// Both eras.
    Dual,
    /// A stdio server on the Python SDK's version 1.
    Time,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EverythingHttp => "server-everything (Streamable HTTP)",
            Self::EverythingSse => "server-everything (HTTP+SSE)",
            Self::EverythingStdio => "server-everything (stdio)",
            Self::Dual => "dual-era server (Streamable HTTP)",
            Self::Time => "mcp-server-time (stdio)",
        })
    }
}

impl Server {
    pub(crate) const ALL: [Self; 5] = [
        Self::EverythingHttp,
        Self::EverythingSse,
        Self::EverythingStdio,
        Self::Dual,
        Self::Time,
    ];

    /// The gateway of `policy.yaml` that guards it.
    pub(crate) fn gateway(self) -> &'static str {
        match self {
            Self::EverythingHttp | Self::Dual => "http",
            Self::EverythingSse => "sse",
            Self::EverythingStdio | Self::Time => "stdio",
        }
    }
}

/// What is installed.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    pub(crate) node: Node,
    pub(crate) first: Python,
    pub(crate) second: Python,
}

impl Installed {
    pub(crate) fn now() -> Result<Self> {
        Ok(Self {
            node: Node::installed()?,
            first: Python::first()?,
            second: Python::second()?,
        })
    }

    /// The command of a stdio server.
    pub(crate) fn stdio(&self, server: Server) -> Vec<String> {
        let words = match server {
            Server::Time => vec![
                self.first.script("mcp-server-time"),
                "--local-timezone=UTC".into(),
            ],
            Server::EverythingHttp
            | Server::EverythingSse
            | Server::EverythingStdio
            | Server::Dual => {
                vec![self.node.program(), self.node.everything(), "stdio".into()]
            }
        };
        words
            .iter()
            .map(|word| word.display().to_string())
            .collect()
    }
}

/// A server that runs, if it is one that listens.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) upstream: Upstream,
    /// Ended when this is dropped.
    _service: Option<Service>,
}

/// Starts a server with nothing in its environment but `env`, so that what it tells of it is known.
pub(crate) fn start(
    server: Server,
    installed: &Installed,
    env: &[(&'static str, String)],
    log: &Path,
) -> Result<Running> {
    let port = process::free_port()?;
    let (mut command, path) = match server {
        Server::EverythingHttp => (everything(installed, "streamableHttp"), "/mcp"),
        Server::EverythingSse => (everything(installed, "sse"), "/sse"),
        Server::Dual => {
            let mut command = Command::new(installed.second.program());
            command
                .arg(workspace::clients().join("servers/dual.py"))
                .arg(port.to_string());
            (command, "/mcp")
        }
        Server::EverythingStdio | Server::Time => {
            return Ok(Running {
                upstream: Upstream::Command(installed.stdio(server)),
                _service: None,
            });
        }
    };
    command
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)));
    command.env("PORT", port.to_string());
    let mut service = Service::start(&mut command, log)?;
    process::listening(&mut service, port, START_LIMIT).with_context(|| server.to_string())?;
    Ok(Running {
        upstream: Upstream::Url(format!("http://127.0.0.1:{port}{path}")),
        _service: Some(service),
    })
}

fn everything(installed: &Installed, transport: &str) -> Command {
    let mut command = Command::new(installed.node.program());
    command.arg(installed.node.everything()).arg(transport);
    command
}
