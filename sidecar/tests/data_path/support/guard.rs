//! A real guard in this process: policies as people write them, tokens of the local issuer, state in a folder that
//! goes with the test.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sallyport_policy::bundle::Bundle;
use sallyport_policy::compile::compile;
use sallyport_policy::mask::MaskKey;
use sallyport_policy::name::{GatewayName, Issuer};
use sallyport_policy::record::event::{CallEnded, CallRequested, Decided, Event};
use sallyport_policy::record::line::{self, LineKind};
use sallyport_policy::record::{EventRecord, layout};
use sallyport_policy::source::{Named, Sources};
use sallyport_policy::time::UnixMillis;
use sallyport_sidecar::admin::Readiness;
use sallyport_sidecar::clock::{Clock, SystemClock};
use sallyport_sidecar::credential::{Credential, HeaderCredential, Secret};
use sallyport_sidecar::hold::Desk;
use sallyport_sidecar::hold::local::{LocalDesk, LocalOptions};
use sallyport_sidecar::hold::secret::binding_key;
use sallyport_sidecar::identity::fetch::{FetchLimits, Fetcher, PlainHttp};
use sallyport_sidecar::identity::local::{LOCAL_ISSUER, LocalIssuer, Mint};
use sallyport_sidecar::ready::Kit;
use sallyport_sidecar::record::{Options, Recorder, Spool};
use sallyport_sidecar::run::{Parts, Running, Target, start};
use sallyport_sidecar::tls::{ListenerTls, Trust};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use super::{Client, Server, until};

/// The secret that the guard adds to what it sends; no client may ever see it.
pub(crate) const UPSTREAM_SECRET: &str = "upstream-credential-7f3a91";

/// What a test wants to be different.
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) gateway: Value,
    pub(crate) policies: Vec<Value>,
    pub(crate) tls: Option<Arc<ListenerTls>>,
    /// Most bytes of recordings; none for the disk's.
    pub(crate) quota: Option<u64>,
    /// Whether approvals are kept.
    pub(crate) approvals: bool,
}

impl Plan {
    pub(crate) fn over(server: &Server) -> Self {
        Self::to(Target::Http(server.uri()))
    }

    /// Clerks may read; everything else is for nobody.
    pub(crate) fn to(target: Target) -> Self {
        Self {
            target,
            gateway: json!({"recording": {"mode": "Strict"}}),
            policies: vec![json!([
                {"name": "read", "effect": "Allow", "tools": ["read", "wide"], "resources": ["docs://handbook/**"], "prompts": ["summarise"]},
                {"name": "never", "effect": "Deny", "tools": ["read"], "message": "the vault is closed",
                 "when": [{"argument": "$.path", "operator": "StartsWith", "values": ["/vault"]}]},
            ])],
            tls: None,
            quota: None,
            approvals: false,
        }
    }

    /// Keeps approvals, so that held calls wait.
    pub(crate) fn approving(mut self) -> Self {
        self.approvals = true;
        self
    }

    /// Replaces the rules.
    pub(crate) fn rules(mut self, rules: Value) -> Self {
        self.policies = vec![rules];
        self
    }

    /// Sets a section of the gateway.
    pub(crate) fn with(mut self, section: &str, value: Value) -> Self {
        self.gateway[section] = value;
        self
    }

    fn sources(gateway: &Value, policies: &[Value]) -> Sources {
        let named = |name: &str, spec: &Value| Named {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            spec: spec.clone(),
        };
        let gateway = named("inventory", gateway);
        let policies = policies.iter().enumerate().map(|(number, rules)| {
            let spec = if rules.is_array() {
                json!({"targetRefs": [{"kind": "McpGateway", "name": "inventory"}],
                       "subjects": [{"groups": ["clerks"]}], "rules": rules})
            } else {
                let mut spec = rules.clone();
                spec["targetRefs"] = json!([{"kind": "McpGateway", "name": "inventory"}]);
                spec
            };
            let named = named(&format!("policy-{number}"), &spec);
            serde_json::from_value(serde_json::to_value(named).unwrap()).unwrap()
        });
        Sources {
            gateways: vec![serde_json::from_value(serde_json::to_value(gateway).unwrap()).unwrap()],
            policies: policies.collect(),
            ..Sources::default()
        }
    }

