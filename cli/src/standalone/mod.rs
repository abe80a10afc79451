//! `sallyport up`: the sidecar's own code in front of any MCP server, with the same YAML, and approvals and
//! recordings in a folder.

mod credentials;
mod idle;
mod log;
mod policies;
mod retention;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use sallyport_policy::approval::BindingKey;
use sallyport_policy::bundle::Bundle;
use sallyport_policy::mask::MaskKey;
use sallyport_policy::name::{GatewayName, Issuer};
use sallyport_policy::source::gateway::{Server, Transport};
use sallyport_policy::source::settings::RecordingMode;
use sallyport_sidecar::admin::Readiness;
use sallyport_sidecar::clock::{Clock, SystemClock};
use sallyport_sidecar::credential::Credential;
use sallyport_sidecar::gateway::anchor;
use sallyport_sidecar::guard::Windows;
use sallyport_sidecar::hold::Desk;
use sallyport_sidecar::hold::local::{Listening, LocalDesk, LocalOptions, SocketOptions};
use sallyport_sidecar::hold::notify::{self, Hook};
use sallyport_sidecar::hold::secret::binding_key;
use sallyport_sidecar::identity::fetch::{FetchLimits, Fetcher, PlainHttp};
use sallyport_sidecar::identity::local::{LOCAL_ISSUER, LocalIssuer};
use sallyport_sidecar::listen;
use sallyport_sidecar::ready::Kit;
use sallyport_sidecar::record::{Options, Recorder, Spool};
use sallyport_sidecar::run::{Parts, Running, Target, start};
use sallyport_sidecar::tls::{ListenerTls, TlsFiles, Trust};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::output::{Failure, put, say};
use crate::state::StateArgs;
use policies::{InForce, Policies};

/// Put the guard in front of an MCP server.
///
/// With `-f`, your gateways and policies decide. Without, tools that the server hints as read-only are callable and
/// everything else waits for approval; that trusts the server's hints.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  sallyport up -- npx -y @modelcontextprotocol/server-everything\n  \
sallyport up -f policies/ --upstream http://127.0.0.1:8080/mcp --listen 127.0.0.1:9000\n\n\
When it is ready it prints one line to stdout:\n  sallyport ready url=http://127.0.0.1:PORT/mcp gateway=NS/NAME revision=sha256:..."
)]
pub(crate) struct UpArgs {
    /// Gateways, policies, guardrails and Secrets: files or folders; may be repeated
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Which gateway of the files (NAME or NAMESPACE/NAME), where there are several
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// Where clients connect; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8931")]
    listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are served; nowhere by default
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    #[command(flatten)]
    state: StateArgs,
    /// A secret value: NAME/KEY=env:VAR or NAME/KEY=file:PATH; may be repeated. Values never stand in arguments
    #[arg(long = "secret", value_name = "NAME/KEY=SOURCE")]
    secrets: Vec<String>,
    /// Certificate chain of the listener (PEM); reloaded when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the listener (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Further CA certificates (PEM) for the server and identity providers
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Lets identity providers on this machine be reached without TLS, for development
    #[arg(long)]
    allow_http_idp: bool,
    /// Group id of the accounts that approve; only with it approvals are two-person
    #[arg(long, value_name = "GID")]
    approver_group: Option<u32>,
    /// A command or URL that hears of each new access request (never of arguments)
    #[arg(long, value_name = "COMMAND|URL")]
    notify: Option<String>,
    /// How the log is written to stderr
    #[arg(long, value_enum, default_value_t)]
    log: LogFormat,
    /// The server's URL, where it speaks HTTP
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    upstream: Option<http::Uri>,
    /// The server's command, where it speaks stdio
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The log's format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A calm line a call.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is running besides the guard itself.
struct Guard {
    running: Running,
    spool: Option<Spool>,
    desk: LocalDesk,
    _approvals: Listening,
}

pub(crate) async fn up(args: UpArgs) -> Result<ExitCode, Failure> {
    log::start(args.log);
    let state = args.state.made()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let named = args.upstream.is_some() || !args.command.is_empty();
    let policies = Policies::new(&args.files, args.gateway.as_deref(), named);
    let in_force = policies.load().map_err(Failure::input)?;
    for warning in &in_force.warnings {
        tracing::warn!("{warning}");
    }
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Failure::outside(format!("cannot listen on {}: {error}", args.listen)))?;
    let address = listener.local_addr()?;
    let gateway = in_force.bundle.gateway().clone();
    let revision = in_force.bundle.revision();
    let path = in_force
        .bundle
        .settings()
        .server
        .path
        .clone()
        .unwrap_or_else(|| "/mcp".to_owned());
    let scheme = if args.tls_cert.is_some() {
        "https"
    } else {
        "http"
    };
    let url = format!("{scheme}://{address}{path}");
    let site = Site {
        state: &state,
        clock,
        listener,
        url: &url,
        path: &path,
    };
    let guard = assemble(&args, in_force, site).await?;
    explain(&args, address.ip());
    put(&format!(
        "sallyport ready url={url} gateway={gateway} revision={revision}"
    ))?;
    let watching = policies.watch(&guard.running, &guard.desk);
    tokio::select! {
        () = watching => {}
        () = retention::keep(&guard.running.gateway, &state) => {}
        asked = asked_to_stop() => asked?,
    }
    finish(guard).await
}

