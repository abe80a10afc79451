//! The cluster as `kubectl` sees it, in one namespace.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::child::{self, Said, Teller};

/// What is refused is refused at once.
const ATTEMPT: Duration = Duration::from_secs(15);
/// One question or one change; a wait says its own limit.
const WORD: Duration = Duration::from_secs(60);

/// `kubectl -n NAMESPACE`.
#[derive(Clone, Debug)]
pub(crate) struct Kubectl {
    namespace: String,
    user: Option<String>,
}

impl Kubectl {
    pub(crate) fn within(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            user: None,
        }
    }

    /// The same namespace as somebody else, by impersonation: RBAC and admission see that user and no other.
    pub(crate) fn acting_as(&self, user: &str) -> Self {
        Self {
            user: Some(user.to_owned()),
            ..self.clone()
        }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whatever comes of it.
    pub(crate) fn ask(&self, words: &[&str], input: &str) -> Result<Said> {
        child::run(self.command().args(words), input, WORD)
    }

    /// Whatever comes of it in a short while; what still runs then was not refused.
    pub(crate) fn try_for_a_while(&self, words: &[&str], input: &str) -> Result<Said> {
        let tried = child::run(self.command().args(words), input, ATTEMPT);
        tried.or_else(|error| {
            Ok(Said {
                good: true,
                stdout: String::new(),
                stderr: format!("{error:#}"),
            })
        })
    }

    /// Its stdout, or an error with what it complained about.
    pub(crate) fn good(&self, words: &[&str], input: &str) -> Result<String> {
        let said = self.ask(words, input)?;
        if !said.good {
            bail!("kubectl {}: {}", words.join(" "), said.stderr.trim());
        }
        Ok(said.stdout)
    }

    /// Applies YAML or JSON, as a person does.
    pub(crate) fn apply(&self, text: &str) -> Result<()> {
        self.good(&["apply", "-f", "-"], text).map(drop)
    }

    /// One object, or a list of them, as JSON.
    pub(crate) fn get(&self, words: &[&str]) -> Result<Value> {
        let mut all = vec!["get", "-o", "json"];
        all.extend(words);
        let text = self.good(&all, "")?;
        serde_json::from_str(&text).context("what kubectl printed")
    }

    /// What the API server says its version is.
    pub(crate) fn version(&self) -> Result<String> {
        let text = self.good(&["version", "-o", "json"], "")?;
        let told: Value = serde_json::from_str(&text).context("what kubectl printed")?;
        let version = told
            .pointer("/serverVersion/gitVersion")
            .and_then(Value::as_str);
        Ok(version
            .context("the API server tells no version")?
            .to_owned())
    }

    /// Waits until a condition holds on all that the words name.
    pub(crate) fn wait(&self, condition: &str, words: &[&str], limit: Duration) -> Result<()> {
        let (condition, limit_text) = (
            format!("--for={condition}"),
            format!("--timeout={}s", limit.as_secs()),
        );
        let mut command = self.command();
        command.args(["wait", &condition, &limit_text]).args(words);
        let said = child::run(&mut command, "", limit + WORD)?;
        if !said.good {
            bail!("{}: {}", words.join(" "), said.stderr.trim());
        }
        Ok(())
    }

    /// A command in a pod, with text on its stdin.
    pub(crate) fn exec(&self, pod: &str, words: &[&str], input: &str) -> Result<Said> {
        let mut all = vec!["--"];
        all.extend(words);
        self.exec_with(pod, &all, input)
    }

    /// The same, where the words begin with flags of `kubectl exec` and `--`.
    pub(crate) fn exec_with(&self, pod: &str, words: &[&str], input: &str) -> Result<Said> {
        let mut command = self.command();
        command.args(["exec", "-i", pod]).args(words);
        child::run(&mut command, input, WORD)
    }

    /// A command in a pod that tells while it runs.
    pub(crate) fn follow(&self, pod: &str, words: &[&str], input: &str) -> Result<Teller> {
        let mut command = self.command();
        command.args(["exec", "-i", pod, "--"]).args(words);
        Teller::start(&mut command, input)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("kubectl");
        command.args(["--namespace", &self.namespace]);
        if let Some(user) = &self.user {
            command.args(["--as", user, "--as-group", "system:authenticated"]);
        }
        command
    }
}

/// What stands at a JSON pointer; `null` where nothing does, which no test wants to see.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}
