//! Laws 23 and 24 over the real socket.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sallyport_policy::approval::{Outcome, Verdict};
use sallyport_policy::name::{Digest, RequestId};
use sallyport_policy::source::GoDuration;
use sallyport_policy::source::access::{Assurance, Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{Bench, ada, ask, call, gateway, rule, window};
use crate::hold::client::{Client, ClientError, preview_digest};
use crate::hold::local::{SocketOptions, WindowBook, WindowTerms};
use crate::hold::notify::{Hook, start};
use crate::hold::protocol::{AskedWindow, Fault, FaultCode, SOCKET, Seen, Word};

fn phase(seen: &Seen) -> Phase {
    seen.request.status.as_ref().unwrap().phase.unwrap()
}

fn word(seen: &Seen, verdict: Verdict, by: &str) -> Word {
    Word {
        name: RequestId::new(seen.request.metadata.name.as_str()),
        verdict,
        by: by.to_owned(),
        groups: vec!["stock-leads".to_owned()],
        reason: Some("seen".to_owned()),
        preview_digest: preview_digest(&seen.request),
    }
}

fn fault(error: ClientError) -> Fault {
    match error {
        ClientError::Fault(fault) => fault,
        other @ (ClientError::NotServed { .. }
        | ClientError::HungUp(_)
        | ClientError::Strange(_)) => panic!("{other}"),
    }
}

async fn client(state: &Path) -> Client {
    Client::connect(state).await.unwrap()
}

#[tokio::test]
async fn law_24_a_review_over_the_socket_is_asserted_and_carries_the_peers_account() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let listening = bench.local.listen(SocketOptions::default()).unwrap();
    let mode = std::fs::metadata(listening.path())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut ticket = bench.ask("a").await;
    let mut client = client(state.path()).await;
    assert_eq!(client.list().await.unwrap().len(), 1);
    let seen = client.get(ticket.request()).await.unwrap();
    assert_eq!((phase(&seen), seen.two_person), (Phase::Pending, false));

    let own = client
        .review(word(&seen, Verdict::Approve, "ada"))
        .await
        .unwrap_err();
    assert_eq!(fault(own).code, FaultCode::Refused);
    let blind = Word {
        preview_digest: None,
        ..word(&seen, Verdict::Approve, "bob")
    };
    assert_eq!(
        fault(client.review(blind).await.unwrap_err()).code,
        FaultCode::Refused
    );

    let seen = client
        .review(word(&seen, Verdict::Approve, "bob"))
        .await
        .unwrap();
    assert_eq!(phase(&seen), Phase::Approved);
    let by = &seen.reviews[0].spec.by;
    assert_eq!(by.assurance, Some(Assurance::Asserted));
    assert_eq!(by.uid, Some(rustix::process::getuid().as_raw()));
    let status = ticket.settled().await;
    assert!(matches!(status, crate::hold::Status::Approved { .. }));
}

#[tokio::test]
async fn law_24_with_an_approver_group_the_guards_own_account_cannot_approve() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let group = rustix::process::getgid().as_raw();
    let options = SocketOptions {
        approver_group: Some(group),
        windows: None,
    };
    let listening = bench.local.listen(options).unwrap();
    let mode = std::fs::metadata(listening.path())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    let ticket = bench.ask("a").await;
    let mut client = client(state.path()).await;
    let seen = client.get(ticket.request()).await.unwrap();
    assert!(seen.two_person);
    let refused = client
        .review(word(&seen, Verdict::Approve, "bob"))
        .await
        .unwrap_err();
    assert_eq!(fault(refused).code, FaultCode::Refused);
    let denied = client
        .review(word(&seen, Verdict::Deny, "bob"))
        .await
        .unwrap();
    assert_eq!(phase(&denied), Phase::Denied, "saying no only narrows");
}

