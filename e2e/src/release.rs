//! Sallyport on the cluster, as its users put it there: `helm upgrade --install`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::bed::Bed;
use crate::child;
use crate::stage::say;

pub(crate) const NAMESPACE: &str = "sallyport-system";
const INSTALL: Duration = Duration::from_secs(180);

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
    Ok(())
}
