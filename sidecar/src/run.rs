//! Wiring: from parts that are ready to a running guard, and from there to its orderly end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Uri;
use sallyport_policy::approval::BindingKey;
use sallyport_policy::bundle::Bundle;
use sallyport_policy::decide::Budgets;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Readiness};
use crate::answer::catalog::Catalog;
use crate::answer::tasks::Tasks;
use crate::clock::Clock;
use crate::credential::{Credential, HeaderCredential};
use crate::gateway::{DRAIN, Gateway, InForce, anchor};
use crate::hold::Desk;
use crate::inbound::{self, head::Paths, pipe::Pipes, session::Sessions};
use crate::journal::Journal;
use crate::listen::{Listening, serve};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::pod::door::Door;
use crate::pod::probes::{self, Probes};
use crate::ready::{Kit, NotReady};
use crate::record::Recorder;
use crate::tls::{ListenerTls, Trust};
use crate::upstream::http::HttpServer;
use crate::upstream::link::{Dial, LinkedServer};
use crate::upstream::sse::SseServer;
use crate::upstream::stdio::{Cleaner, StdioCommand};
use crate::upstream::{Bounds, Upstream};

/// Most connections at once.
const CONNECTIONS: usize = 4096;
/// How often unused sessions and servers are looked for, at most; and at least, where they may not be idle for long.
const TIDY_EVERY: Duration = Duration::from_secs(15);
const TIDY_SOON: Duration = Duration::from_secs(1);

/// Where the server is.
#[derive(Clone, Debug)]
pub enum Target {
    Http(Uri),
    Sse(Uri),
    /// `hidden`: variables of ours that the command must not inherit.
    Stdio {
        program: String,
        arguments: Vec<String>,
        hidden: Vec<String>,
    },
}

/// Everything that one guard is made of.
#[derive(Debug)]
pub struct Parts {
    pub listener: TcpListener,
    pub admin: Option<TcpListener>,
    /// In a pod: the door before the listener, and the port of probes.
    pub door: Option<Arc<Door>>,
    pub probes: Option<(TcpListener, Probes)>,
    pub tls: Option<Arc<ListenerTls>>,
    /// Path of the MCP endpoint, as clients see it.
    pub path: String,
    pub target: Target,
    pub credentials: Vec<Credential>,
    pub trust: Trust,
    /// The first policy, made ready by `kit`.
    pub in_force: InForce,
    pub kit: Kit,
    /// Whoever waits for something blocks it before the start, so that no probe sees a moment of false readiness.
    pub readiness: Readiness,
    pub recorder: Recorder,
    pub desk: Option<Desk>,
    pub binding: BindingKey,
    /// The file of trusted tool definitions.
    pub pins: PathBuf,
    pub clock: Arc<dyn Clock>,
}

/// Why a guard cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "the file of pins `{path}` cannot be read: {error}; mend it, or remove it to trust the server's tools anew"
    )]
    Pins {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("the listener has no address: {0}")]
    Listener(std::io::Error),
}

/// A guard at work.
#[derive(Debug)]
pub struct Running {
    pub gateway: Arc<Gateway>,
    pub address: SocketAddr,
    pub readiness: Readiness,
    kit: Kit,
    bounds: Bounds,
    serving: Vec<tokio::task::JoinHandle<()>>,
}

