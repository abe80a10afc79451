//! Our own programs for images: static, so that an image holds the program and nothing that could be out of date.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::setup::BUILD_LIMIT;
use crate::workspace;

/// Builds binaries of the workspace and says where they lie, in the order asked for.
pub(super) fn statics(binaries: &[&str]) -> Result<Vec<PathBuf>> {
    let triple = host()?;
    let mut command = workspace::cargo();
    command.args(["build", "--quiet", "--workspace", "--target", &triple]);
    for binary in binaries {
        command.args(["--bin", binary]);
    }
    // The C library's resolver has had its sources of names built in since 2.34: no module is loaded at run time.
    command
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    process::run(&mut command, "", BUILD_LIMIT)?.good("cargo build of the images' programs")?;
    let folder = workspace::target()?.join(&triple).join("debug");
    Ok(binaries.iter().map(|binary| folder.join(binary)).collect())
}

/// Named explicitly, so that the flags bear on our programs and not on build scripts and macros.
fn host() -> Result<String> {
    let said = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("rustc cannot be started")?;
    let text = String::from_utf8_lossy(&said.stdout);
    match text.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(triple) => Ok(triple.to_owned()),
        None => bail!("rustc does not say which host it is for"),
    }
}
