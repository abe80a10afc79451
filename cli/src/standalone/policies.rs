//! From files to a bundle, again and again: a changed file is picked up, a bad one is told and the last good one stays.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sallyport_crds::yaml::{self, Input, Loaded};
use sallyport_policy::bundle::Bundle;
use sallyport_policy::compile::{self, Mistake};
use sallyport_policy::name::{GatewayName, Issuer};
use sallyport_policy::source::Secrets;
use sallyport_sidecar::hold::local::LocalDesk;
use sallyport_sidecar::identity::local::LOCAL_ISSUER;
use sallyport_sidecar::run::Running;
use sallyport_sidecar::watch::{Depth, Folders};

use super::idle::idle;

/// Behind the watch, for file systems that tell nothing.
const POLL: Duration = Duration::from_secs(5);
/// Editors write in several steps; this waits for the last.
const SETTLE: Duration = Duration::from_millis(100);

/// Where policy comes from.
#[derive(Debug)]
pub(super) struct Policies {
    files: Vec<PathBuf>,
    gateway: Option<String>,
    /// Whether the server was given on the command line.
    named: bool,
}

/// What was loaded.
pub(super) struct InForce {
    pub(super) bundle: Bundle,
    pub(super) secrets: Secrets,
    pub(super) warnings: Vec<String>,
}

impl Policies {
    pub(super) fn new(files: &[PathBuf], gateway: Option<&str>, named: bool) -> Self {
        Self {
            files: files.to_vec(),
            gateway: gateway.map(str::to_owned),
            named,
        }
    }

    /// Reads and compiles everything, or tells every mistake of every file.
    pub(super) fn load(&self) -> Result<InForce, String> {
        let issuer = Issuer::new(LOCAL_ISSUER);
        if self.files.is_empty() {
            let bundle =
                Bundle::built_in(super::unnamed(), &issuer).map_err(|error| error.to_string())?;
            return Ok(InForce {
                bundle,
                secrets: Secrets::default(),
                warnings: Vec::new(),
            });
        }
        let inputs: Vec<_> = self.files.iter().cloned().map(Input::Path).collect();
        let loaded = yaml::load(&inputs).map_err(|mistakes| lines(&mistakes))?;
        let gateway = self.choose(&loaded)?;
        let compiled = compile::compile(&loaded.sources, &gateway)
            .map_err(|mistakes| placed(&loaded, &mistakes))?;
        if !compiled.below.is_empty() {
            return Err(format!(
                "the gateway is below a guardrail:\n{}",
                placed(&loaded, &compiled.below)
            ));
        }
        let told = compiled.warnings.iter();
        let told = told.map(|warning| located(&loaded, warning));
        let mapped = !compiled.content.settings.identity_map.is_empty();
        let spec = loaded.sources.gateway(&gateway).map(|named| &named.spec);
        let idle = spec
            .into_iter()
            .flat_map(|spec| idle(spec, mapped, self.named));
        let warnings = told.chain(idle).collect();
        let bundle = Bundle::activate(compiled.content).map_err(|error| error.to_string())?;
        Ok(InForce {
            bundle: bundle.with_standalone_issuer(issuer),
            secrets: loaded.secrets,
            warnings,
        })
    }

    fn choose(&self, loaded: &Loaded) -> Result<GatewayName, String> {
        let names: Vec<GatewayName> = loaded
            .sources
            .gateways
            .iter()
            .map(|gateway| GatewayName {
                namespace: gateway.namespace.clone(),
                name: gateway.name.clone(),
            })
            .collect();
        let wanted = |name: &GatewayName| match self.gateway.as_deref() {
            None => true,
            Some(wanted) => name.name == wanted || name.to_string() == wanted,
        };
        let mut fitting = names.iter().filter(|name| wanted(name));
        match (fitting.next(), fitting.next()) {
            (Some(name), None) => Ok(name.clone()),
            (None, _) if names.is_empty() => {
                Err("the files hold no McpGateway; add one, or leave out -f".to_owned())
            }
            (None, _) => Err(format!("no such gateway; the files hold {}", list(&names))),
            (Some(_), Some(_)) => Err(format!(
                "several gateways; choose one with --gateway: {}",
                list(&names)
            )),
        }
    }

    /// Puts changed files in force for as long as the guard runs; never returns.
    pub(super) async fn watch(&self, running: &Running, desk: &LocalDesk) {
        let folders = Folders::watch(self.files.iter().map(|path| place(path)));
        loop {
            tokio::select! {
                () = folders.changed() => tokio::time::sleep(SETTLE).await,
                () = tokio::time::sleep(POLL) => {}
            }
            if self.files.is_empty() {
                continue;
            }
            match self.load() {
                Ok(next)
                    if next.bundle.revision() == running.gateway.policy().bundle.revision() => {}
                Ok(next) => adopt(running, desk, next).await,
                Err(mistakes) => tracing::error!(
                    "the changed policy is not put in force; the last good one stays:\n{mistakes}"
                ),
            }
        }
    }
}

async fn adopt(running: &Running, desk: &LocalDesk, next: InForce) {
    let revision = next.bundle.revision();
    let issuers = super::reviewers_issuers(&next.bundle);
    for warning in &next.warnings {
        tracing::warn!("{warning}");
    }
    match running.replace(next.bundle) {
        Ok(()) => {
            tracing::info!(%revision, "policy in force: {revision}");
            if let Err(error) = desk.set_issuers(issuers).await {
                tracing::error!(%error, "reviews are still judged by the issuers of the policy before");
            }
        }
        Err(error) => tracing::error!(
            "the changed policy is not put in force; the last good one stays: {error}"
        ),
    }
}

/// Folders are watched, not files: editors and mounted volumes replace files rather than write them.
fn place(path: &Path) -> (&Path, Depth) {
    if path.is_dir() {
        return (path, Depth::Below);
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    (folder.unwrap_or_else(|| Path::new(".")), Depth::Itself)
}

fn list(names: &[GatewayName]) -> String {
    names
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn lines(mistakes: &[impl ToString]) -> String {
    mistakes
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Mistakes of the compiler with the place in the file where each stands.
fn placed(loaded: &Loaded, mistakes: &[Mistake]) -> String {
    mistakes
        .iter()
        .map(|mistake| located(loaded, mistake))
        .collect::<Vec<_>>()
        .join("\n")
}

fn located(loaded: &Loaded, mistake: &Mistake) -> String {
    yaml::Mistake::of_compiler(mistake.clone(), &loaded.places).to_string()
}
