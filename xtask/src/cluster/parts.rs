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

const STRIPPED: &str = "-s -w";

/// Installs what is missing and gives the folder with what was built.
pub(super) fn installed() -> Result<PathBuf> {
    debian()?;
    let go = setup::go()?;
    setup::cached(
        "cluster",
        &recipe()?,
        "Kubernetes, built from its Go modules (about 12 minutes on two cores, once)",
        |folder| build(&go, folder),
    )
}

/// What decides what is built.
fn recipe() -> Result<String> {
    let mut recipe = flags()?;
    for module in ["kubernetes", "coredns", "pause"] {
        recipe += &list(module)?;
    }
    Ok(recipe)
}

/// Whether everything is there already, so that a cluster starts in seconds.
pub(super) fn built() -> Result<bool> {
    let there =
        setup::is_cached("cluster", &recipe()?)? && setup::is_cached("helm", &list("helm")?)?;
    Ok(there && DEBIAN.iter().all(|(program, _)| found(program)))
}

/// Helm, by which the chart is installed; apart from the rest, because only that needs it.
pub(super) fn helm() -> Result<PathBuf> {
    let go = setup::go()?;
    let folder = setup::cached("helm", &list("helm")?, "Helm (about 2 minutes)", |into| {
        let package = "helm.sh/helm/v4/cmd/helm";
        go_build(&go, &sources("helm"), package, STRIPPED, into)
    })?;
    Ok(folder.join("helm"))
}

/// The modules that a program is built from, with their versions.
fn list(module: &str) -> Result<String> {
    let list = sources(module).join("go.mod");
    std::fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))
}

fn sources(module: &str) -> PathBuf {
    workspace::root().join("xtask/cluster").join(module)
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

fn build(go: &Path, into: &Path) -> Result<()> {
    let flags = flags()?;
    let built = |module, package: &str, flags: &str| {
        step(&format!("built {package}"), || {
            go_build(go, &sources(module), package, flags, into)
        })
    };
    for command in KUBERNETES {
        built(
            "kubernetes",
            &format!("k8s.io/kubernetes/cmd/{command}"),
            &flags,
        )?;
    }
    built("coredns", "github.com/coredns/coredns", STRIPPED)?;
    built("pause", ".", STRIPPED)
}

/// Stripped, and told which version they are, by the names that a release's own build sets.
fn flags() -> Result<String> {
    let list = list("kubernetes")?;
    let version = list
        .lines()
        .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"))
        .and_then(|rest| rest.split_whitespace().next())
        .context("the list of modules names no k8s.io/kubernetes")?;
    let mut parts = version.split('.');
    let (major, minor) = parts
        .next()
        .zip(parts.next())
        .context("a version has parts")?;
    let mut flags = STRIPPED.to_owned();
    for package in [
        "k8s.io/component-base/version",
        "k8s.io/client-go/pkg/version",
    ] {
        flags += &format!(" -X {package}.gitVersion=v{version}");
        flags += &format!(" -X {package}.gitMajor={major} -X {package}.gitMinor={minor}");
    }
    Ok(flags)
}

fn go_build(go: &Path, module: &Path, package: &str, flags: &str, into: &Path) -> Result<()> {
    let mut command = Command::new(go);
    command
        .args(["build", "-mod=readonly", "-buildvcs=false", "-trimpath"])
        .args(["-ldflags", flags, "-o"])
        .arg(into)
        .arg(package)
        .current_dir(module)
        // Static, so that the same programs run in an image from scratch.
        .env("CGO_ENABLED", "0");
    process::run(&mut command, "", setup::BUILD_LIMIT)?.good(package)?;
    Ok(())
}