    pub(crate) fn bundle(gateway: &Value, policies: &[Value]) -> Bundle {
        let compiled = compile(&Self::sources(gateway, policies), &name()).unwrap();
        let bundle = Bundle::activate(compiled.content).unwrap();
        bundle.with_standalone_issuer(Issuer::new(LOCAL_ISSUER))
    }

    pub(crate) async fn start(self) -> Guard {
        let state = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{address}/mcp");
        let issuer = LocalIssuer::open(state.path(), None).unwrap();
        let binding = binding_key(state.path(), &name()).unwrap();
        let bundle = Self::bundle(&self.gateway, &self.policies);
        let secret = Secret::new(UPSTREAM_SECRET);
        let credential = match &self.target {
            Target::Stdio { .. } => Credential::Env {
                name: "SERVER_TOKEN".to_owned(),
                secret,
            },
            Target::Http(_) | Target::Sse(_) => Credential::Header(
                HeaderCredential::new("authorization", "Bearer ", secret).unwrap(),
            ),
        };
        let kit = Kit {
            local_issuer: Some(issuer.issuer_config([url.clone()]).unwrap()),
            literals: vec![Zeroizing::new(UPSTREAM_SECRET.as_bytes().to_vec())],
            mask_key: MaskKey::new(&*binding.derive("mask")),
            fetcher: Fetcher::new(
                &Trust::nobody().unwrap(),
                FetchLimits::DEFAULT,
                PlainHttp::Refused,
            ),
            clock: Arc::clone(&clock),
            hosts: vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
            own_url: Some(url),
        };
        let now = {
            let clock = Arc::clone(&clock);
            Arc::new(move || clock.now())
        };
        let mut options = Options::new("test", now);
        options.quota = self.quota;
        let (recorder, spool) = Recorder::open(&state.path().join("recordings"), options).unwrap();
        let desk = self.approvals.then(|| {
            let options = LocalOptions::new(state.path(), Arc::clone(&clock));
            Desk::new(Arc::new(LocalDesk::open(options).unwrap()))
        });
        let running = start(Parts {
            listener,
            admin: None,
            door: None,
            probes: None,
            tls: self.tls,
            path: "/mcp".to_owned(),
            target: self.target,
            credentials: vec![credential],
            trust: Trust::nobody().unwrap(),
            in_force: kit.ready(bundle, None).unwrap(),
            kit,
            readiness: Readiness::default(),
            recorder,
            desk,
            binding,
            pins: state.path().join("pins.json"),
            clock,
        })
        .unwrap();
        Guard {
            address,
            gateway: self.gateway,
            issuer,
            running: Some(running),
            _spool: spool,
            state,
        }
    }
}

pub(crate) fn name() -> GatewayName {
    GatewayName {
        namespace: "shop".to_owned(),
        name: "inventory".to_owned(),
    }
}

/// What a token says beside its subject.
pub(crate) struct Token<'a> {
    pub(crate) user: &'a str,
    pub(crate) groups: &'a [&'a str],
    pub(crate) client: &'a str,
    pub(crate) scopes: &'a [&'a str],
    pub(crate) ttl: Duration,
}

impl Default for Token<'_> {
    fn default() -> Self {
        Self {
            user: "ada",
            groups: &["clerks"],
            client: "agent",
            scopes: &[],
            ttl: Duration::from_secs(300),
        }
    }
}

/// A guard at work.
pub(crate) struct Guard {
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Value,
    issuer: LocalIssuer,
    running: Option<Running>,
    _spool: Spool,
    state: TempDir,
}

/// One recorded call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) requested: CallRequested,
    pub(crate) decided: Vec<Decided>,
    pub(crate) ended: Vec<CallEnded>,
    pub(crate) events: Vec<Event>,
}

