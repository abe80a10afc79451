//! Wiring: from the command line to a running replica, and from there to its orderly end.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use sallyport_policy::control::PROTOCOL;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch as channel;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::admission::{self, Watched, parameters};
use crate::args::Args;
use crate::certs::keeper::{ApiClient, Keeper};
use crate::certs::serving::Shown;
use crate::control::endpoint::Endpoint;
use crate::control::{Roster, certificate};
use crate::controllers::{Context, Outcomes, lead};
use crate::distribute::touch::Toucher;
use crate::distribute::{Root, Signer};
use crate::health::{Health, text};
use crate::inject::Platform;
use crate::inject::names::MOUNTS;
use crate::lease::{Candidate, until};
use crate::metrics::{Admitted, Metrics, Webhook};
use crate::queue::Queue;
use crate::watch::Shared;
use crate::{FIELD_MANAGER, clock, random, server};

/// How long requests still come in after readiness has failed: endpoints are taken out of Services that slowly.
const LEAVING: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A replica, before it runs.
#[derive(Clone)]
struct Replica {
    client: Client,
    namespace: String,
    identity: String,
    shared: Shared,
    roster: Roster,
    metrics: Metrics,
    root: Arc<Root>,
    leading: channel::Sender<bool>,
    /// Leads no more, for a replica that is about to end.
    resign: CancellationToken,
    stop: CancellationToken,
}

/// Runs until asked to stop.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args {
        namespace,
        pod,
        sidecar_image,
        capture_image,
        service,
        webhooks,
        control,
        health,
        log: _,
        log_levels: _,
    } = args;
    let client = Client::try_default()
        .await
        .context("no way to the API server: neither a ServiceAccount nor a kubeconfig")?;
    let listeners = (
        bind(webhooks).await?,
        bind(control).await?,
        bind(health).await?,
    );
    let root = Arc::new(Root::open(&client, &namespace).await?);
    let metrics = Metrics::new();
    let queue = Arc::new(Queue::default());
    let replica = Replica {
        identity: identity(pod)?,
        shared: Shared::new(Arc::clone(&queue)),
        roster: Roster::new(queue, metrics.clone()),
        leading: channel::Sender::new(false),
        resign: CancellationToken::new(),
        stop: CancellationToken::new(),
        client,
        namespace,
        metrics,
        root,
    };
    let platform = Platform {
        sidecar_image,
        capture_image,
        root_key: replica.root.public_hex(),
        control: control_flags(&service, &replica.namespace, control.port()),
    };
    replica.run(service, platform, listeners).await
}

impl Replica {
    async fn run(
        self,
        service: String,
        platform: Platform,
        (webhooks, control, health): (TcpListener, TcpListener, TcpListener),
    ) -> anyhow::Result<()> {
        let shown = Arc::new(Shown::default());
        let stopping = Arc::new(AtomicBool::new(false));
        let believed = Arc::new(AtomicBool::new(false));
        let status = Health {
            shared: self.shared.clone(),
            shown: Arc::clone(&shown),
            believed: Arc::clone(&believed),
            metrics: self.metrics.clone(),
            stopping: Arc::clone(&stopping),
        };
        let mut parts = JoinSet::new();
        parts.spawn(server::serve(
            health,
            None,
            self.stop.clone(),
            move |_, request| {
                let answer = status.answer(&request);
                async move { answer }
            },
        ));
        let keeper = Keeper {
            client: ApiClient(self.client.clone()),
            namespace: self.namespace.clone(),
            names: names(&service, &self.namespace, webhooks.local_addr()?.ip()),
            shown: Arc::clone(&shown),
            believed,
            leading: self.leading.subscribe(),
        };
        parts.spawn(self.until_stop(keeper.keep()));
        let (shared, client) = (self.shared.clone(), self.client.clone());
        parts.spawn(self.until_stop(async move { Box::pin(shared.follow(&client)).await }));
        self.serve_webhooks(webhooks, &shown, platform, &mut parts)?;
        self.serve_control(control, &mut parts)?;
        let candidate = Candidate {
            client: self.client.clone(),
            namespace: self.namespace.clone(),
            identity: self.identity.clone(),
            leading: self.leading.clone(),
            stop: self.resign.clone(),
        };
        let resigned = self.until_stop(std::future::pending());
        parts.spawn(async move {
            candidate.run().await;
            resigned.await;
        });
        parts.spawn(self.clone().lead());
        self.until_asked(&stopping, parts).await
    }

    fn until_stop(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let stop = self.stop.clone();
        async move {
            stop.run_until_cancelled(work).await;
        }
    }

    fn serve_webhooks(
        &self,
        listener: TcpListener,
        shown: &Arc<Shown>,
        platform: Platform,
        parts: &mut JoinSet<()>,
    ) -> anyhow::Result<()> {
        let metrics = self.metrics.clone();
        let world = Arc::new(Watched {
            shared: self.shared.clone(),
            platform,
        });
        let tls = TlsAcceptor::from(shown.server(&[b"h2", b"http/1.1"])?);
        parts.spawn(server::serve(
            listener,
            Some(tls),
            self.stop.clone(),
            move |_, request| webhook(Arc::clone(&world), metrics.clone(), request),
        ));
        Ok(())
    }

