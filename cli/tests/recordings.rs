//! What goes of recordings and what stays: purges by command and by retention, and legal holds, with the real binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sallyport_policy::name::{CallId, ClientId, GatewayName, Issuer, SessionId, Subject};
use sallyport_policy::principal::CallerKey;
use sallyport_policy::record::event::{
    CallRequested, Capture, Direction, Mode, Outcome, PayloadKind, SessionBegan, SessionEnd,
};
use sallyport_policy::time::UnixMillis;
use sallyport_sidecar::record::{Ended, Options, Recorder, Terms};
use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for anything that must happen; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: i64 = 3_600_000;

fn sallyport(state: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sallyport"))
        .args(arguments)
        .env("SALLYPORT_STATE", state)
        .current_dir(state)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn json(state: &Path, arguments: &[&str]) -> Value {
    let (_, out, err) = sallyport(state, arguments);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn began(user: &str) -> SessionBegan {
    SessionBegan {
        caller: CallerKey {
            issuer: Issuer::new("urn:sallyport:local"),
            subject: Subject::new(user),
            client: Some(ClientId::new("agent")),
            actor: None,
        },
        email: None,
        groups: BTreeSet::new(),
        anonymous: false,
        gateway: GatewayName {
            namespace: "default".to_owned(),
            name: "shop".to_owned(),
        },
        revision: None,
        protocol: None,
        transport: None,
        source: None,
        claimed_client: None,
    }
}

fn requested(call: CallId) -> CallRequested {
    CallRequested {
        call,
        direction: Direction::ClientToServer,
        method: "tools/call".to_owned(),
        notification: false,
        id: Some("7".to_owned()),
        tool: Some("list".to_owned()),
        resource: None,
        pin: None,
        protocol: None,
        bytes: 10,
        source: None,
        trace: None,
    }
}

/// Recordings as a guard would have left them: one segment for each (user, age in hours).
async fn recorded(state: &Path, sessions: &[(&str, i64)]) -> Vec<SessionId> {
    let mut ids = Vec::new();
    for (user, age) in sessions {
        let at = Arc::new(AtomicI64::new(now() - age * HOUR));
        let clock = Arc::clone(&at);
        let options = Options::new(
            "test",
            Arc::new(move || UnixMillis(clock.fetch_add(1, Ordering::Relaxed))),
        );
        let (recorder, spool) = Recorder::open(&state.join("recordings"), options).unwrap();
        let session = recorder.begin_session(began(user));
        let terms = Terms {
            mode: Mode::Strict,
            capture: Capture::Masked,
        };
        let body = vec![(PayloadKind::Request, Bytes::from(format!("word of {user}")))];
        let call = recorder.open_call(&session, terms, requested, body);
        call.end(Ended::new(Outcome::Denied)).await.unwrap();
        recorder
            .end_session(&session, SessionEnd::Closed)
            .await
            .unwrap();
        spool.close().await.unwrap();
        ids.push(session);
    }
    ids
}

fn users(state: &Path) -> BTreeSet<String> {
    let list = json(state, &["sessions", "-o", "json"]);
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|session| session["user"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn law_32_purge_by_age_tells_first_takes_then_and_verify_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    recorded(state, &[("old", 100), ("young", 1), ("last", 0)]).await;
    let (code, out, err) = sallyport(state, &["purge", "--older-than", "24h", "--dry-run"]);
    assert_eq!(code, 0, "{err}");
    has(&out, &["would be deleted: 1 segment older than "]);
    assert_eq!(users(state).len(), 3, "a dry run takes nothing");

    let done = json(
        state,
        &[
            "purge",
            "--older-than",
            "24h",
            "--reason",
            "spring",
            "-o",
            "json",
        ],
    );
    assert_eq!(done["kind"], "Purge");
    assert_eq!(
        (&done["dryRun"], &done["taken"]["segments"]),
        (&Value::from(false), &serde_json::json!([1]))
    );
    assert_eq!(users(state), ["last", "young"].map(str::to_owned).into());
    let (code, out, _) = sallyport(state, &["verify"]);
    assert_eq!(code, 0, "{out}");
    has(
        &out,
        &[
            "purged by order, with signed tombstones: 1 segment, 0 payloads",
            "good: ",
        ],
    );
    let verified = json(state, &["verify", "-o", "json"]);
    assert_eq!(
        (&verified["good"], &verified["purgedSegments"]),
        (&Value::from(true), &Value::from(1))
    );

    let (code, out, _) = sallyport(state, &["purge", "--older-than", "24h"]);
    assert_eq!(code, 0);
    has(&out, &["nothing to delete: no closed segment ends before "]);
    for wrong in [vec!["purge"], vec!["purge", "--older-than", "0s"]] {
        assert_eq!(sallyport(state, &wrong).0, 2, "{wrong:?}");
    }
}

#[tokio::test]
async fn law_32_a_purged_session_keeps_its_events_and_a_legal_hold_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let ids = recorded(state, &[("ada", 100), ("bob", 50), ("last", 0)]).await;
    let ada = ids.first().unwrap().to_string();
    let (code, out, err) = sallyport(state, &["legal-hold", "place", &ada, "--reason", "case 17"]);
    assert_eq!(code, 0, "{err}");
    has(&out, &["is on legal hold"]);
    let (code, _, err) = sallyport(state, &["legal-hold", "place", &ada, "--reason", "again"]);
    assert_eq!(code, 1);
    has(&err, &["already on legal hold"]);
    let (_, out, _) = sallyport(state, &["legal-hold", "list"]);
    has(&out, &["SESSION", &ada, "case 17"]);
    let list = json(state, &["legal-hold", "list", "-o", "json"]);
    assert_eq!(list["items"][0]["reason"], "case 17");

    let (code, _, err) = sallyport(state, &["purge", "--session", &ada]);
    assert_eq!(code, 1);
    has(&err, &["on legal hold (case 17)"]);
    let (code, out, _) = sallyport(state, &["purge", "--older-than", "24h"]);
    assert_eq!(code, 0);
    has(
        &out,
        &[
            "deleted: 1 segment",
            "kept: 1 segment, because of sessions on legal hold",
        ],
    );
    assert_eq!(users(state), ["ada", "last"].map(str::to_owned).into());

    let lifted = sallyport(
        state,
        &["legal-hold", "lift", &ada, "--reason", "case closed"],
    );
    assert_eq!(lifted.0, 0, "{}", lifted.2);
    has(&sallyport(state, &["replay", &ada]).1, &["word of ada"]);
    let (code, out, err) = sallyport(
        state,
        &["purge", "--session", &ada, "--reason", "request 4"],
    );
    assert_eq!(code, 0, "{err}");
    has(
        &out,
        &[&format!("deleted: 1 payload of session {ada}, 11 bytes")],
    );
    let (_, out, _) = sallyport(state, &["replay", &ada]);
    has(&out, &["tools/call list", "(purged)"]);
    assert!(!out.contains("word of ada"), "{out}");
    let (_, out, _) = sallyport(state, &["purge", "--session", &ada]);
    has(&out, &["has no payloads left"]);
    assert_eq!(sallyport(state, &["verify"]).0, 0);
}

/// A guard that is killed with the test.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            drop(self.0.wait());
        }
    }
}