impl Call {
    /// The reason of its only end.
    pub(crate) fn reason(&self) -> &str {
        self.end().reason.as_deref().unwrap_or_default()
    }

    pub(crate) fn end(&self) -> &CallEnded {
        assert_eq!(self.ended.len(), 1, "one terminal record: {self:?}");
        &self.ended[0]
    }
}

impl Guard {
    pub(crate) fn token(&self, token: &Token<'_>) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mint = Mint {
            user: token.user.to_owned(),
            groups: token.groups.iter().map(ToString::to_string).collect(),
            client: Some(token.client.to_owned()),
            scopes: token.scopes.iter().map(ToString::to_string).collect(),
            ttl: token.ttl,
            ..Mint::default()
        };
        let now = UnixMillis(i64::try_from(now.as_millis()).unwrap());
        self.issuer.mint(&mint, now).unwrap().token.to_string()
    }

    /// Ada of the clerks, by her agent.
    pub(crate) fn ada(&self) -> Client {
        self.client(&Token::default())
    }

    /// Eve of the clerks: allowed the same, and somebody else.
    pub(crate) fn eve(&self) -> Client {
        self.client(&Token {
            user: "eve",
            ..Token::default()
        })
    }

    pub(crate) fn client(&self, token: &Token<'_>) -> Client {
        Client::new(self.address, Some(self.token(token)))
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// Puts other rules in force.
    pub(crate) fn replace(&self, rules: Value) {
        self.running()
            .replace(Plan::bundle(&self.gateway, &[rules]))
            .unwrap();
    }

    pub(crate) fn metrics(&self) -> String {
        self.running().gateway.metrics.exposition()
    }

    /// How often something was refused for this reason before it became a call.
    pub(crate) fn refused(&self, reason: &str) -> u64 {
        let line = format!("sallyport_refusals_total{{reason=\"{reason}\"}} ");
        self.metrics()
            .lines()
            .find_map(|found| found.strip_prefix(&line)?.parse().ok())
            .unwrap_or(0)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.state.path().to_owned()
    }

    /// Everything that was recorded, in order.
    pub(crate) fn records(&self) -> Vec<EventRecord> {
        let folder = self.state.path().join("recordings").join(layout::SEGMENTS);
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let mut records = Vec::new();
        for file in files {
            let bytes = std::fs::read(file).unwrap();
            for raw in line::lines(&bytes).filter(|raw| raw.whole) {
                let line = line::decode(raw.text).unwrap();
                if line.kind == LineKind::Event {
                    records.push(serde_json::from_slice(line.json).unwrap());
                }
            }
        }
        records
    }

    /// The calls recorded so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let mut calls: Vec<Call> = Vec::new();
        for record in self.records() {
            if let Event::CallRequested(requested) = record.event {
                calls.push(Call {
                    requested: *requested,
                    decided: Vec::new(),
                    ended: Vec::new(),
                    events: Vec::new(),
                });
                continue;
            }
            let Some(id) = record.event.call().cloned() else {
                continue;
            };
            let Some(call) = calls.iter_mut().find(|call| call.requested.call == id) else {
                panic!("an event of no call: {:?}", record.event);
            };
            match &record.event {
                Event::Decided(decided) => call.decided.push((**decided).clone()),
                Event::CallEnded(ended) => call.ended.push(ended.clone()),
                _ => {}
            }
            call.events.push(record.event);
        }
        calls
    }

    /// The calls recorded so far, once all of them have ended: nobody waits for the end of an answered call.
    pub(crate) async fn ended_calls(&self) -> Vec<Call> {
        until("the end of every call", || {
            let calls = self.calls();
            let all = calls.iter().all(|call| !call.ended.is_empty());
            all.then_some(calls)
        })
        .await
    }

    /// The last call of a method, once it has ended.
    pub(crate) async fn call(&self, method: &str) -> Call {
        until("the record of a call", || {
            let last = self
                .calls()
                .into_iter()
                .rfind(|call| call.requested.method == method)?;
            (!last.ended.is_empty()).then_some(last)
        })
        .await
    }

    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }
}