    fn serve_control(&self, listener: TcpListener, parts: &mut JoinSet<()>) -> anyhow::Result<()> {
        let shown = Arc::new(Shown::default());
        shown.swap(certificate::issue(&self.root, clock::now())?);
        let endpoint = Endpoint {
            client: self.client.clone(),
            shared: self.shared.clone(),
            roster: self.roster.clone(),
            metrics: self.metrics.clone(),
            tls: TlsAcceptor::from(shown.server(&[PROTOCOL])?),
            leading: self.leading.subscribe(),
            stop: self.stop.clone(),
        };
        parts.spawn(endpoint.serve(listener));
        let root = Arc::clone(&self.root);
        parts.spawn(self.until_stop(async move {
            loop {
                tokio::time::sleep(DAY).await;
                match certificate::issue(&root, clock::now()) {
                    Ok(next) => shown.swap(next),
                    Err(error) => {
                        tracing::error!(%error, "the control endpoint keeps its old certificate");
                    }
                }
            }
        }));
        Ok(())
    }

    /// Leads whenever this replica holds the lease.
    async fn lead(self) {
        let mut leading = self.leading.subscribe();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = until(&mut leading, true) => {}
            }
            let term = self.stop.child_token();
            let work = async {
                self.shared.until_synced().await;
                let key = self.root.public_hex();
                tokio::select! {
                    () = lead(self.context(), term.clone()) => {}
                    () = parameters::keep(&self.client, &self.namespace, &self.shared, &key) => {}
                }
            };
            self.metrics.leading.set(1);
            tokio::select! {
                () = work => {}
                // Dropping `work` aborts what it was doing: from here on another replica may write.
                () = until(&mut leading, false) => {}
                () = self.stop.cancelled() => {}
            }
            term.cancel();
            self.metrics.leading.set(0);
        }
    }

    fn context(&self) -> Arc<Context> {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: Some(self.identity.clone()),
        };
        Arc::new(Context {
            client: self.client.clone(),
            shared: self.shared.clone(),
            signer: Signer::new(Arc::clone(&self.root)),
            roster: self.roster.clone(),
            toucher: Toucher::new(
                self.client.clone(),
                self.roster.clone(),
                self.metrics.clone(),
            ),
            events: Recorder::new(self.client.clone(), reporter),
            metrics: self.metrics.clone(),
            outcomes: Outcomes::default(),
            since: Instant::now(),
        })
    }

    async fn until_asked(
        self,
        stopping: &AtomicBool,
        mut parts: JoinSet<()>,
    ) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let asked = tokio::select! {
            _ = terminate.recv() => true,
            _ = interrupt.recv() => true,
            // Every part runs as long as the process: one that ends takes the others along, and the kubelet starts anew.
            ended = parts.join_next() => {
                tracing::error!(?ended, "a part of the operator ended");
                false
            }
        };
        stopping.store(true, Ordering::Relaxed);
        if asked {
            tracing::info!("stopping: another replica takes over");
            self.resign.cancel();
            tokio::time::sleep(LEAVING).await;
        }
        self.resign.cancel();
        self.stop.cancel();
        while parts.join_next().await.is_some() {}
        anyhow::ensure!(asked, "a part of the operator ended");
        Ok(())
    }
}

/// What the API server may call the webhooks by: the Service, and the address where there is but one.
fn names(service: &str, namespace: &str, address: IpAddr) -> Vec<String> {
    let mut names = vec![
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
    ];
    if !address.is_unspecified() {
        names.push(address.to_string());
    }
    names
}

/// How sidecars find the control endpoint, and what they show there.
fn control_flags(service: &str, namespace: &str, port: u16) -> Vec<String> {
    vec![
        format!("--control={service}.{namespace}.svc:{port}"),
        format!("--control-token={MOUNTS}/control/token"),
    ]
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

/// Different for each process: a pod whose container restarts must not take its old lease for its own.
fn identity(pod: Option<String>) -> anyhow::Result<String> {
    let own = random::bytes::<4>().context("no random bytes")?;
    let pod = pod.unwrap_or_else(|| "sallyport-operator".to_owned());
    Ok(format!("{pod}_{}", hex::encode(own)))
}

/// One question of the API server. What it takes for a failure it refuses, as the configurations say.
async fn webhook(
    world: Arc<Watched>,
    metrics: Metrics,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let begun = Instant::now();
    let path = request.uri().path().to_owned();
    let body = match Limited::new(request.into_body(), admission::LARGEST)
        .collect()
        .await
    {
        Ok(body) => body.to_bytes(),
        Err(_) => return text(StatusCode::PAYLOAD_TOO_LARGE, "the review cannot be read\n"),
    };
    let Some(answer) = admission::answer(&path, &body, &*world) else {
        return text(StatusCode::NOT_FOUND, "no such webhook\n");
    };
    if let Some(webhook) = Webhook::of(&path) {
        let reason = answer.reason;
        metrics
            .admission
            .get_or_create(&Admitted { webhook, reason })
            .inc();
        metrics
            .admission_seconds
            .observe(begun.elapsed().as_secs_f64());
    }
    if !answer.allowed {
        tracing::info!(path, reason = answer.reason, "refused");
    }
    let mut response = Response::new(Full::new(answer.body.into()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