/// Where the guard is put together, and under which name clients reach it.
struct Site<'a> {
    state: &'a Path,
    clock: Arc<dyn Clock>,
    listener: TcpListener,
    url: &'a str,
    path: &'a str,
}

async fn assemble(args: &UpArgs, in_force: InForce, site: Site<'_>) -> Result<Guard, Failure> {
    let settings = in_force.bundle.settings();
    let gateway = in_force.bundle.gateway().clone();
    let credentials = credentials::resolve(settings, &gateway, &in_force.secrets, &args.secrets)?;
    let trust = trust(args, settings)?;
    let target = target(args, &settings.server)?;
    let binding =
        binding_key(site.state, &gateway).map_err(|error| Failure::outside(error.to_string()))?;
    let kit = kit(args, &site, &trust, &credentials, &binding)?;
    let (recorder, spool) = recorder(site.state, &in_force.bundle, &site.clock)?;
    let desk = approvals(args, site.state, &site.clock, &in_force.bundle)?;
    let admin = match args.admin {
        Some(address) => Some(TcpListener::bind(address).await?),
        None => None,
    };
    let parts = Parts {
        listener: site.listener,
        admin,
        door: None,
        probes: None,
        tls: tls(args)?,
        path: site.path.to_owned(),
        target,
        credentials,
        trust,
        in_force: kit.ready(in_force.bundle, None).map_err(|error| {
            Failure::input(format!("the policy cannot be put in force: {error}"))
        })?,
        kit,
        readiness: Readiness::default(),
        recorder,
        desk: Some(Desk::new(Arc::new(desk.clone()))),
        binding,
        pins: site.state.join("pins.json"),
        clock: site.clock,
    };
    let running = start(parts).map_err(|error| Failure::input(error.to_string()))?;
    let socket = SocketOptions {
        approver_group: args.approver_group,
        windows: Some(Arc::new(Windows::of(Arc::clone(&running.gateway)))),
    };
    let approvals = desk
        .listen(socket)
        .map_err(|error| Failure::outside(error.to_string()))?;
    Ok(Guard {
        running,
        spool,
        desk,
        _approvals: approvals,
    })
}

/// What every policy of this guard's life needs from it.
fn kit(
    args: &UpArgs,
    site: &Site<'_>,
    trust: &Trust,
    credentials: &[Credential],
    binding: &BindingKey,
) -> Result<Kit, Failure> {
    let issuer = LocalIssuer::open(site.state, args.approver_group)
        .map_err(|error| Failure::outside(error.to_string()))?;
    let local_issuer = issuer
        .issuer_config([site.url.to_owned()])
        .map_err(|error| Failure::outside(error.to_string()))?;
    let plain = if args.allow_http_idp {
        PlainHttp::LoopbackOnly
    } else {
        PlainHttp::Refused
    };
    Ok(Kit {
        local_issuer: Some(local_issuer),
        literals: credentials
            .iter()
            .map(|credential| Zeroizing::new(credential.secret().reveal().as_bytes().to_vec()))
            .collect(),
        mask_key: MaskKey::new(&*binding.derive("mask")),
        fetcher: Fetcher::new(trust, FetchLimits::DEFAULT, plain),
        clock: Arc::clone(&site.clock),
        hosts: listen::own_hosts(site.listener.local_addr()?.ip()),
        own_url: Some(site.url.to_owned()),
    })
}

/// Where the server is, and how it speaks.
fn target(args: &UpArgs, server: &Server) -> Result<Target, Failure> {
    if let Some(uri) = &args.upstream {
        if uri.scheme().is_none() || uri.authority().is_none() {
            return Err(Failure::usage(format!(
                "`{uri}` is not a whole URL such as http://127.0.0.1:8080/mcp"
            )));
        }
        let old = matches!(server.transport, Some(Transport::Sse))
            || (server.transport.is_none() && uri.path().ends_with("/sse"));
        return Ok(if old {
            Target::Sse(uri.clone())
        } else {
            Target::Http(uri.clone())
        });
    }
    let written = if args.command.is_empty() {
        &server.command
    } else {
        &args.command
    };
    let Some((program, arguments)) = written.split_first() else {
        return Err(Failure::usage(
            "name the server: `--upstream URL`, its command after `--`, or `server.command` in the files",
        ));
    };
    let hidden = credentials::variables(&args.secrets);
    Ok(Target::Stdio {
        program: program.clone(),
        arguments: arguments.to_vec(),
        hidden,
    })
}