#[tokio::test]
async fn a_watcher_sees_what_is_pending_and_what_changes() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let _listening = bench.local.listen(SocketOptions::default()).unwrap();
    let before = bench.ask("before").await;
    let mut watching = client(state.path()).await.watch().await.unwrap();
    let first = watching.next().await.unwrap().unwrap();
    assert_eq!(first.metadata.name, before.request().as_str());
    let after = bench.ask("after").await;
    let second = watching.next().await.unwrap().unwrap();
    assert_eq!(second.metadata.name, after.request().as_str());
    bench
        .say(Verdict::Deny, after.request(), "bob")
        .await
        .unwrap();
    let third = watching.next().await.unwrap().unwrap();
    assert_eq!(third.status.unwrap().phase, Some(Phase::Denied));
}

/// The guard's part, with one rule that gives windows.
#[derive(Debug)]
struct Book;

impl WindowBook for Book {
    fn terms(&self, asked: &AskedWindow) -> Result<WindowTerms, String> {
        if asked.tool != "update_price" {
            return Err(format!("no rule holds `{}`", asked.tool));
        }
        let template = ask("", rule(1, window));
        Ok(WindowTerms {
            gateway: gateway(),
            key: ada().key(),
            rules: template.rules,
            pin: template.pin,
            revision: template.revision,
            settings: template.settings,
        })
    }
}

fn asked(tool: &str) -> AskedWindow {
    AskedWindow {
        by: "ada@example.com".to_owned(),
        groups: Vec::new(),
        issuer: None,
        gateway: None,
        client: Some("restocker".to_owned()),
        tool: tool.to_owned(),
        duration: GoDuration::from_secs(1800),
        max_uses: None,
        reason: Some("stocktaking".to_owned()),
    }
}

#[tokio::test]
async fn law_22_a_window_asked_for_ahead_is_approved_and_used() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let options = SocketOptions {
        approver_group: None,
        windows: Some(Arc::new(Book)),
    };
    let _listening = bench.local.listen(options).unwrap();
    let mut client = client(state.path()).await;
    let unknown = fault(client.request(asked("other")).await.unwrap_err());
    assert_eq!(
        (unknown.code, unknown.message.as_str()),
        (FaultCode::Refused, "no rule holds `other`")
    );
    let seen = client.request(asked("update_price")).await.unwrap();
    let claim = ask("anything", rule(1, window)).claim();
    assert!(
        bench.desk.grants_for(&claim).await.unwrap().is_empty(),
        "nobody has approved it"
    );
    assert!(
        client
            .review(word(&seen, Verdict::Approve, "ada@example.com"))
            .await
            .is_err()
    );
    let approved = client
        .review(word(&seen, Verdict::Approve, "bob"))
        .await
        .unwrap();
    let status = approved.request.status.as_ref().unwrap();
    let length = status.grant_ends_at.unwrap().get().0 - status.granted_at.unwrap().get().0;
    assert_eq!(length, 1_800_000);
    let grants = bench.desk.grants_for(&claim).await.unwrap();
    assert_eq!(grants[0].uses_left, Some(2), "the rule's limit stands");
    let used = bench
        .desk
        .consume(&grants[0].request, &claim, &call("c1"))
        .await
        .unwrap();
    used.finish(Outcome::Succeeded).await.unwrap();
}

#[tokio::test]
async fn a_guard_that_takes_no_requests_ahead_says_so() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let _listening = bench.local.listen(SocketOptions::default()).unwrap();
    let refused = client(state.path())
        .await
        .request(asked("update_price"))
        .await
        .unwrap_err();
    assert_eq!(fault(refused).code, FaultCode::Refused);
}

