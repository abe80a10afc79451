//! What a cluster is made of: Debian's etcd, containerd and network tools, and Kubernetes built from its Go modules.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::steps::step;
use crate::{process, setup, workspace};

/// Programs that must start, and the Debian packages that bring them.
const DEBIAN: [(&str, &str); 10] = [
    ("etcd", "etcd-server"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("ipset", "ipset"),
    ("ethtool", "ethtool"),
];

/// The programs of Kubernetes, each built alone so that progress is seen.
const KUBERNETES: [&str; 6] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
];

/// Installs what is missing and gives the folder with what was built.
pub(super) fn installed() -> Result<PathBuf> {
    debian()?;
    let sources = workspace::root().join("xtask/cluster");
    let go = setup::go()?;
    let mut recipe = String::new();
    for module in ["kubernetes", "coredns", "pause"] {
        let list = sources.join(module).join("go.mod");
        recipe += &std::fs::read_to_string(&list)
            .with_context(|| format!("cannot read {}", list.display()))?;
    }
    setup::cached(
        "cluster",
        &recipe,
        "Kubernetes, built from its Go modules (about 12 minutes on two cores, once)",
        |folder| build(&go, &sources, folder),
    )
}

fn debian() -> Result<()> {
    let missing: Vec<&str> = DEBIAN
        .iter()
        .filter(|(program, _)| !found(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    setup::apt(&missing, "a cluster under test runs on them")
}

/// Whether a program is on the path, the superuser's folders included, or at its absolute place.
fn found(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
    .iter()
    .any(|folder| Path::new(folder).join(program).exists())
}

fn build(go: &Path, sources: &Path, into: &Path) -> Result<()> {
    for command in KUBERNETES {
        step(&format!("built {command}"), || {
            let package = format!("k8s.io/kubernetes/cmd/{command}");
            go_build(go, &sources.join("kubernetes"), &package, into)
        })?;
    }
    step("built coredns", || {
        let package = "github.com/coredns/coredns";
        go_build(go, &sources.join("coredns"), package, into)
    })?;
    go_build(go, &sources.join("pause"), ".", into)
}

fn go_build(go: &Path, module: &Path, package: &str, into: &Path) -> Result<()> {
    let mut command = Command::new(go);
    command
        .args(["build", "-mod=readonly", "-buildvcs=false", "-trimpath"])
        .args(["-ldflags", "-s -w", "-o"])
        .arg(into)
        .arg(package)
        .current_dir(module)
        // Static, so that the same programs run in an image from scratch.
        .env("CGO_ENABLED", "0");
    process::run(&mut command, "", setup::BUILD_LIMIT)?.good(package)?;
    Ok(())
}
