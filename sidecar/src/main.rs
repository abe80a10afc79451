//! `sallyport-sidecar`: the guard in a pod. Wiring only.
//!
//! It differs from the standalone guard in where things come from: the policy is signed and mounted, issuers are the
//! policy's alone, and there is no desk for approvals, so that a held call is refused with a word that says so.

mod args;
mod config;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use sallyport_policy::approval::BindingKey;
use sallyport_policy::mask::MaskKey;
use sallyport_sidecar::admin::{BlockReady, Readiness};
use sallyport_sidecar::bundle::{Ledger, Standing, Supply, Urge};
use sallyport_sidecar::clock::{Clock, SystemClock};
use sallyport_sidecar::control::Control;
use sallyport_sidecar::credential::Credential;
use sallyport_sidecar::hold::secret::binding_key;
use sallyport_sidecar::identity::fetch::{FetchLimits, Fetcher, PlainHttp};
use sallyport_sidecar::listen::own_hosts;
use sallyport_sidecar::pod::door::Door;
use sallyport_sidecar::pod::probes::Probes;
use sallyport_sidecar::pod::proven::Proven;
use sallyport_sidecar::pod::report::Reports;
use sallyport_sidecar::ready::Kit;
use sallyport_sidecar::record::{Options, Recorder, Spool};
use sallyport_sidecar::run::{Parts, Running, start};
use sallyport_sidecar::tls::{TlsError, Trust};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::writer::MakeWriterExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use zeroize::Zeroizing;

use args::Args;
use config::{Config, Proof};

/// Absent where the kernel was started without IPv6.
const IPV6: &str = "/proc/net/if_inet6";
/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;
/// What goes to stdout, a JSON object a line: ends of calls, and requests refused before they were calls.
const AUDIT: [&str; 2] = ["sallyport::call", "sallyport::audit"];

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(told) => {
            // Nobody is left to tell when both streams are closed.
            told.print().ok();
            return if told.use_stderr() {
                USAGE.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let config = match Config::of(args) {
        Ok(config) => config,
        Err(mistakes) => {
            for mistake in mistakes {
                say(&mistake);
            }
            return USAGE.into();
        }
    };
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(config: Config) -> anyhow::Result<()> {
    log(config.log.clone());
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads")?
        .block_on(run(config))
}

async fn run(config: Config) -> anyhow::Result<()> {
    // Before anything else: a pod may be told to stop while it starts.
    let mut stop = Stop::listen()?;
    let Guard {
        running,
        spool,
        supply,
        control,
        waiting,
    } = assemble(config).await?;
    let telling = telling(control, supply.standing(), supply.urge());
    tokio::select! {
        () = supply.follow(&running, waiting) => {}
        () = telling => {}
        () = stop.asked() => {}
    }
    tracing::info!("stopping: no new calls, running ones may finish");
    running.stop().await;
    let head = spool
        .close()
        .await
        .context("the last events could not be stored")?;
    tracing::info!(%head, "recordings end");
    Ok(())
}

/// What runs until it is asked to stop.
struct Guard {
    running: Running,
    spool: Spool,
    supply: Supply,
    control: Option<Control>,
    /// Keeps the pod unready until there is a policy.
    waiting: Option<BlockReady>,
}

async fn assemble(mut config: Config) -> anyhow::Result<Guard> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let Listeners {
        listener,
        admin,
        probes,
    } = listeners(&mut config).await?;
    let ledger = Ledger::open(&config.state, config.minimum_generation)?;
    let binding = binding_key(&config.state, &config.demand.gateway)?;
    let trust = trust(config.ca.as_deref())?;
    let address = listener.local_addr()?;
    let kit = kit(&config, &clock, &trust, &binding, address.ip());
    // The recorder is open before any listener serves, so readiness need not wait for it.
    let (recorder, spool) = recorder(&config, &clock)?;
    let gateway = config.demand.gateway.clone();
    let control = match config.control {
        Some((address, token)) => Some(Control::new(address, token, config.demand.clone())?),
        None => None,
    };
    let mut supply = Supply::new(&config.bundle, config.demand, ledger, Arc::clone(&clock));
    let in_force = supply
        .first(&kit)
        .context("cannot start, not even to deny everything")?;
    let readiness = Readiness::default();
    let door = match config.proof.take() {
        Some(proof) => Some(door(&config.state, &proof, &readiness)?),
        None => None,
    };
    let waiting = (!supply.is_verified()).then(|| readiness.block("policy"));
    let admin_address = admin.as_ref().map(TcpListener::local_addr).transpose()?;
    let running = start(Parts {
        listener,
        admin,
        door,
        probes,
        tls: config.tls,
        path: config.path,
        target: config.target,
        credentials: config.credentials,
        trust,
        in_force,
        kit,
        readiness,
        recorder,
        // Without a desk held calls are refused: `approvals_unavailable`.
        desk: None,
        binding,
        pins: config.state.join("pins.json"),
        clock,
    })?;
    tracing::info!(%gateway, %address, admin = admin_address.map(tracing::field::display), "serving");
    Ok(Guard {
        running,
        spool,
        supply,
        control,
        waiting,
    })
}

/// Tells the operator what is in force, where there is one to tell; never returns.
async fn telling(control: Option<Control>, standing: watch::Receiver<Standing>, urge: Urge) {
    match control {
        Some(control) => control.follow(standing, urge).await,
        None => std::future::pending().await,
    }
}

/// Where the process is reached.
struct Listeners {
    listener: TcpListener,
    admin: Option<TcpListener>,
    probes: Option<(TcpListener, Probes)>,
}

async fn listeners(config: &mut Config) -> anyhow::Result<Listeners> {
    Ok(Listeners {
        listener: bind(config.listen).await?,
        admin: match config.admin {
            Some(address) => Some(bind(address).await?),
            None => None,
        },
        probes: match config.probes.take() {
            Some((address, probes)) => Some((bind(address).await?, probes)),
            None => None,
        },
    })
}

/// Where the kernel was started without IPv6, `[::]` means every address all the same.
async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = match TcpListener::bind(address).await {
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED && !Path::new(IPV6).exists() => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    };
    bound.with_context(|| format!("cannot listen on {address}"))
}

