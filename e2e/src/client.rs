//! The official TypeScript SDK in a pod: one scenario of steps, or one call again and again.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::child::Teller;
use crate::kubectl::Kubectl;

/// The pod that it runs in.
pub(crate) const POD: &str = "client";

/// How a client reaches a server, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) token: Option<String>,
}

impl Place {
    /// Connects, takes the steps and says what came of each, by the step's name.
    pub(crate) fn take(&self, kubectl: &Kubectl, steps: &[Value]) -> Result<Value> {
        let mut plan = self.plan();
        if let Some(members) = plan.as_object_mut() {
            members.insert("steps".to_owned(), json!(steps));
        }
        let words = ["node", "/app/drivers/ts1.mjs"];
        let said = kubectl.exec(POD, &words, &plan.to_string())?;
        if !said.good {
            bail!("the client failed: {}", said.stderr.trim());
        }
        serde_json::from_str(&said.stdout)
            .with_context(|| format!("the client's report: {}", said.stdout))
    }

    /// Calls a tool in a row until the outcome changes. The first line says that it began.
    pub(crate) fn until_it_changes(
        &self,
        kubectl: &Kubectl,
        tool: &str,
        arguments: &Value,
        limit: Duration,
    ) -> Result<Teller> {
        let mut plan = self.plan();
        if let Some(members) = plan.as_object_mut() {
            members.insert(
                "call".to_owned(),
                json!({ "name": tool, "arguments": arguments }),
            );
            members.insert("seconds".to_owned(), json!(limit.as_secs()));
        }
        let words = ["node", "/app/drivers/until.mjs"];
        let mut teller = kubectl.follow(POD, &words, &plan.to_string())?;
        teller.line().context("the client did not begin")?;
        Ok(teller)
    }

    fn plan(&self) -> Value {
        json!({ "transport": "http", "url": self.url, "token": self.token })
    }
}

/// Whether a step's tool ran and did not fail.
pub(crate) fn ran(outcome: &Value) -> bool {
    outcome.get("result").is_some()
        && outcome.pointer("/result/isError") != Some(&Value::Bool(true))
}

/// What a step was told: the first text of a result, or the message of an error.
pub(crate) fn told(outcome: &Value) -> &str {
    ["/result/content/0/text", "/error/message"]
        .iter()
        .find_map(|place| outcome.pointer(place)?.as_str())
        .unwrap_or_default()
}