/// Puts the parts together and begins to serve.
pub fn start(parts: Parts) -> Result<Running, StartError> {
    let address = parts.listener.local_addr().map_err(StartError::Listener)?;
    let kit = parts.kit;
    let ready = parts.in_force;
    let metrics = Metrics::new();
    let memory = Memory::new(metrics.body_bytes.clone());
    let bounds = Bounds::of(&ready.bundle.settings().limits);
    let upstream = upstream(
        &parts.target,
        &bounds,
        &parts.credentials,
        &parts.trust,
        &memory,
    );
    let catalog = Catalog::open(parts.pins.clone()).map_err(|error| StartError::Pins {
        path: parts.pins.clone(),
        error,
    })?;
    catalog.declare(declared_pins(&ready));
    let gateway = Arc::new(Gateway {
        changes: watch::Sender::new(0),
        upstream,
        sessions: Sessions::default(),
        pipes: Pipes::default(),
        journal: Journal::default(),
        recorder: parts.recorder,
        desk: parts.desk,
        binding: parts.binding,
        catalog,
        tasks: Tasks::default(),
        budgets: Mutex::new(Budgets::new()),
        memory,
        clock: parts.clock,
        metrics,
        paths: Paths::beside(&parts.path),
        stop: CancellationToken::new(),
        in_force: ArcSwap::from_pointee(ready),
    });
    gateway.recorder.anchor_to(anchor(&gateway.policy().bundle));
    let readiness = parts.readiness;
    let mut serving = vec![tokio::spawn(tidy(Arc::clone(&gateway)))];
    serving.push(serve_mcp(
        Arc::clone(&gateway),
        parts.listener,
        parts.tls,
        parts.door,
    ));
    if let Some((listener, probes)) = parts.probes {
        serving.push(serve_probes(&gateway, listener, probes, readiness.clone()));
    }
    if let Some(listener) = parts.admin {
        serving.push(serve_admin(&gateway, listener, readiness.clone()));
    }
    Ok(Running {
        gateway,
        address,
        readiness,
        kit,
        bounds,
        serving,
    })
}

impl Running {
    /// Puts another policy in force, or keeps the old one and says why.
    pub fn replace(&self, bundle: Bundle) -> Result<(), NotReady> {
        let next = self.ready(bundle)?;
        self.adopt(next);
        Ok(())
    }

    /// Makes another policy ready, without putting it in force yet.
    pub fn ready(&self, bundle: Bundle) -> Result<InForce, NotReady> {
        let before = self.gateway.policy();
        self.kit.ready(bundle, Some(&before)).inspect_err(|_| {
            self.gateway.metrics.policy_rejections.inc();
        })
    }

    /// Puts what was made ready in force. The same content signed anew only moves the expiry: that is no change of
    /// policy, so nothing is recorded and no stream is disturbed.
    pub fn adopt(&self, next: InForce) {
        let before = self.gateway.policy();
        if before.bundle.revision() == next.bundle.revision() {
            if before.bundle.expires() != next.bundle.expires() {
                self.gateway.in_force.store(Arc::new(next));
            }
            return;
        }
        self.gateway.catalog.declare(declared_pins(&next));
        self.bounds.follow(&next.bundle.settings().limits);
        self.gateway.put_in_force(next);
    }

    /// Stops taking work, lets what runs finish, and ends the servers that were started.
    pub async fn stop(self) {
        self.gateway.stop.cancel();
        for task in self.serving {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the guard ended badly");
            }
        }
        for session in self.gateway.sessions.all() {
            session.end();
        }
        if let Upstream::Linked(server) = &self.gateway.upstream {
            server.shut_down(Duration::from_secs(6)).await;
        }
    }
}

fn serve_mcp(
    gateway: Arc<Gateway>,
    listener: TcpListener,
    tls: Option<Arc<ListenerTls>>,
    door: Option<Arc<Door>>,
) -> tokio::task::JoinHandle<()> {
    let acceptor = tls
        .as_ref()
        .map(|tls| TlsAcceptor::from(tls.server_config()));
    if let Some(tls) = tls {
        let stop = gateway.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tls.watch() => {}
            }
        });
    }
    let listening = Listening {
        tls: acceptor,
        door,
        connections: CONNECTIONS,
        stop: gateway.stop.clone(),
        drain: DRAIN,
    };
    tokio::spawn(serve(listener, listening, move |peer, request| {
        inbound::handle(Arc::clone(&gateway), peer, request)
    }))
}

