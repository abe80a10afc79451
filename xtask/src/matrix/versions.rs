//! Which packages are run: read from the lists that they are installed from, so that a page cannot say otherwise.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::workspace;

/// An npm package, of the lists beside the drivers.
pub(crate) fn npm(name: &str) -> Result<String> {
    for list in ["package.json", "inspector/package.json"] {
        let text = std::fs::read_to_string(workspace::clients().join(list))?;
        let list: Value = serde_json::from_str(&text)?;
        let version = list
            .get("dependencies")
            .and_then(|all| all.get(name)?.as_str());
        if let Some(version) = version {
            return Ok(format!("`{name}` {version}"));
        }
    }
    anyhow::bail!("`{name}` is in no list of npm packages")
}

/// A Python package of one of the two environments.
pub(crate) fn pypi(environment: &str, name: &str) -> Result<String> {
    let list = workspace::clients().join(format!("requirements-{environment}.txt"));
    let text = std::fs::read_to_string(&list)?;
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix("=="));
    let version = version.with_context(|| format!("`{name}` is not in {}", list.display()))?;
    Ok(format!("`{name}` {version} (PyPI)"))
}

/// A crate of the workspace's lock file.
pub(crate) fn rust(name: &str) -> Result<String> {
    let text = std::fs::read_to_string(workspace::root().join("Cargo.lock"))?;
    let wanted = format!("name = \"{name}\"");
    let mut lines = text.lines().skip_while(|line| *line != wanted).skip(1);
    let version = lines
        .next()
        .and_then(|line| line.strip_prefix("version = "));
    let version = version.with_context(|| format!("`{name}` is not in Cargo.lock"))?;
    Ok(format!(
        "`{name}` {} (crates.io)",
        version.trim_matches('"')
    ))
}