fn up(folder: &TempDir, retention: &str) -> Up {
    let policy = format!(
        "apiVersion: sallyport.dev/v1alpha1
kind: McpGateway
metadata: {{ name: shop }}
spec:
  recording: {{ mode: Strict, retention: {retention} }}
"
    );
    std::fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sallyport"))
        .args([
            "up",
            "-f",
            "policy.yaml",
            "--listen",
            "127.0.0.1:0",
            "--upstream",
            "http://127.0.0.1:9/mcp",
        ])
        .env("SALLYPORT_STATE", folder.path())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let guard = Up(child);
    assert!(line.starts_with("sallyport ready"), "{line}");
    guard
}

#[tokio::test]
async fn law_32_the_guard_purges_by_the_retention_of_its_policy_at_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let ids = recorded(state, &[("held", 90), ("old", 80), ("young", 1)]).await;
    let held = ids.first().unwrap().to_string();
    assert_eq!(
        sallyport(state, &["legal-hold", "place", &held, "--reason", "case"]).0,
        0
    );
    let _guard = up(&folder, "72h");
    let began = Instant::now();
    let purged = ["held", "young"].map(str::to_owned).into();
    while users(state) != purged {
        assert!(began.elapsed() < PATIENCE, "{:?}", users(state));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let verified = json(state, &["verify", "-o", "json"]);
    assert_eq!(
        (&verified["good"], &verified["purgedSegments"]),
        (&Value::from(true), &Value::from(1))
    );
}
