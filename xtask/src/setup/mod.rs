//! What the other commands need beyond cargo, installed once and kept in a cache folder.
//!
//! Each list of packages is pinned exactly, and the folder it is installed into is named by a digest of the list: a
//! changed list is a new folder, so nothing is ever half old. Debian packages are installed only where a program is
//! missing, and it is said.

mod cache;
mod go;
mod node;
mod python;
mod tools;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::console::say;
use crate::process;

pub(crate) use cache::{is_ready as is_cached, ready as cached};
pub(crate) use go::go;
pub(crate) use node::{Inspector, Node, Suite};
pub(crate) use python::Python;
pub(crate) use tools::{cargo_deny, cpp, envoy, git, go_program, nginx};

/// Downloads and builds are bounded, so that a registry that hangs cannot hang a run.
const INSTALL_LIMIT: Duration = Duration::from_secs(1200);

/// The largest program that is built from source, with everything below it.
pub(crate) const BUILD_LIMIT: Duration = Duration::from_secs(3600);

/// What `cargo xtask setup` does.
pub(crate) fn everything() -> Result<()> {
    say(&format!(
        "node      {}",
        Node::installed()?.program().display()
    ));
    say(&format!(
        "python    {} (SDK 1)",
        Python::first()?.program().display()
    ));
    say(&format!(
        "python    {} (SDK 2)",
        Python::second()?.program().display()
    ));
    say(&format!(
        "suite     {}",
        Suite::installed()?.script().display()
    ));
    say(&format!(
        "inspector {}",
        Inspector::installed()?.script().display()
    ));
    say(&format!("deny      {}", cargo_deny()?.display()));
    say(&format!("envoy     {}", envoy()?.display()));
    Ok(())
}

/// Installs Debian packages, which needs root; tells what to do where that is not so.
pub(crate) fn apt(packages: &[&str], why: &str) -> Result<()> {
    let list = packages.join(" ");
    say(&format!("installing {list} from Debian: {why}"));
    if !rustix::process::geteuid().is_root() {
        bail!("{why}; install it as root: apt-get install {list}");
    }
    step(Command::new("apt-get").args(["-qq", "update"]))?;
    let mut install = Command::new("apt-get");
    install
        .args(["-qq", "install", "--yes", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive");
    step(&mut install)
}

/// Runs one step of an installation; its output is shown only where it fails.
fn step(command: &mut Command) -> Result<()> {
    let what = command.get_program().display().to_string();
    process::run(command, "", INSTALL_LIMIT)?.good(&what)?;
    Ok(())
}

/// Whether a program is there and starts.
fn starts(program: impl AsRef<Path>, argument: &str) -> bool {
    Command::new(program.as_ref())
        .arg(argument)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
