//! Sallyport on the cluster, as its users put it there: `helm upgrade --install`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::bed::Bed;
use crate::child;
use crate::kubectl::Kubectl;
use crate::stage::say;

pub(crate) const NAMESPACE: &str = "sallyport-system";
/// Who the operator is to the API server.
pub(crate) const OPERATOR: &str = "system:serviceaccount:sallyport-system:sallyport-operator";
/// Which pods are its own.
pub(crate) const PODS: [&str; 2] = ["--selector", "app.kubernetes.io/name=sallyport-operator"];
const DEPLOYMENT: &str = "sallyport-operator";
const INSTALL: Duration = Duration::from_secs(180);
const ROUTED: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(200);
const TRIED: &str =
    "{ apiVersion: sallyport.dev/v1alpha1, kind: McpGateway, metadata: { name: tried }, spec: {} }";

/// Installs the chart with the images of the cluster, or brings what is installed up to date.
pub(crate) fn install(bed: &Bed, chart: &Path) -> Result<()> {
    let mut command = Command::new("helm");
    command
        .args(["upgrade", "--install", "sallyport"])
        .arg(chart)
        .args(["--namespace", NAMESPACE, "--create-namespace"])
        .args(["--wait", "--timeout", "120s"]);
    for name in ["operator", "sidecar", "capture"] {
        command.args([
            "--set-string",
            &format!("images.{name}={}", bed.image(name)?),
        ]);
    }
    let said = child::run(&mut command, "", INSTALL)?;
    if !said.good {
        bail!("helm: {}", said.stderr.trim());
    }
    say("Sallyport is installed.");
    admitted()
}

/// Takes the release away.
pub(crate) fn uninstall() -> Result<()> {
    let mut command = Command::new("helm");
    command.args(["uninstall", "sallyport", "--namespace", NAMESPACE, "--wait"]);
    let said = child::run(&mut command, "", INSTALL)?;
    if !said.good {
        bail!("helm: {}", said.stderr.trim());
    }
    gone()
}

/// A replica that is asked to end still answers for some seconds.
fn gone() -> Result<()> {
    let mut pods = vec!["pods"];
    pods.extend(PODS);
    Kubectl::within(NAMESPACE).wait("delete", &pods, INSTALL)
}

/// Runs so many replicas of the operator, and waits until it is so.
pub(crate) fn scale(replicas: u32) -> Result<()> {
    let kubectl = Kubectl::within(NAMESPACE);
    let wanted = format!("--replicas={replicas}");
    kubectl.good(&["scale", "deployment", DEPLOYMENT, &wanted], "")?;
    if replicas == 0 {
        return gone();
    }
    kubectl.wait("condition=Available", &["deployment", DEPLOYMENT], INSTALL)?;
    admitted()
}

/// Ready pods are not yet in every node's table of Services: for a moment more the API server may not reach them.
fn admitted() -> Result<()> {
    let kubectl = Kubectl::within("default");
    let until = Instant::now() + ROUTED;
    loop {
        let said = kubectl.ask(&["create", "--dry-run=server", "-f", "-"], TRIED)?;
        if said.good {
            return Ok(());
        }
        if Instant::now() >= until {
            bail!(
                "the API server does not reach the webhooks: {}",
                said.stderr.trim()
            );
        }
        std::thread::sleep(GLANCE);
    }
}
