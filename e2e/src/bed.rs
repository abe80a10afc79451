//! The cluster that cases run on: which images it knows, and namespaces that end with their case.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::issuer::Issuer;
use crate::kubectl::Kubectl;
use crate::stage::say;

/// What all cases share.
#[derive(Debug)]
pub(crate) struct Bed {
    images: BTreeMap<String, String>,
    pub(crate) issuer: Issuer,
    /// The chart to install, where it is not somebody else's doing.
    pub(crate) chart: Option<PathBuf>,
}

impl Bed {
    /// Asks the cluster for its version first: a kubeconfig that leads nowhere is told in those words.
    pub(crate) fn ready(images: &Path, chart: Option<&Path>) -> Result<Self> {
        let text = std::fs::read_to_string(images)
            .with_context(|| format!("cannot read {}", images.display()))?;
        let version = Kubectl::within("default").version()?;
        say(&format!("The cluster runs Kubernetes {version}."));
        Ok(Self {
            images: serde_json::from_str(&text).context("the list of images")?,
            issuer: Issuer::new()?,
            chart: chart.map(Path::to_path_buf),
        })
    }

    /// What pods call an image.
    pub(crate) fn image(&self, name: &str) -> Result<&str> {
        let image = self.images.get(name);
        image
            .map(String::as_str)
            .with_context(|| format!("no image `{name}` is on the cluster"))
    }

    /// A namespace of a case's own.
    pub(crate) fn namespace(&self, name: &str) -> Result<Namespace> {
        let cluster = Kubectl::within("default");
        // What an interrupted run left is not what this one made.
        cluster.good(&["delete", "namespace", name, "--ignore-not-found"], "")?;
        cluster.good(&["create", "namespace", name], "")?;
        Ok(Namespace {
            kubectl: Kubectl::within(name),
        })
    }
}

/// Deleted, with all that is in it, when dropped.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) kubectl: Kubectl,
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let name = self.kubectl.namespace();
        let words = ["delete", "namespace", name, "--wait=false"];
        if let Err(error) = self.kubectl.good(&words, "") {
            say(&format!("namespace {name} stays behind: {error:#}"));
        }
    }
}
