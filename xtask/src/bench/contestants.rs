//! Who is measured: the server alone, nginx that passes everything through, Envoy that checks tokens and roles, and the
//! guard in its three ways to record.

use std::net::SocketAddr;

use anyhow::Result;

use super::used::Used;
use super::{Field, envoy, nginx, sidecar};
use crate::guard::{self, Guard, Upstream};
use crate::process::Service;

/// The names are what goals and tables go by.
pub(crate) const ALONE: &str = "server alone";
pub(crate) const NGINX: &str = "nginx, passing through";
pub(crate) const ENVOY: &str = "Envoy, JWT and RBAC";
pub(crate) const DISABLED: &str = "Sallyport, recording Disabled";
pub(crate) const BEST_EFFORT: &str = "Sallyport, recording BestEffort";
pub(crate) const STRICT: &str = "Sallyport, recording Strict";
pub(crate) const POD: &str = "sallyport-sidecar, BestEffort";

/// One that takes part.
#[derive(Debug)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) token: Option<String>,
    /// None for the server alone: nothing stands between.
    process: Option<u32>,
    _kept: Kept,
}

/// What runs as long as its contestant takes part.
#[derive(Debug)]
enum Kept {
    Nothing,
    Service { _service: Service },
    Guard { _guard: Guard },
}

impl Contestant {
    pub(crate) fn used(&self) -> Result<Used> {
        self.process.map_or(Ok(Used::default()), Used::by)
    }

    fn service(
        name: &'static str,
        (mut service, address): (Service, SocketAddr),
        token: Option<String>,
    ) -> Self {
        Self {
            name,
            address,
            token,
            process: Some(service.child().id()),
            _kept: Kept::Service { _service: service },
        }
    }
}

/// All of them before the same server, or those whose name contains one of the `wanted` texts.
pub(crate) fn all(field: &Field, wanted: &[String]) -> Result<Vec<Contestant>> {
    let names = [ALONE, NGINX, ENVOY, DISABLED, BEST_EFFORT, STRICT, POD];
    let takes_part =
        |name: &&str| wanted.is_empty() || wanted.iter().any(|text| name.contains(text.as_str()));
    names
        .into_iter()
        .filter(takes_part)
        .map(|name| one(field, name))
        .collect()
}

fn one(field: &Field, name: &'static str) -> Result<Contestant> {
    let home = |folder: &str| field.folder.join("running").join(folder);
    let token = Some(field.token.clone());
    match name {
        NGINX => Ok(Contestant::service(
            name,
            nginx::start(field.server, &home("nginx"))?,
            None,
        )),
        ENVOY => {
            let keys = std::fs::read_to_string(field.folder.join("jwks.json"))?;
            let started = envoy::start(field.server, &keys, &home("envoy"))?;
            Ok(Contestant::service(name, started, token))
        }
        POD => {
            let started = sidecar::start(field, "best-effort", &home("pod"))?;
            Ok(Contestant::service(name, started, token))
        }
        DISABLED => standalone(field, name, "disabled"),
        BEST_EFFORT => standalone(field, name, "best-effort"),
        STRICT => standalone(field, name, "strict"),
        _ => Ok(Contestant {
            name,
            address: field.server,
            token: None,
            process: None,
            _kept: Kept::Nothing,
        }),
    }
}

fn standalone(field: &Field, name: &'static str, gateway: &'static str) -> Result<Contestant> {
    let mut guard = up(field, gateway, gateway)?;
    Ok(Contestant {
        name,
        address: guard
            .url
            .trim_start_matches("http://")
            .trim_end_matches("/mcp")
            .parse()?,
        token: Some(field.token.clone()),
        process: Some(guard.process()),
        _kept: Kept::Guard { _guard: guard },
    })
}

/// `sallyport up` with one worker and a log that tells only of trouble, as the other two log nothing.
pub(crate) fn up(field: &Field, gateway: &str, state: &str) -> Result<Guard> {
    let running = field.folder.join("running");
    std::fs::create_dir_all(&running)?;
    Guard::start(&guard::Plan {
        binary: &field.sallyport,
        policy: &field.folder.join("policy"),
        gateway,
        state: &running.join(state),
        secrets: &[],
        upstream: Upstream::Url(format!("http://{}/mcp", field.server)),
        env: &[
            ("TOKIO_WORKER_THREADS", "1".to_owned()),
            ("SALLYPORT_LOG", "warn".to_owned()),
        ],
        flags: &[],
    })
}
