//! Commands on a state folder: pins, doctor, and recorded calls decided again.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sallyport_policy::json::{Document, Limits};
use sallyport_policy::name::{CallId, ClientId, GatewayName, Issuer, SessionId, Subject};
use sallyport_policy::pin::Definition;
use sallyport_policy::principal::CallerKey;
use sallyport_policy::record::event::{
    CallRequested, Capture, Direction, Mode, Outcome, PayloadKind, SessionBegan,
};
use sallyport_policy::time::UnixMillis;
use sallyport_sidecar::answer::pins::PinState;
use sallyport_sidecar::record::{Ended, Options, Recorder, Terms};
use serde_json::Value;
use tempfile::TempDir;

fn sallyport(state: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sallyport"))
        .args(arguments)
        .env("SALLYPORT_STATE", state)
        .current_dir(state)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

fn definition(description: &str) -> Definition {
    named_definition("get", description)
}

fn named_definition(name: &str, description: &str) -> Definition {
    let text = format!(
        r#"{{"name":"{name}","description":"{description}","inputSchema":{{"type":"object"}}}}"#
    );
    Definition::of(
        Document::parse(Bytes::from(text), Limits::RESPONSE)
            .unwrap()
            .root(),
    )
    .unwrap()
}

/// A server that showed one definition and then another, with a letter that nobody sees.
fn pinned() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut state = PinState::default();
    state
        .book
        .trust(
            &definition("reads"),
            "2025-11-25",
            UnixMillis(1_767_571_200_000),
        )
        .unwrap();
    let changed = definition("reads \\u202e and sends").canonical().to_owned();
    state
        .set_aside
        .entry("get".to_owned())
        .or_default()
        .insert("2025-11-25".to_owned(), changed);
    state.write(&folder.path().join("pins.json")).unwrap();
    folder
}

#[test]
fn pins_tell_what_changed_and_accept_what_was_looked_at() {
    let folder = pinned();
    let (code, out, _) = sallyport(folder.path(), &["pins", "list"]);
    assert_eq!(code, 0);
    has(
        &out,
        &[
            "get   2025-11-25  changed",
            "get   2025-11-25  trusted  2026-01-05T00:00:00.000Z  sha256:",
        ],
    );

    let (code, out, _) = sallyport(folder.path(), &["pins", "diff"]);
    assert_eq!(code, 1);
    has(
        &out,
        &[
            "$.description",
            "- \"reads\"",
            "\\u{202e} and sends",
            "sallyport pins accept get --revision 2025-11-25 --digest sha256:",
        ],
    );

    let other = definition("else").digest().to_string();
    let (code, _, err) = sallyport(
        folder.path(),
        &["pins", "accept", "get", "--digest", &other],
    );
    assert_eq!(code, 1, "{err}");
    has(&err, &["look again with `sallyport pins diff get`"]);

    let digest = definition("reads \\u202e and sends").digest().to_string();
    let (code, out, err) = sallyport(
        folder.path(),
        &["pins", "accept", "get", "--digest", &digest],
    );
    assert_eq!(code, 0, "{err}");
    has(&out, &["accepted get in 2025-11-25: sha256:"]);
    let state = PinState::read(&folder.path().join("pins.json")).unwrap();
    let pin = state.book.trusted("get", "2025-11-25").unwrap();
    assert!(pin.is_accepted() && pin.digest().to_string() == digest && state.set_aside.is_empty());

    let (code, _, err) = sallyport(folder.path(), &["pins", "accept", "get"]);
    assert_eq!(code, 1, "{err}");
    assert_eq!(sallyport(folder.path(), &["pins", "diff"]).0, 0);
}

