//! The suite itself: a program that writes a folder for each scenario, with what came of each check.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::process;
use crate::setup::{Node, Suite as Installed};

/// A whole set takes ten seconds on a quiet machine.
const LIMIT: Duration = Duration::from_secs(240);
/// `-2026-11-23T21-36-11-369Z`, which ends a folder's name.
const STAMP: usize = 25;

/// The installed suite.
#[derive(Debug)]
pub(crate) struct Suite {
    node: PathBuf,
    script: PathBuf,
}

/// What came of a run, in the order in which scenarios ran.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) all: Vec<Check>,
}

/// One check.
#[derive(Debug, Deserialize)]
pub(crate) struct Check {
    #[serde(skip)]
    pub(crate) scenario: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) status: String,
    #[serde(rename = "errorMessage")]
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) details: Value,
}

impl Suite {
    pub(crate) fn installed(node: &Node) -> Result<Self> {
        Ok(Self {
            node: node.program(),
            script: Installed::installed()?.script(),
        })
    }

    /// All server scenarios of a set.
    pub(crate) fn server(&self, url: &str, set: &str, folder: &Path) -> Result<Checks> {
        let mut command = self.command("server", folder);
        command.args(["--url", url, "--requirements", set]);
        finished(&mut command, folder, "server-")
    }

    /// One client scenario; `client` is a command line to which the suite adds an address.
    pub(crate) fn client(
        &self,
        client: &str,
        scenario: &str,
        revision: &str,
        env: &[(&str, &Path)],
        folder: &Path,
    ) -> Result<Checks> {
        let mut command = self.command("client", folder);
        command.args(["--command", client, "--scenario", scenario]);
        command.args(["--spec-version", revision]);
        command.envs(env.iter().copied());
        finished(&mut command, folder, "")
    }

    fn command(&self, mode: &str, folder: &Path) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(&self.script).arg(mode);
        command.arg("--output-dir").arg(folder);
        command
    }
}

impl Checks {
    /// The checks that did not pass, as lines.
    pub(crate) fn bad(&self) -> Vec<String> {
        let bad = |check: &&Check| matches!(check.status.as_str(), "FAILURE" | "WARNING");
        self.all.iter().filter(bad).map(Check::line).collect()
    }
}

impl Check {
    pub(crate) fn line(&self) -> String {
        let Self {
            scenario,
            id,
            name,
            status,
            ..
        } = self;
        let error = self.error.as_deref().unwrap_or_default();
        format!("{status} {scenario} / {id} / {name} {error}")
    }
}

/// Runs the suite to its end; that some checks fail is no error here.
fn finished(command: &mut Command, folder: &Path, prefix: &str) -> Result<Checks> {
    let said = process::run(command, "", LIMIT)?;
    let all =
        read(folder, prefix).with_context(|| format!("after the suite said: {}", said.stderr))?;
    ensure!(
        !all.is_empty(),
        "the suite checked nothing: {}{}",
        said.stdout,
        said.stderr
    );
    Ok(Checks { all })
}

fn read(folder: &Path, prefix: &str) -> Result<Vec<Check>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.path().join("checks.json");
        let text = fs::read_to_string(&file).with_context(|| format!("no {}", file.display()))?;
        let checks: Vec<Check> = serde_json::from_str(&text)
            .with_context(|| format!("the checks in {}", file.display()))?;
        let scenario = scenario(&entry.file_name().to_string_lossy(), prefix);
        all.extend(checks.into_iter().map(|check| Check {
            scenario: scenario.clone(),
            ..check
        }));
    }
    Ok(all)
}

fn scenario(folder: &str, prefix: &str) -> String {
    let name = folder.strip_prefix(prefix).unwrap_or(folder);
    let end = name.len().saturating_sub(STAMP);
    name.get(..end).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::scenario;

    #[test]
    fn a_folder_is_named_by_its_scenario_and_a_time() {
        let folder = "server-tools-list-2026-11-23T21-36-11-369Z";
        assert_eq!(scenario(folder, "server-"), "tools-list");
        assert_eq!(
            scenario("initialize-2026-11-23T21-36-11-369Z", ""),
            "initialize"
        );
    }
}
