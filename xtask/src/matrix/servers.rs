//! The servers of the matrix. Those of ours are the official SDKs' own machinery, with tools of one set of names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::guard::Upstream;
use crate::process::{self, Service};
use crate::setup::{Node, Python};

use super::ear::Ear;

const START_LIMIT: Duration = Duration::from_secs(60);

/// A server and the transport on which it is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Server {
    EverythingHttp,
    EverythingSse,
    EverythingStdio,
    /// The fixture of the conformance suite, on rmcp.
    Rmcp,
    /// `createMcpHandler` of the TypeScript SDK 2.
    Handler,
    /// `MCPServer` of the Python SDK 2.
    Python,
    Git,
    Time,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EverythingHttp => "server-everything (Streamable HTTP)",
            Self::EverythingSse => "server-everything (HTTP+SSE)",
            Self::EverythingStdio => "server-everything (stdio)",
            Self::Rmcp => "rmcp (Streamable HTTP)",
            Self::Handler => "TypeScript createMcpHandler (Streamable HTTP)",
            Self::Python => "Python MCPServer (Streamable HTTP)",
            Self::Git => "mcp-server-git (stdio)",
            Self::Time => "mcp-server-time (stdio)",
        })
    }
}

impl Server {
    pub(crate) const ALL: [Self; 8] = [
        Self::EverythingHttp,
        Self::EverythingSse,
        Self::EverythingStdio,
        Self::Rmcp,
        Self::Handler,
        Self::Python,
        Self::Git,
        Self::Time,
    ];

    /// The gateway of `policy.yaml` that guards it.
    pub(crate) fn gateway(self) -> &'static str {
        match self {
            Self::EverythingHttp | Self::Rmcp | Self::Handler | Self::Python => "http",
            Self::EverythingSse => "sse",
            Self::EverythingStdio | Self::Git | Self::Time => "stdio",
        }
    }

    /// Whether it speaks 2026-07-28.
    pub(crate) fn is_modern(self) -> bool {
        match self {
            Self::Rmcp | Self::Handler | Self::Python | Self::Git => true,
            Self::EverythingHttp | Self::EverythingSse | Self::EverythingStdio | Self::Time => {
                false
            }
        }
    }

    /// The one that is asked straight: a server on another transport is the same server.
    pub(crate) fn straight(self) -> Self {
        match self {
            Self::EverythingSse | Self::EverythingStdio => Self::EverythingHttp,
            other @ (Self::EverythingHttp
            | Self::Rmcp
            | Self::Handler
            | Self::Python
            | Self::Git
            | Self::Time) => other,
        }
    }
}

/// What is installed.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    pub(crate) node: Node,
    pub(crate) first: Python,
    pub(crate) second: Python,
    /// The server on rmcp, where it was built.
    pub(crate) fixture: Option<PathBuf>,
    /// The servers of ours that Node runs lie beside the packages that they import.
    pub(crate) scripts: PathBuf,
}

impl Installed {
    pub(crate) fn now() -> Result<Self> {
        let node = Node::installed()?;
        Ok(Self {
            scripts: node.drivers()?,
            fixture: None,
            node,
            first: Python::first()?,
            second: Python::second()?,
        })
    }

    fn command(&self, server: Server) -> Result<Command> {
        let (program, arguments) = match server {
            Server::EverythingHttp => self.everything("streamableHttp"),
            Server::EverythingSse => self.everything("sse"),
            Server::EverythingStdio => self.everything("stdio"),
            Server::Rmcp => {
                let fixture = self.fixture.clone();
                (
                    fixture.context("the server on rmcp was not built")?,
                    Vec::new(),
                )
            }
            Server::Handler => (self.node.program(), vec![self.scripts.join("handler.mjs")]),
            Server::Python => (
                self.second.program(),
                vec![crate::workspace::clients().join("servers/python.py")],
            ),
            Server::Git => (self.second.script("mcp-server-git"), Vec::new()),
            Server::Time => (
                self.first.script("mcp-server-time"),
                vec!["--local-timezone=UTC".into()],
            ),
        };
        let mut command = Command::new(program);
        command.args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(command)
    }

    fn everything(&self, transport: &str) -> (PathBuf, Vec<PathBuf>) {
        (
            self.node.program(),
            vec![self.node.everything(), transport.into()],
        )
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
    let mut command = installed.command(server)?;
    let path = match server {
        Server::EverythingHttp | Server::Rmcp | Server::Handler | Server::Python => "/mcp",
        Server::EverythingSse => "/sse",
        Server::EverythingStdio | Server::Git | Server::Time => {
            let mut words = vec![command.get_program().display().to_string()];
            words.extend(command.get_args().map(|word| word.display().to_string()));
            return Ok(Running {
                upstream: Upstream::Command(words),
                _service: None,
            });
        }
    };
    let port = process::free_port()?;
    command
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)));
    command.env("PORT", port.to_string());
    if server == Server::Rmcp {
        command.arg(format!("--port={port}"));
    }
    let mut service = Service::start(&mut command, log)?;
    process::listening(&mut service, port, START_LIMIT).with_context(|| server.to_string())?;
    Ok(Running {
        upstream: Upstream::Url(format!("http://127.0.0.1:{port}{path}")),
        _service: Some(service),
    })
}

/// A server that runs, and who hears what it is told.
#[derive(Debug)]
pub(crate) struct Overheard {
    /// Where to speak to it.
    pub(crate) upstream: Upstream,
    pub(crate) ear: Ear,
    _running: Running,
}

/// Starts a server with an ear before it; what is heard at pipes lies in `folder`.
pub(crate) fn overhear(
    server: Server,
    installed: &Installed,
    env: &[(&'static str, String)],
    folder: &Path,
) -> Result<Overheard> {
    std::fs::create_dir_all(folder)?;
    let running = start(server, installed, env, &folder.with_extension("log"))?;
    let (upstream, ear) = match &running.upstream {
        Upstream::Url(url) => Ear::at_url(url)?,
        Upstream::Command(words) => Ear::at_pipes(words, folder),
    };
    Ok(Overheard {
        upstream,
        ear,
        _running: running,
    })
}
