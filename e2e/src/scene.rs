//! A namespace with a guarded server in it, and a client beside it.

use std::time::Duration;

use anyhow::Result;

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

/// Deleted when dropped.
#[derive(Debug)]
pub(crate) struct Scene {
    namespace: Namespace,
}

impl Scene {
    /// The policy first: a pod is not ready before it holds one.
    pub(crate) fn set(bed: &Bed, name: &str, replicas: u32) -> Result<Self> {
        let namespace = bed.namespace(name)?;
        let kubectl = &namespace.kubectl;
        kubectl.apply(POLICY)?;
        let guarded = GUARDED
            .replace("{NAMESPACE}", name)
            .replace("{AUDIENCE}", AUDIENCE)
            .replace("{ISSUER}", issuer::NAME)
            .replace("{JWKS}", &bed.issuer.jwks().to_string())
            .replace("{REPLICAS}", &replicas.to_string())
            .replace("{EVERYTHING}", bed.image("everything")?);
        kubectl.apply(&guarded)?;
        kubectl.apply(&CLIENT.replace("{CLIENT}", bed.image("client")?))?;
        kubectl.wait("condition=Ready", &["pod", POD], READY)?;
        kubectl.wait("condition=Available", &["deployment", "everything"], READY)?;
        Ok(Self { namespace })
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
