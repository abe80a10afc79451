//! A namespace with a guarded server in it, and a client beside it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bed::{Bed, Namespace};
use crate::client::{POD, Place};
use crate::issuer;
use crate::kubectl::Kubectl;

const GUARDED: &str = include_str!("../manifests/guarded.yaml");
const CLIENT: &str = include_str!("../manifests/client.yaml");
pub(crate) const POLICY: &str = include_str!("../manifests/policy.yaml");
pub(crate) const CLOSED: &str = include_str!("../manifests/closed.yaml");

/// What tokens are for.
const AUDIENCE: &str = "https://everything.example.com/mcp";
/// Images are on the node already; what takes long is the servers' own start, several at a time.
const READY: Duration = Duration::from_secs(120);
const ROUTED: Duration = Duration::from_secs(30);

/// Deleted when dropped.
#[derive(Debug)]
pub(crate) struct Scene {
    namespace: Namespace,
    clients: Namespace,
}

impl Scene {
    /// A namespace where pods are guarded that ask for it.
    pub(crate) fn set(bed: &Bed, name: &str, replicas: u32) -> Result<Self> {
        Self::in_namespaces(bed, bed.namespace(name)?, replicas)
    }

    /// A namespace where every pod is guarded, whatever it says.
    pub(crate) fn enforced(bed: &Bed, name: &str, replicas: u32) -> Result<Self> {
        let namespace = bed.namespace(name)?;
        let words = ["label", "namespace", name, "sallyport.dev/enforce=true"];
        namespace.kubectl.good(&words, "")?;
        Self::in_namespaces(bed, namespace, replicas)
    }

    /// The policy first: a pod is not ready before it holds one.
    fn in_namespaces(bed: &Bed, namespace: Namespace, replicas: u32) -> Result<Self> {
        let kubectl = &namespace.kubectl;
        let name = kubectl.namespace();
        let clients = bed.namespace(&format!("{name}-clients"))?;
        kubectl.apply(POLICY)?;
        let guarded = GUARDED
            .replace("{NAMESPACE}", name)
            .replace("{AUDIENCE}", AUDIENCE)
            .replace("{ISSUER}", issuer::NAME)
            .replace("{JWKS}", &bed.issuer.jwks().to_string())
            .replace("{REPLICAS}", &replicas.to_string())
            .replace("{EVERYTHING}", bed.image("everything")?);
        kubectl.apply(&guarded)?;
        let callers = &clients.kubectl;
        callers.apply(&CLIENT.replace("{CLIENT}", bed.image("client")?))?;
        callers.wait("condition=Ready", &["pod", POD], READY)?;
        kubectl.wait("condition=Available", &["deployment", "everything"], READY)?;
        let scene = Self { namespace, clients };
        scene.reached()?;
        Ok(scene)
    }

    /// Ready pods are not yet in every node's table of Services: for a moment more nobody answers at the Service.
    fn reached(&self) -> Result<()> {
        let until = Instant::now() + ROUTED;
        loop {
            let answer = post(self.clients(), &self.place(None).url)?;
            if answer.get("status").is_some() {
                return Ok(());
            }
            if Instant::now() >= until {
                bail!("nobody answers at the server's Service: {answer}");
            }
        }
    }

    /// Where callers are, and whoever else is not in the server's own namespace.
    pub(crate) fn clients(&self) -> &Kubectl {
        &self.clients.kubectl
    }

    /// The server's pod, or the first of several.
    pub(crate) fn pod(&self) -> Result<Value> {
        let pods = self
            .kubectl()
            .get(&["pods", "--selector", "app=everything"])?;
        let first = pods.pointer("/items/0").cloned();
        first.context("the server has a pod")
    }

    pub(crate) fn kubectl(&self) -> &Kubectl {
        &self.namespace.kubectl
    }

    /// The server's Service, as a clerk whose token the gateway accepts.
    pub(crate) fn clerk(&self, bed: &Bed) -> Result<Place> {
        let token = bed.issuer.token(AUDIENCE, "ada", &["stock-clerks"])?;
        Ok(self.place(Some(token)))
    }

    /// The server's Service, with this token or none.
    pub(crate) fn place(&self, token: Option<String>) -> Place {
        let namespace = self.kubectl().namespace();
        Place {
            url: format!("http://everything.{namespace}.svc/mcp"),
            token,
        }
    }
}

/// Sends an `initialize` without a token from the client's pod: status and body, or the error of the connection.
pub(crate) fn post(kubectl: &Kubectl, url: &str) -> Result<Value> {
    const SCRIPT: &str = r#"
        const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'stranger', version: '1' } } });
        const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
        const said = await fetch(process.argv[1], { method: 'POST', headers, body, signal: AbortSignal.timeout(5000) })
          .then(async (answer) => ({ status: answer.status, body: await answer.text() }), (error) => ({ error: String(error.cause ?? error) }));
        console.log(JSON.stringify(said));
        process.exit(0);
    "#;
    let words = ["node", "--input-type=module", "-e", SCRIPT, url];
    let said = kubectl.exec(POD, &words, "")?;
    serde_json::from_str(&said.stdout).with_context(|| said.stderr)
}

pub(crate) fn is_the_servers(answer: &Value) -> bool {
    answer.to_string().contains("serverInfo")
}
