//! Where things are: the repository, its build output, the cache of downloads.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The root of the repository, wherever the command was called from.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

/// The drivers and servers of the client matrix.
pub(crate) fn clients() -> PathBuf {
    root().join("xtask/clients")
}

/// The cargo that runs us, in the repository.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Which build of a binary is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build; what tests and demo use.
    Dev,
    /// What is measured.
    Release,
}

impl Profile {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Dev => &[],
            Self::Release => &["--release"],
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Builds one binary of the workspace and copies it into a folder: a build meanwhile must not change what is run.
pub(crate) fn build(package: &str, binary: &str, profile: Profile, into: &Path) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--package", package, "--bin", binary]);
    let status = command
        .args(profile.arguments())
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("`{binary}` does not build");
    }
    let built = target()?.join(profile.folder()).join(binary);
    let copy = into.join(binary);
    std::fs::copy(&built, &copy).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(copy)
}

/// The build folder, asked of cargo, which knows every way to set it.
pub(crate) fn target() -> Result<PathBuf> {
    let output = cargo()
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .output()
        .context("cargo cannot be started")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("the answer of `cargo metadata`")?;
    metadata
        .get("target_directory")
        .and_then(|path| path.as_str())
        .map(PathBuf::from)
        .context("`cargo metadata` names no target_directory")
}
