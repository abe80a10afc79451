//! Where things of a cluster under test lie, and the addresses it uses inside its own network namespace.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The node's name and addresses; its bridge has no port, so nothing of it is reachable from outside.
pub(super) const NODE: &str = "n1";
pub(super) const NODE_V4: &str = "10.88.0.1";
pub(super) const NODE_V6: &str = "fd88::1";
pub(super) const PODS_V4: &str = "10.88.1.0/24";
pub(super) const PODS_V6: &str = "fd88:0:0:1::/64";
pub(super) const SERVICES_V4: &str = "10.96.0.0/16";
pub(super) const SERVICES_V6: &str = "fd96::/112";
/// The API server's own Service: always the first address of the range.
pub(super) const API_V4: &str = "10.96.0.1";
pub(super) const DNS: &str = "10.96.0.10";
/// The socket of the container runtime; `/run` is a memory file system of the cluster's own.
pub(super) const RUNTIME: &str = "/run/containerd.sock";

/// The files of one cluster, all below one folder that is made anew at each start and removed at the end.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) state: PathBuf,
}

impl Layout {
    /// What was built from source: a link into the cache, so that a cluster keeps what it was started with.
    pub(super) fn programs(&self) -> PathBuf {
        self.state.join("bin")
    }

    pub(super) fn keys(&self) -> PathBuf {
        self.state.join("keys")
    }

    pub(super) fn key(&self, file: &str) -> String {
        text(&self.keys().join(file))
    }

    pub(super) fn config(&self, file: &str) -> String {
        text(&self.state.join("config").join(file))
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    pub(super) fn images(&self) -> PathBuf {
        self.state.join("images")
    }

    pub(super) fn kubeconfig(&self, who: &str) -> String {
        self.config(&format!("{who}.kubeconfig"))
    }

    /// The control group that all pods of this cluster live under: two clusters do not share one.
    pub(super) fn group(&self) -> String {
        let digest = aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            self.state.as_os_str().as_encoded_bytes(),
        );
        let mut name = hex::encode(digest);
        name.truncate(12);
        format!("sallyport-{name}")
    }

    pub(super) fn write(&self, file: &str, content: &str) -> Result<()> {
        let path = self.state.join("config").join(file);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    }
}

pub(super) fn text(path: &Path) -> String {
    path.display().to_string()
}