/// The door before the listener of a pod, and the socket at which the validator opens it.
fn door(state: &Path, proof: &Proof, readiness: &Readiness) -> anyhow::Result<Arc<Door>> {
    let proven = Arc::new(Proven::open(state, readiness)?);
    let door = Arc::new(Door::new(Arc::clone(&proven))?);
    let reports = Reports::bind(&proof.socket, proof.validator, door.key(), proven)
        .with_context(|| format!("cannot listen at `{}`", proof.socket.display()))?;
    tokio::spawn(reports.take());
    Ok(door)
}

/// A pod's image may hold no trust store. Then nobody outside is believed, and whoever needs one hears it.
fn trust(ca: Option<&[u8]>) -> Result<Trust, TlsError> {
    match ca {
        Some(pem) => Trust::system_and(pem),
        None => Trust::system().or_else(|error| {
            tracing::warn!(%error, "no TLS server can be reached");
            Trust::nobody()
        }),
    }
}

fn kit(
    config: &Config,
    clock: &Arc<dyn Clock>,
    trust: &Trust,
    binding: &BindingKey,
    own: IpAddr,
) -> Kit {
    Kit {
        local_issuer: None,
        literals: literals(&config.credentials),
        mask_key: MaskKey::new(&*binding.derive("mask")),
        fetcher: Fetcher::new(trust, FetchLimits::DEFAULT, PlainHttp::Refused),
        clock: Arc::clone(clock),
        hosts: own_hosts(own),
        own_url: None,
    }
}

/// What the masker must never let through (law 25).
fn literals(credentials: &[Credential]) -> Vec<Zeroizing<Vec<u8>>> {
    let text = |credential: &Credential| credential.secret().reveal().as_bytes().to_vec();
    credentials
        .iter()
        .map(|credential| Zeroizing::new(text(credential)))
        .collect()
}

fn recorder(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<(Recorder, Spool)> {
    let now = {
        let clock = Arc::clone(clock);
        Arc::new(move || clock.now())
    };
    let mut options = Options::new(env!("CARGO_PKG_VERSION"), now);
    options.quota = config.recordings;
    Ok(Recorder::open(&config.state.join("recordings"), options)?)
}

/// The signals that ask a pod to end.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The audit trail to stdout, everything else to stderr: who collects one need not filter the other out.
fn log(levels: Targets) {
    // No level of the log turns the trail off.
    let levels = levels.with_targets(AUDIT.map(|target| (target, LevelFilter::INFO)));
    let trail = std::io::stdout.with_filter(|line| AUDIT.contains(&line.target()));
    tracing_subscriber::registry()
        .with(levels)
        .with(
            fmt::layer()
                .json()
                .flatten_event(true)
                .with_writer(trail.or_else(std::io::stderr)),
        )
        .init();
}

/// Before the log is there, and when there is no more: one line to whoever reads the container's log.
fn say(text: &str) {
    // Nobody is left to tell when stderr is closed.
    writeln!(std::io::stderr().lock(), "sallyport-sidecar: {text}").ok();
}
