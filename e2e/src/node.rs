//! Root on the node, in a pod: what ends the processes of others.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::bed::Bed;
use crate::kubectl::Kubectl;
use crate::stage::say;

const POD: &str = include_str!("../manifests/node.yaml");
/// Ends every sidecar that was started with the first argument; fails where there is none. Whoever runs this has the
/// argument in its own words too, and is no sidecar.
const KILL: &str = r#"
    found=1
    for process in /proc/[0-9]*; do
        words="$(tr '\0' '\n' 2>/dev/null <"$process/cmdline")"
        case "$words" in
        /sallyport-sidecar*) echo "$words" | grep -qxF -- "$1" && kill -9 "${process#/proc/}" && found=0 ;;
        esac
    done
    exit $found
"#;
const NAME: &str = "e2e-node";
const READY: Duration = Duration::from_secs(60);

/// The pod; deleted when dropped.
#[derive(Debug)]
pub(crate) struct Node {
    kubectl: Kubectl,
}

impl Node {
    pub(crate) fn enter(bed: &Bed) -> Result<Self> {
        let kubectl = Kubectl::within("kube-system");
        kubectl.apply(&POD.replace("{CLIENT}", bed.image("client")?))?;
        let node = Self { kubectl };
        node.kubectl
            .wait("condition=Ready", &["pod", NAME], READY)?;
        Ok(node)
    }

    /// SIGKILL to every sidecar of a gateway.
    pub(crate) fn kill_sidecar(&self, namespace: &str, gateway: &str) -> Result<()> {
        let gateway = format!("--gateway={namespace}/{gateway}");
        let words = ["sh", "-c", KILL, "kill", &gateway];
        let said = self.kubectl.exec(NAME, &words, "")?;
        if !said.good {
            bail!(
                "no sidecar with {gateway} was killed: {}",
                said.stderr.trim()
            );
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self
            .kubectl
            .good(&["delete", "pod", NAME, "--wait=false"], "")
        {
            say(&format!("pod {NAME} stays behind: {error:#}"));
        }
    }
}