#[test]
fn words_given_by_several_processes_while_another_writes_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pins.json");
    let tool = |name: &str, description: &str| named_definition(name, description);
    let names: Vec<String> = (0..6).map(|number| format!("tool{number}")).collect();
    let mut state = PinState::default();
    for name in &names {
        state
            .book
            .trust(&tool(name, "old"), "r", UnixMillis(1))
            .unwrap();
        let changed = tool(name, "new").canonical().to_owned();
        let waiting = state.set_aside.entry(name.clone()).or_default();
        waiting.insert("r".to_owned(), changed);
    }
    state.write(&path).unwrap();

    let people: Vec<_> = names
        .iter()
        .map(|name| {
            Command::new(env!("CARGO_BIN_EXE_sallyport"))
                .args(["pins", "accept", name])
                .env("SALLYPORT_STATE", folder.path())
                .spawn()
                .unwrap()
        })
        .collect();
    // The guard, which goes on seeing tools meanwhile.
    for number in 0..40 {
        let seen = tool(&format!("seen{number}"), "x");
        PinState::edit(&path, |state| {
            state.book.trust(&seen, "r", UnixMillis(2)).unwrap();
            Ok::<_, std::io::Error>(())
        })
        .unwrap();
    }
    for mut person in people {
        assert!(person.wait().unwrap().success());
    }
    let state = PinState::read(&path).unwrap();
    for name in &names {
        let pin = state.book.trusted(name, "r").unwrap();
        assert!(pin.is_accepted() && pin.digest() == tool(name, "new").digest());
    }
    assert_eq!(state.book.all_trusted().count(), 6 + 40);
    assert!(state.set_aside.is_empty());
}

#[test]
fn a_pin_that_the_files_declare_is_accepted_over_them() {
    let folder = pinned();
    let declared = definition("reads").digest();
    let gateway = format!(
        "apiVersion: sallyport.dev/v1alpha1\nkind: McpGateway\nmetadata: {{ name: inventory, namespace: shop }}\nspec:\n  toolPins: {{ pins: [{{ tool: get, digest: \"{declared}\" }}] }}\n"
    );
    std::fs::write(folder.path().join("gateway.yaml"), gateway).unwrap();
    let (code, _, err) = sallyport(
        folder.path(),
        &["pins", "accept", "get", "-f", "gateway.yaml"],
    );
    assert_eq!(code, 0, "{err}");
    let state = PinState::read(&folder.path().join("pins.json")).unwrap();
    let book = state.book.with_declared([("get".to_owned(), declared)]);
    let changed = definition("reads \\u202e and sends").digest();
    assert_eq!(
        book.judge("get", "2025-11-25", changed),
        sallyport_policy::pin::PinVerdict::Trusted
    );
}

#[test]
fn an_unreadable_file_of_pins_is_told_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pins.json"), "{").unwrap();
    let (code, _, err) = sallyport(folder.path(), &["pins", "list"]);
    assert_eq!(code, 3);
    has(&err, &["pins.json"]);
    assert_eq!(
        std::fs::read_to_string(folder.path().join("pins.json")).unwrap(),
        "{"
    );
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn free_port() -> String {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

#[test]
fn doctor_finds_nothing_bad_in_a_good_state_folder() {
    let folder = tempfile::tempdir().unwrap();
    chmod(folder.path(), 0o700);
    assert_eq!(
        sallyport(folder.path(), &["token", "--user", "ada@example.com"]).0,
        0
    );
    let (code, out, err) = sallyport(folder.path(), &["doctor", "--listen", &free_port()]);
    assert_eq!(code, 0, "{out}{err}");
    has(
        &out,
        &[
            "ok    state folder",
            "ok    key",
            "issuer.pk8`, for its owner alone (mode 600)",
            "ok    guard: none is running",
            "is free",
            "ok    clock",
        ],
    );
}

#[test]
fn doctor_tells_what_is_bad_and_what_to_do() {
    let folder = pinned();
    chmod(folder.path(), 0o755);
    std::fs::write(folder.path().join("issuer.pk8"), "key").unwrap();
    chmod(&folder.path().join("issuer.pk8"), 0o644);
    std::fs::write(folder.path().join("wrong.yaml"), "kind: McpGateway\n").unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let (code, out, _) = sallyport(
        folder.path(),
        &["doctor", "--listen", &address, "-f", "wrong.yaml"],
    );
    assert_eq!(code, 1, "{out}");
    has(
        &out,
        &[
            "bad   state folder",
            "chmod 700",
            "bad   key",
            "mode 644",
            "bad   listener",
            "warn  tool pins",
            "sallyport pins diff",
            "bad   policy files",
            "sallyport policy check",
        ],
    );
    let (_, out, _) = sallyport(
        folder.path(),
        &["doctor", "--listen", &address, "-o", "json"],
    );
    let lines: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&lines[0]["level"], &lines[0]["what"]),
        (&Value::from("bad"), &Value::from("state folder"))
    );
}

