//! An approver at work: hears of each request as the guard tells it, and decides by the rule that holds the call.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::guard;
use crate::process::Service;

/// Rules of `policy.yaml`, and what becomes of what they hold. What no line names is left to expire.
const VERDICTS: [(&str, &str); 2] = [("is-approved", "approve"), ("is-rejected", "deny")];

/// Approves and denies until closed.
#[derive(Debug)]
pub(crate) struct Approvals {
    watch: Service,
    work: JoinHandle<Result<()>>,
}

impl Approvals {
    pub(crate) fn given(binary: &Path, state: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["requests", "--watch", "-o", "json", "--state"]);
        command.arg(state).stdout(Stdio::piped());
        let mut watch = Service::spawn(&mut command)?;
        let stdout = watch.child().stdout.take().context("the watch's stdout")?;
        let (binary, state) = (binary.to_path_buf(), state.to_path_buf());
        let work = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                answer(&binary, &state, &line)?;
            }
            Ok(())
        });
        Ok(Self { watch, work })
    }

    /// Ends the watch; an error if a decision was not taken.
    pub(crate) fn close(mut self) -> Result<()> {
        self.watch.stop()?;
        let work = self.work.join();
        work.unwrap_or_else(|_| Err(anyhow!("it broke off")))
            .context("the approver")
    }
}

fn answer(binary: &Path, state: &Path, line: &str) -> Result<()> {
    let request: Value = serde_json::from_str(line).context("a line of the watch")?;
    let Some((id, "Pending")) = guard::phase(&request) else {
        return Ok(());
    };
    let rules = request.pointer("/spec/rules").map(Value::to_string);
    let rules = rules.unwrap_or_default();
    let Some((_, verb)) = VERDICTS.iter().find(|(rule, _)| rules.contains(rule)) else {
        return Ok(());
    };
    let mut arguments = vec![*verb, id, "--as", "bob@example.com"];
    arguments.extend([
        "--group",
        "stock-leads",
        "--reason",
        "asked by the client matrix",
    ]);
    guard::sallyport(binary, state, &arguments)?.good("the decision")?;
    Ok(())
}