#[tokio::test]
async fn a_strange_line_is_answered_and_an_endless_one_is_cut_off() {
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::over(state.path());
    let listening = bench.local.listen(SocketOptions::default()).unwrap();
    let rows = [
        ("no json", "hello"),
        ("unknown question", r#"{"op":"grantMeEverything"}"#),
        (
            "unknown field",
            r#"{"op":"get","name":"req-1","force":true}"#,
        ),
        (
            "no name",
            r#"{"op":"review","name":"req-1","verdict":"Approve"}"#,
        ),
    ];
    for (name, line) in rows {
        let mut stream = UnixStream::connect(listening.path()).await.unwrap();
        stream
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(answer.contains("not_a_question"), "{name}: {answer}");
    }
    let mut stream = UnixStream::connect(listening.path()).await.unwrap();
    stream.write_all(&vec![b'x'; 70 * 1024]).await.ok();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the line is not waited for");
    let unknown = client(state.path())
        .await
        .get(&RequestId::new("../../etc/passwd"))
        .await;
    assert_eq!(fault(unknown.unwrap_err()).code, FaultCode::UnknownRequest);
}

#[tokio::test]
async fn a_long_state_path_is_served_too_and_a_dead_socket_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let state = root.path().join("a".repeat(120));
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join(SOCKET), "").unwrap();
    let bench = Bench::over(&state);
    let listening = bench.local.listen(SocketOptions::default()).unwrap();
    assert!(client(&state).await.list().await.unwrap().is_empty());
    drop(listening);
    let gone = Client::connect(&state).await.unwrap_err();
    assert!(matches!(gone, ClientError::NotServed { .. }));
}

#[tokio::test]
async fn a_hook_hears_of_a_new_request_once_and_sees_no_arguments() {
    let state = tempfile::tempdir().unwrap();
    let out = state.path().join("told");
    let hook = Hook::Command(vec![
        "tee".to_owned(),
        "-a".to_owned(),
        out.display().to_string(),
    ]);
    let sender = start(hook);
    let bench = Bench::with(
        state.path(),
        sallyport_policy::time::UnixMillis(0),
        |options| {
            options.announce = Some(sender);
        },
    );
    let ticket = bench.ask("a").await;
    bench.ask("a").await;
    let told = async {
        loop {
            match std::fs::read_to_string(&out) {
                Ok(text) if text.ends_with('}') => return text,
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let text = tokio::time::timeout(Duration::from_secs(10), told)
        .await
        .unwrap();
    let message: serde_json::Value = serde_json::from_str(&text).expect("one message");
    assert_eq!(message["request"], ticket.request().as_str());
    assert_eq!(message["tool"], "update_price");
    assert_eq!(message["gateway"], "shop/inventory");
    assert!(
        !text.contains("price\\\":5") && !text.contains(&Digest::of(b"a").to_string()),
        "{text}"
    );
}

#[tokio::test]
async fn a_webhook_is_posted_the_same_message() {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook: Hook = format!("http://{}/hook", server.local_addr().unwrap())
        .parse()
        .unwrap();
    let sender = start(hook);
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::with(
        state.path(),
        sallyport_policy::time::UnixMillis(0),
        |options| {
            options.announce = Some(sender);
        },
    );
    let ticket = bench.ask("a").await;
    let (mut stream, _) = tokio::time::timeout(Duration::from_secs(10), server.accept())
        .await
        .unwrap()
        .unwrap();
    let mut text = String::new();
    while !text.contains('}') {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.unwrap();
        assert_ne!(read, 0);
        text.push_str(&String::from_utf8_lossy(&part[..read]));
    }
    stream
        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        .await
        .unwrap();
    assert!(text.starts_with("POST /hook HTTP/1.1\r\n"), "{text}");
    assert!(
        text.contains("application/json") && text.contains(ticket.request().as_str()),
        "{text}"
    );
}

#[test]
fn a_hook_is_a_command_or_a_url() {
    assert!(matches!(
        "https://example.com/hook".parse(),
        Ok(Hook::Webhook(_))
    ));
    let words = vec!["notify-send".to_owned(), "sallyport".to_owned()];
    assert_eq!("notify-send  sallyport".parse(), Ok(Hook::Command(words)));
    assert!("  ".parse::<Hook>().is_err());
    assert!("https://exa mple".parse::<Hook>().is_err());
}
