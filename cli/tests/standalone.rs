//! What `sallyport up` says before the first call, by the built program.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// A guard that is ready, and is ended with the test.
struct Up {
    process: Child,
    // Open for as long as the guard runs: it says its last words there too.
    _stdout: BufReader<ChildStdout>,
    ready: String,
}

impl Up {
    fn with(state: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sallyport"))
            .args(["up", "--listen", "127.0.0.1:0", "--state"])
            .arg(state)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut ready = String::new();
        stdout.read_line(&mut ready).unwrap();
        Self {
            process,
            _stdout: stdout,
            ready,
        }
    }

    /// Everything that it said to people until now; it is ended for that.
    fn said(mut self) -> String {
        assert!(
            self.ready.starts_with("sallyport ready url="),
            "{}",
            self.rest()
        );
        self.rest()
    }

    fn rest(&mut self) -> String {
        self.process.kill().unwrap();
        let mut said = String::new();
        let mut stderr = self.process.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn file(folder: &TempDir, text: &str) -> String {
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

const SERVER: &str = "http://127.0.0.1:9/mcp";

#[test]
fn law_09_without_files_it_is_said_at_the_start_that_the_servers_hints_are_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let said = Up::with(&state, &["--upstream", SERVER]).said();
    assert!(said.contains("trusting the server's hints"), "{said}");
    assert!(
        said.contains("everything else waits for approval"),
        "{said}"
    );
    let policy = "{ apiVersion: sallyport.dev/v1alpha1, kind: McpGateway, metadata: { name: shop }, spec: {} }";
    let files = file(&folder, policy);
    let said = Up::with(&state, &["-f", &files, "--upstream", SERVER]).said();
    assert!(!said.contains("hints"), "{said}");
}

#[test]
fn fields_that_nobody_obeys_on_one_machine_are_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let files = file(
        &folder,
        "apiVersion: sallyport.dev/v1alpha1
kind: McpGateway
metadata: { name: shop }
spec:
  server:
    transport: Stdio
    command: [cat]
    socketPath: /run/server.sock
    passthrough: [{ path: /health }]
  policyMaxAge: 1h
---
apiVersion: sallyport.dev/v1alpha1
kind: McpGuardrail
metadata: { name: floor }
spec:
  identityMap: [{ issuer: https://idp.example.com, claim: sub, usernamePrefix: 'oidc:' }]
",
    );
    let state = folder.path().join("state");
    let said = Up::with(&state, &["-f", &files, "--", "sleep", "60"]).said();
    let named = [
        "server.passthrough",
        "server.socketPath",
        "server.command",
        "policyMaxAge",
        "identityMap",
    ];
    for field in named {
        let sentence = format!("`{field}` has no effect in standalone");
        assert!(said.contains(&sentence), "{field}: {said}");
    }
    // Without another one on the command line the gateway's own command is the server.
    let said = Up::with(&state, &["-f", &files]).said();
    assert!(!said.contains("`server.command`"), "{said}");
    assert!(said.contains("`server.passthrough`"), "{said}");
}