fn recorder(
    state: &Path,
    bundle: &Bundle,
    clock: &Arc<dyn Clock>,
) -> Result<(Recorder, Option<Spool>), Failure> {
    let failed =
        |error: sallyport_sidecar::record::RecordError| Failure::outside(error.to_string());
    let now = {
        let clock = Arc::clone(clock);
        Arc::new(move || clock.now())
    };
    let recording = &bundle.settings().recording;
    if recording.mode == RecordingMode::Disabled {
        return Ok((Recorder::disabled(now).map_err(failed)?, None));
    }
    let mut options = Options::new(env!("CARGO_PKG_VERSION"), now);
    options.anchor = anchor(bundle);
    options.segment_age = Some(retention::segment_age(recording.retention));
    let (recorder, spool) = Recorder::open(&state.join("recordings"), options).map_err(failed)?;
    Ok((recorder, Some(spool)))
}

fn approvals(
    args: &UpArgs,
    state: &Path,
    clock: &Arc<dyn Clock>,
    bundle: &Bundle,
) -> Result<LocalDesk, Failure> {
    let mut options = LocalOptions::new(state, Arc::clone(clock));
    options.issuers = reviewers_issuers(bundle);
    if let Some(text) = &args.notify {
        let hook: Hook = text
            .parse()
            .map_err(|error: notify::HookError| Failure::usage(error.to_string()))?;
        options.announce = Some(notify::start(hook));
    }
    LocalDesk::open(options).map_err(|error| Failure::outside(error.to_string()))
}

/// Whose names reviewers bear: the standalone issuer's, and the gateway's first one's, for which it stands in (law 10).
fn reviewers_issuers(bundle: &Bundle) -> BTreeSet<Issuer> {
    let first = bundle.settings().authentication.issuers.first();
    let first = first.map(|issuer| Issuer::new(issuer.issuer.clone()));
    first
        .into_iter()
        .chain([Issuer::new(LOCAL_ISSUER)])
        .collect()
}

fn tls(args: &UpArgs) -> Result<Option<Arc<ListenerTls>>, Failure> {
    let (Some(certificate), Some(key)) = (args.tls_cert.clone(), args.tls_key.clone()) else {
        return Ok(None);
    };
    let tls = ListenerTls::load(TlsFiles { certificate, key })
        .map_err(|error| Failure::input(error.to_string()))?;
    Ok(Some(Arc::new(tls)))
}

/// The machine's trust store is needed only where something outside is reached over TLS.
fn trust(args: &UpArgs, settings: &sallyport_policy::bundle::Settings) -> Result<Trust, Failure> {
    let wrong = |error: sallyport_sidecar::tls::TlsError| Failure::outside(error.to_string());
    if let Some(ca) = &args.ca {
        let pem = std::fs::read(ca)
            .map_err(|error| Failure::outside(format!("`{}`: {error}", ca.display())))?;
        return Trust::system_and(&pem)
            .or_else(|_| Trust::only(&pem))
            .map_err(wrong);
    }
    let https = args
        .upstream
        .as_ref()
        .is_some_and(|uri| uri.scheme_str() == Some("https"));
    match Trust::system() {
        Err(_) if settings.authentication.issuers.is_empty() && !https => {
            Trust::nobody().map_err(wrong)
        }
        other => other.map_err(wrong),
    }
}

/// What a person should know before the first call.
fn explain(args: &UpArgs, ip: IpAddr) {
    if args.files.is_empty() {
        say(
            "no -f given: trusting the server's hints; read-only tools are callable, everything else waits for approval",
        );
    }
    if !ip.is_loopback() && args.tls_cert.is_none() {
        say(
            "listening beyond this machine without TLS: tokens can be read on the way; use --tls-cert and --tls-key",
        );
    }
    if args.approver_group.is_none() {
        say(
            "approvals are asserted: whoever has this account can approve under any name; --approver-group makes them two-person",
        );
    }
}

async fn asked_to_stop() -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

async fn finish(guard: Guard) -> Result<ExitCode, Failure> {
    tracing::info!("stopping: no new calls, running ones may finish");
    guard.running.stop().await;
    if let Some(spool) = guard.spool {
        match spool.close().await {
            Ok(head) => say(&format!(
                "recordings end at head {head}; keep it, and `sallyport verify --head {head}` proves later that nothing is missing"
            )),
            Err(error) => {
                return Err(Failure::outside(format!(
                    "the last events could not be stored: {error}"
                )));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The gateway of a guard without files.
pub(crate) fn unnamed() -> GatewayName {
    GatewayName {
        namespace: "default".to_owned(),
        name: "standalone".to_owned(),
    }
}