fn serve_admin(
    gateway: &Gateway,
    listener: TcpListener,
    readiness: Readiness,
) -> tokio::task::JoinHandle<()> {
    let listening = Listening {
        tls: None,
        door: None,
        connections: 64,
        stop: gateway.stop.clone(),
        drain: Duration::from_secs(2),
    };
    let metrics = gateway.metrics.clone();
    tokio::spawn(serve(listener, listening, move |peer, request| {
        let reply = admin::answer(&metrics, &readiness, peer, &request);
        async move { reply }
    }))
}

fn serve_probes(
    gateway: &Gateway,
    listener: TcpListener,
    probes: Probes,
    readiness: Readiness,
) -> tokio::task::JoinHandle<()> {
    let listening = Listening {
        tls: None,
        door: None,
        connections: 64,
        stop: gateway.stop.clone(),
        drain: Duration::from_secs(2),
    };
    tokio::spawn(serve(listener, listening, move |_, request| {
        probes::serve(probes.clone(), readiness.clone(), request)
    }))
}

async fn tidy(gateway: Arc<Gateway>) {
    loop {
        let idle = gateway.policy().bundle.settings().limits.session_idle;
        tokio::select! {
            () = gateway.stop.cancelled() => return,
            () = tokio::time::sleep((idle / 4).clamp(TIDY_SOON, TIDY_EVERY)) => gateway.tidy().await,
        }
    }
}

fn declared_pins(ready: &InForce) -> Vec<(String, sallyport_policy::name::Digest)> {
    ready
        .bundle
        .settings()
        .tool_pins
        .pins
        .iter()
        .map(|pin| (pin.tool.clone(), pin.digest))
        .collect()
}

fn upstream(
    target: &Target,
    bounds: &Bounds,
    credentials: &[Credential],
    trust: &Trust,
    memory: &Memory,
) -> Upstream {
    let Bounds { response, children } = bounds.clone();
    let headers: Arc<[HeaderCredential]> = credentials
        .iter()
        .filter_map(|credential| match credential {
            Credential::Header(header) => Some(header.clone()),
            Credential::Env { .. } => None,
        })
        .collect();
    let server = |uri: &Uri| {
        let (headers, response) = (Arc::clone(&headers), response.clone());
        HttpServer::new(uri.clone(), trust, headers, response, memory.clone())
    };
    match target {
        Target::Http(uri) => Upstream::Http(Box::new(server(uri))),
        Target::Sse(uri) => {
            let server = SseServer {
                client: server(uri).client().clone(),
                uri: uri.clone(),
                credentials: headers,
                event_limit: response.clone(),
                memory: memory.clone(),
            };
            Upstream::Linked(LinkedServer::new(Dial::Sse(Box::new(server)), children))
        }
        Target::Stdio {
            program,
            arguments,
            hidden,
        } => {
            let secrets = credentials
                .iter()
                .filter_map(|credential| match credential {
                    Credential::Env { name, secret } => Some((name.clone(), secret.clone())),
                    Credential::Header(_) => None,
                });
            let command = StdioCommand {
                program: program.clone(),
                arguments: arguments.clone(),
                secrets: secrets.collect(),
                hidden: hidden.clone(),
                line_limit: response.clone(),
                cleaner: cleaner(credentials),
            };
            Upstream::Linked(LinkedServer::new(Dial::Stdio(Box::new(command)), children))
        }
    }
}

/// Keeps injected credentials out of the server's log lines, which become ours.
fn cleaner(credentials: &[Credential]) -> Cleaner {
    let secrets: Vec<_> = credentials
        .iter()
        .map(|credential| credential.secret().clone())
        .collect();
    Arc::new(move |line| {
        let mut line = line.to_owned();
        for secret in secrets.iter().filter(|secret| !secret.reveal().is_empty()) {
            line = line.replace(secret.reveal(), "[credential]");
        }
        line
    })
}
