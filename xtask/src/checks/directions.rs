//! Which crate may depend on which, proved by what cargo would link.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::process;
use crate::tally::Count;
use crate::workspace::cargo;

use super::BUILD_LIMIT;

/// A crate of ours, and what must not be reachable from it.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "sallyport-policy",
        &[
            "tokio",
            "hyper",
            "hyper-util",
            "reqwest",
            "kube",
            "kube-client",
            "rand",
            "getrandom",
            "sallyport-crds",
            "sallyport-sidecar",
            "sallyport-recorder",
            "sallyport-operator",
            "sallyport-cli",
        ],
        "policy is pure: it waits for nothing, opens nothing and knows no cluster",
    ),
    (
        "sallyport-crds",
        &[
            "tokio",
            "hyper",
            "kube-client",
            "sallyport-sidecar",
            "sallyport-recorder",
            "sallyport-cli",
        ],
        "the kinds are types and their YAML",
    ),
    (
        "sallyport-capture",
        &[
            "tokio",
            "hyper",
            "kube",
            "kube-client",
            "sallyport-crds",
            "sallyport-sidecar",
            "sallyport-recorder",
            "sallyport-cli",
        ],
        "the rules do not know who loads them",
    ),
    (
        "sallyport-recorder",
        &[
            "hyper",
            "kube",
            "kube-client",
            "sallyport-sidecar",
            "sallyport-cli",
            "sallyport-crds",
        ],
        "the recorder knows no proxy",
    ),
    (
        "sallyport-sidecar",
        &[
            "kube",
            "kube-core",
            "kube-client",
            "k8s-openapi",
            "sallyport-crds",
            "sallyport-cli",
        ],
        "the proxy has no cluster client and no YAML in it",
    ),
    (
        "sallyport-e2e",
        &[
            "sallyport-policy",
            "sallyport-crds",
            "sallyport-capture",
            "sallyport-sidecar",
            "sallyport-recorder",
            "sallyport-operator",
            "sallyport-cli",
        ],
        "the cases know what a user can see",
    ),
    (
        "sallyport-operator",
        &["sallyport-sidecar", "sallyport-recorder", "sallyport-cli"],
        "the operator reaches sidecars through their network interface alone",
    ),
];

/// Only these may depend on the proxy and on the recorder: the command line, and what fuzzes their parsers.
const LINKS_EVERYTHING: &[&str] = &["sallyport-cli", "sallyport-fuzz", "sallyport-fuzz-engine"];

pub(super) fn proved() -> Result<Count> {
    let mut wrong = Vec::new();
    for (package, forbidden, why) in FORBIDDEN {
        let reached = reach(package, &[])?;
        for name in forbidden.iter().filter(|name| reached.contains(**name)) {
            wrong.push(format!("{package} reaches {name}: {why}"));
        }
    }
    for package in ["sallyport-sidecar", "sallyport-recorder"] {
        for name in reach(package, &["--invert"])? {
            let ours = name.starts_with("sallyport-") && name != package;
            if ours && !LINKS_EVERYTHING.contains(&name.as_str()) {
                wrong.push(format!(
                    "{name} depends on {package}, which only the command line and the fuzzers may"
                ));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(Count::one(format!("{} crates", FORBIDDEN.len())));
    }
    bail!("{}", wrong.join("\n    "))
}

/// Names of all packages that a package is linked with, or that are linked with it.
fn reach(package: &str, more: &[&str]) -> Result<BTreeSet<String>> {
    let mut command = cargo();
    command.args([
        "tree",
        "--quiet",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--package",
        package,
    ]);
    command.args(["--target", "all"]).args(more);
    let text = process::run(&mut command, "", BUILD_LIMIT)?.good("cargo tree")?;
    let name = |line: &str| Some(line.split(' ').next()?.to_owned());
    Ok(text.lines().filter_map(name).collect())
}
