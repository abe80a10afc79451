//! A guard of the real binary with its own folder, and the commands that people type at it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::agent::{Agent, Era};

/// Longest wait for anything that must happen; the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Guard {
    dir: TempDir,
    options: Vec<String>,
    process: Option<Child>,
    url: String,
}

/// What a command of ours said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Policy of most tests: `look` is free, everything else is held for the leads.
pub(crate) fn policy(hold: &str, required: u32) -> String {
    with_rules(
        &format!("{{ hold: {hold}, requestTtl: 1h, maxGrant: 1h }}"),
        &format!(
            "  - {{ name: reading, effect: Allow, tools: [look] }}
  - {{ name: asking, effect: Allow, methods: [elicitation/create] }}
  - name: changes
    effect: RequireApproval
    tools: [write, slow, ask]
    resources: [\"doc://**\"]
    approval: {{ approvers: [{{ groups: [leads] }}], required: {required} }}
"
        ),
    )
}

pub(crate) fn with_rules(approvals: &str, rules: &str) -> String {
    format!(
        "apiVersion: sallyport.dev/v1alpha1
kind: McpGateway
metadata: {{ name: shop }}
spec:
  server: {{}}
  approvals: {approvals}
---
apiVersion: sallyport.dev/v1alpha1
kind: McpAccessPolicy
metadata: {{ name: staff }}
spec:
  targetRefs: [{{ kind: McpGateway, name: shop }}]
  rules:
{rules}"
    )
}

impl Guard {
    pub(crate) fn up(policy: &str) -> Self {
        Self::up_with(policy, &[])
    }

    pub(crate) fn up_with(policy: &str, options: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let mut guard = Self {
            dir,
            options: options.iter().map(|text| (*text).to_owned()).collect(),
            process: None,
            url: String::new(),
        };
        guard.write_policy(policy);
        guard.start();
        guard
    }

    /// Starts the guard on its folder, whatever the last one left there.
    pub(crate) fn start(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("stderr"))
            .unwrap();
        let mut process = Command::new(sallyport())
            .arg("up")
            .arg("-f")
            .arg(self.path("policy.yaml"))
            .args(["--listen", "127.0.0.1:0", "--log", "json", "--state"])
            .arg(self.state())
            .args(&self.options)
            .arg("--")
            .arg(server())
            .arg(self.path("ran"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .split(' ')
            .find_map(|word| word.strip_prefix("url="))
            .unwrap_or_else(|| panic!("not ready: {line:?}\n{}", self.stderr()));
        self.url = url.to_owned();
        self.process = Some(process);
    }

    /// kill -9, in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.kill();
        self.start();
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    pub(crate) fn write_policy(&self, text: &str) {
        let next = self.path("policy.yaml.new");
        fs::write(&next, text).unwrap();
        fs::rename(next, self.path("policy.yaml")).unwrap();
    }

    /// Puts another policy in force, and waits until it is.
    pub(crate) async fn change_policy(&self, text: &str) {
        let before = self.stderr().matches("policy in force").count();
        self.write_policy(text);
        until("the policy is in force", || {
            self.stderr().matches("policy in force").count() > before
        })
        .await;
    }

    /// Ada's one agent.
    pub(crate) async fn agent(&self, era: Era) -> Agent {
        self.agent_of("ada", "restocker", era).await
    }

    pub(crate) async fn agent_of(&self, user: &str, client: &str, era: Era) -> Agent {
        let token = self.run(&[
            "token", "--user", user, "--group", "clerks", "--client", client,
        ]);
        Agent::connect(&self.url, token.out.trim(), era).await
    }

    /// A command with this guard's folder.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        said(self.command().args(words).arg("--state").arg(self.state()))
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(sallyport());
        command.stdin(Stdio::null()).current_dir(self.dir.path());
        command
    }

    /// The requests, as programs see them.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let said = self.run(&["requests", "-o", "json", "--all"]);
        assert_eq!(said.code, 0, "{}", said.err);
        let list: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(
            (&list["apiVersion"], &list["kind"]),
            (&"v1".into(), &"List".into())
        );
        list["items"].as_array().unwrap().clone()
    }

    /// The one request in this phase, once there is one.
    pub(crate) async fn request_in(&self, phase: &str) -> String {
        let found = || {
            let items = self.requests();
            items
                .iter()
                .find(|item| item["status"]["phase"] == phase)
                .map(name_of)
        };
        until(phase, || found().is_some()).await;
        found().unwrap()
    }

    pub(crate) async fn phase_is(&self, request: &str, phase: &str) {
        until(&format!("{request} is {phase}"), || {
            self.requests()
                .iter()
                .any(|item| item["metadata"]["name"] == request && item["status"]["phase"] == phase)
        })
        .await;
    }

    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.requests().iter().map(name_of).collect()
    }

    pub(crate) fn approve(&self, request: &str) {
        let said = self.review("approve", request, "bob");
        assert_eq!(said.code, 0, "{}", said.err);
    }

    /// A lead's word.
    pub(crate) fn review(&self, verdict: &str, request: &str, by: &str) -> Said {
        self.run(&[
            verdict,
            request,
            "--as",
            by,
            "--group",
            "leads",
            "--reason",
            "looked at it",
        ])
    }

    /// What the server really ran, in order.
    pub(crate) fn ran(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("ran")).unwrap_or_default();
        text.lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["ran"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    pub(crate) async fn ran_at_last(&self, what: &str) {
        until(what, || self.ran().iter().any(|ran| ran == what)).await;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
        if std::thread::panicking() {
            writeln!(std::io::stderr(), "the guard said:\n{}", self.stderr()).ok();
        }
    }
}

pub(crate) fn said(command: &mut Command) -> Said {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    Said {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "waited too long until: {what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

pub(crate) fn name_of(item: &Value) -> String {
    item["metadata"]["name"].as_str().unwrap().to_owned()
}

pub(crate) fn sallyport() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sallyport"))
}

/// Cargo builds examples beside the binary, though not for one test alone.
fn server() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args([
                "build",
                "--quiet",
                "--example",
                "echo-server",
                "--manifest-path",
            ])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .status();
        assert!(
            built.unwrap().success(),
            "the server of these tests does not build"
        );
        sallyport().with_file_name("examples").join("echo-server")
    })
}