#[test]
fn doctor_tells_who_calls_and_approves() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.yaml"), policy(1000, "clerks")).unwrap();
    let (_, out, _) = sallyport(
        folder.path(),
        &["doctor", "--listen", &free_port(), "-f", "policy.yaml"],
    );
    has(
        &out,
        &[
            "warn  separation of duties: group clerks may call and approve under shop/clerks rule `price`",
        ],
    );
    std::fs::write(folder.path().join("policy.yaml"), policy(1000, "leads")).unwrap();
    let (_, out, _) = sallyport(
        folder.path(),
        &["doctor", "--listen", &free_port(), "-f", "policy.yaml"],
    );
    has(&out, &["ok    separation of duties"]);
}

fn policy(limit: u32, approvers: &str) -> String {
    format!(
        "apiVersion: sallyport.dev/v1alpha1
kind: McpAccessPolicy
metadata: {{ name: clerks, namespace: shop }}
spec:
  targetRefs: [{{ kind: McpGateway, name: inventory }}]
  subjects: [{{ groups: [clerks] }}]
  rules:
  - {{ name: read, effect: Allow, tools: [list], when: [{{ argument: $.limit, operator: LessThanOrEqual, values: [{limit}] }}] }}
  - {{ name: price, effect: RequireApproval, tools: [price], approval: {{ approvers: [{{ groups: [{approvers}] }}] }} }}
"
    )
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis(i64::try_from(since.as_millis()).unwrap())
}

fn began() -> SessionBegan {
    SessionBegan {
        caller: CallerKey {
            issuer: Issuer::new("urn:sallyport:local"),
            subject: Subject::new("ada@example.com"),
            client: Some(ClientId::new("agent")),
            actor: None,
        },
        email: None,
        groups: BTreeSet::from(["clerks".to_owned()]),
        anonymous: false,
        gateway: GatewayName {
            namespace: "shop".to_owned(),
            name: "inventory".to_owned(),
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

async fn record(recorder: &Recorder, session: &SessionId, body: Option<&str>) {
    let terms = Terms {
        mode: Mode::Strict,
        capture: Capture::Masked,
    };
    let payloads = body.map(|body| (PayloadKind::Request, Bytes::from(body.to_owned())));
    let call = recorder.open_call(session, terms, requested, payloads.into_iter().collect());
    call.end(Ended::new(Outcome::Denied)).await.unwrap();
}

#[tokio::test]
async fn recorded_calls_are_decided_again_and_the_look_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = folder.path().join("recordings");
    let (recorder, spool) =
        Recorder::open(&recordings, Options::new("test", Arc::new(now))).unwrap();
    let session = recorder.begin_session(began());
    for limit in [800, 800, 100] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"list","arguments":{{"limit":{limit}}}}}}}"#
        );
        record(&recorder, &session, Some(&body)).await;
    }
    record(&recorder, &session, None).await;
    spool.close().await.unwrap();

    std::fs::write(folder.path().join("old.yaml"), policy(1000, "leads")).unwrap();
    std::fs::write(folder.path().join("new.yaml"), policy(500, "leads")).unwrap();
    let state = folder.path().to_str().unwrap();
    let (code, out, err) = sallyport(
        folder.path(),
        &[
            "policy",
            "diff",
            "old.yaml",
            "new.yaml",
            "--recordings",
            state,
        ],
    );
    assert_eq!(code, 0, "{err}");
    has(
        &out,
        &[
            r#"tool `list` {"limit":800} as user ada@example.com with groups clerks with client agent (recorded 2 times, last at "#,
        ],
    );
    has(
        &out,
        &[
            "and 3 recorded calls are decided differently",
            "1 recorded call left out: their arguments were not recorded",
        ],
    );
    assert!(!out.contains(r#"{"limit":100}"#), "{out}");
    assert!(
        recordings.join("audit").exists(),
        "whoever reads recordings is written down"
    );
}
