//! Law 17: servers that are commands. The server is a few lines of shell that write down what they are told.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use sallyport_sidecar::run::Target;
use serde_json::{Value, json};

use crate::support::{Client, Plan, Reply, Token, soon, until};

/// Writes each line it gets to the file `$1`, and answers by what it finds in it.
const SERVER: &str = r#"
log=$1
say() { printf '%s\n' "$1"; }
esc() { printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g'; }
text() { say "{\"jsonrpc\":\"2.0\",\"id\":$1,\"result\":{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":\"$2\"}]}}"; }
echo "a line that is no message"
echo '{"odd": true}'
while IFS= read -r line; do
  printf '%s %s\n' "$$" "$line" >> "$log"
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9][0-9]*\).*/\1/p')
  token=$(printf '%s' "$line" | sed -n 's/.*"progressToken":\([0-9][0-9]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*refuse*) say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"error\":{\"code\":-32000,\"message\":\"not today\"}}" ;;
    *'"initialize"'*) say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{\"listChanged\":true}},\"serverInfo\":{\"name\":\"sh\",\"version\":\"1\"}}}" ;;
    *'"tools/list"'*) say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\",\"tools\":[{\"name\":\"read\",\"inputSchema\":{\"type\":\"object\"}}]}}" ;;
    *'"tools/call"'*die*) exit 3 ;;
    *'"tools/call"'*slow*) ( sleep 1; text "$id" "slow $$" ) & ;;
    *'"tools/call"'*forever*) : ;;
    *'"tools/call"'*junk*) echo "junk before"; echo '{"jsonrpc":"2.0"'; text "$id" "after junk" ;;
    *'"tools/call"'*twice*) say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"id\":$id,\"result\":{}}" ;;
    *'"tools/call"'*secret*) text "$id" "it is $SERVER_TOKEN" ;;
    *'"tools/call"'*progress*) say "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":$token,\"progress\":1}}"; text "$id" "done" ;;
    *'"tools/call"'*news*) say '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'; text "$id" "news" ;;
    *'"tools/call"'*) text "$id" "$$ $(esc "$id")" ;;
    *'"ping"'*) say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{}}" ;;
  esac
done
"#;

struct Shell {
    plan: Plan,
    log: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

fn shell() -> Shell {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("heard");
    std::fs::write(&log, "").unwrap();
    let target = Target::Stdio {
        program: "sh".to_owned(),
        arguments: ["-c", SERVER, "server", log.to_str().unwrap()]
            .map(str::to_owned)
            .to_vec(),
        hidden: Vec::new(),
    };
    Shell {
        plan: Plan::to(target),
        log,
        _folder: folder,
    }
}

/// What the servers heard: process and message.
fn heard(log: &std::path::Path) -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(process, message)| (process.to_owned(), serde_json::from_str(message).unwrap()))
        .collect()
}

fn said(reply: &Reply) -> String {
    let json = reply.json();
    let text = json["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{json}")).to_owned()
}

fn process(reply: &Reply) -> String {
    said(reply).split(' ').next().unwrap().to_owned()
}

async fn read(client: &Client, path: &str) -> Reply {
    client.call("read", json!({"path": path})).await
}

#[tokio::test]
async fn law_17_each_session_has_a_child_of_its_own_and_so_has_each_caller_of_the_newest_revision()
{
    let Shell { plan, _folder, .. } = shell();
    let guard = plan.start().await;
    let (one, two) = (
        guard.ada().session("2025-06-18").await,
        guard.ada().session("2025-06-18").await,
    );
    let first = process(&read(&one, "/a").await);
    assert_eq!(process(&read(&one, "/b").await), first);
    assert_ne!(process(&read(&two, "/a").await), first);
    let modern = guard.ada().modern();
    let third = process(&read(&modern, "/a").await);
    assert_eq!(process(&read(&modern, "/b").await), third);
    assert_eq!(
        process(&read(&guard.ada().modern(), "/c").await),
        third,
        "the same caller"
    );
    let agent = guard
        .client(&Token {
            client: "another",
            ..Token::default()
        })
        .modern();
    assert_ne!(process(&read(&agent, "/a").await), third);
    assert_ne!(process(&read(&guard.eve().modern(), "/a").await), third);
}

#[tokio::test]
async fn law_17_ids_and_tokens_that_clients_share_are_told_apart() {
    let Shell { plan, log, _folder } = shell();
    let guard = plan.start().await;
    let ada = guard.ada().modern();
    read(&ada, "/first").await;
    let slow = ada.clone();
    let slow = tokio::spawn(async move { read(&slow, "/slow").await });
    until("the slow call", || {
        heard(&log)
            .iter()
            .find(|(_, message)| message.to_string().contains("/slow"))
            .cloned()
    })
    .await;
    let fast = read(&ada, "/fast").await;
    let (slow, fast) = (soon("the slow call", slow).await.unwrap(), fast);
    assert!(said(&slow).starts_with("slow "));
    assert_eq!(
        (slow.json()["id"].clone(), fast.json()["id"].clone()),
        (json!(1), json!(1))
    );
    let params = json!({"name": "read", "arguments": {"path": "/progress"}, "_meta": {"progressToken": "mine"}});
    let heard_back = ada
        .streaming(&json!("text id"), "tools/call", params)
        .await
        .rest()
        .await;
    assert_eq!(heard_back[0]["params"]["progressToken"], "mine");
    assert_eq!(heard_back[1]["id"], "text id");
    let numbers: Vec<_> = heard(&log)
        .into_iter()
        .map(|(_, message)| message["id"].clone())
        .collect();
    let mut unique = numbers.clone();
    unique.sort_by_key(Value::to_string);
    unique.dedup();
    assert_eq!(numbers.len(), unique.len(), "{numbers:?}");
}

#[tokio::test]
async fn law_17_at_most_so_many_children_run_and_an_ended_session_makes_room() {
    let Shell { plan, _folder, .. } = shell();
    let guard = plan.with("limits", json!({"children": 1})).start().await;
    let refused = guard.ada().initialize("refuse").await;
    assert_eq!(refused.code(), -32000, "{}", refused.text());
    let ada = guard.ada().session("2025-06-18").await;
    let full = guard.eve().initialize("2025-06-18").await;
    assert!(full.text().contains("too_many_children"), "{}", full.text());
    assert_eq!(full.header("mcp-session-id"), "");
    assert_eq!(guard.call("initialize").await.reason(), "too_many_children");
    assert_eq!(
        ada.send(Method::DELETE, "/mcp", Bytes::new()).await.status,
        200
    );
    guard.eve().session("2025-06-18").await;
}

#[tokio::test]
async fn law_11_sessions_of_a_command_are_minted_here_and_belong_to_who_opened_them() {
    let Shell { plan, _folder, .. } = shell();
    let guard = plan.start().await;
    let ada = guard.ada().session("2025-06-18").await;
    let session = ada
        .headers
        .iter()
        .find(|(name, _)| name == "mcp-session-id")
        .unwrap()
        .1
        .clone();
    assert_eq!(session.len(), 32);
    let eve = guard.eve().with("mcp-session-id", &session);
    assert_eq!(read(&eve, "/a").await.status, 404);
    assert_eq!(eve.get("/mcp").await.status, 404);
    assert_eq!(
        read(&guard.ada(), "/a").await.status,
        400,
        "a session is needed"
    );
}

#[tokio::test]
async fn lines_that_are_no_messages_are_dropped_and_a_broken_answer_ends_its_call() {
    let Shell { plan, _folder, .. } = shell();
    let guard = plan.start().await;
    let ada = guard.ada().session("2025-06-18").await;
    assert_eq!(said(&read(&ada, "/junk").await), "after junk");
    let broken = read(&ada, "/twice").await;
    assert!(
        broken.text().contains("may have been executed"),
        "{}",
        broken.text()
    );
    assert_eq!(
        guard.call("tools/call").await.reason(),
        "upstream_malformed"
    );
    assert!(!said(&read(&ada, "/a").await).is_empty());
}

#[tokio::test]
async fn law_25_a_credential_in_the_environment_is_masked_in_answers() {
    let Shell { plan, _folder, .. } = shell();
    let guard = plan.start().await;
    let ada = guard.ada().session("2025-06-18").await;
    let text = said(&read(&ada, "/secret").await);
    assert!(
        text.starts_with("it is ") && !text.contains("upstream-credential"),
        "{text}"
    );
}

#[tokio::test]
async fn a_child_that_dies_ends_its_calls_and_its_session_and_no_other() {
    let Shell { plan, _folder, .. } = shell();
    let guard = plan.start().await;
    let (dying, living) = (
        guard.ada().session("2025-06-18").await,
        guard.ada().session("2025-06-18").await,
    );
    let reply = read(&dying, "/die").await;
    assert!(
        reply.text().contains("may have been executed"),
        "{}",
        reply.text()
    );
    assert!(guard.call("tools/call").await.end().executed);
    assert_eq!(read(&dying, "/a").await.status, 404);
    assert_eq!(read(&living, "/a").await.status, 200);
    let modern = guard.ada().modern();
    let first = process(&read(&modern, "/a").await);
    read(&modern, "/die").await;
    assert_ne!(process(&read(&modern, "/a").await), first, "started again");
    // Whoever makes servers die keeps nobody else from starting one.
    for _ in 0..12 {
        read(&guard.ada().session("2025-06-18").await, "/die").await;
    }
    let began = Instant::now();
    guard.eve().session("2025-06-18").await;
    assert!(began.elapsed() < Duration::from_secs(5), "no pause");
}

#[tokio::test]
async fn a_modern_client_that_leaves_cancels_under_the_servers_own_number() {
    let Shell { plan, log, _folder } = shell();
    let guard = plan.start().await;
    let ada = guard.ada().modern();
    let leaving = ada.clone();
    let leaving = tokio::spawn(async move { read(&leaving, "/forever").await });
    let number = until("the call", || {
        let (_, message) = heard(&log)
            .into_iter()
            .find(|(_, message)| message.to_string().contains("/forever"))?;
        Some(message["id"].clone())
    })
    .await;
    leaving.abort();
    let cancelled = until("the cancellation", || {
        heard(&log)
            .into_iter()
            .find(|(_, message)| message["method"] == "notifications/cancelled")
    })
    .await;
    assert_eq!(cancelled.1["params"]["requestId"], number);
}

#[tokio::test]
async fn trap_43_cancelling_what_is_over_cancels_nothing_else() {
    let Shell { plan, log, _folder } = shell();
    let guard = plan.start().await;
    let ada = guard.ada().session("2025-06-18").await;
    for id in [2, 3, 4, 5] {
        let note = ada
            .notify("notifications/cancelled", json!({"requestId": id}))
            .await;
        assert_eq!(note.status, 202);
    }
    let body = json!({"jsonrpc": "2.0", "id": "mine", "method": "tools/call", "params": {"name": "read", "arguments": {"path": "/forever"}}});
    let running = ada.clone();
    let running = tokio::spawn(async move { running.post(body.to_string()).await });
    let number = until("the call", || {
        let (_, message) = heard(&log)
            .into_iter()
            .find(|(_, message)| message.to_string().contains("/forever"))?;
        Some(message["id"].clone())
    })
    .await;
    assert_eq!(
        ada.notify("notifications/cancelled", json!({"requestId": number}))
            .await
            .status,
        202
    );
    assert_eq!(
        ada.notify("notifications/cancelled", json!({"requestId": "mine"}))
            .await
            .status,
        202
    );
    let cancelled = until("the cancellation", || {
        let all: Vec<_> = heard(&log)
            .into_iter()
            .filter(|(_, message)| message["method"] == "notifications/cancelled")
            .collect();
        (!all.is_empty()).then_some(all)
    })
    .await;
    assert_eq!(cancelled.len(), 1, "{cancelled:?}");
    assert_eq!(cancelled[0].1["params"]["requestId"], number);
    running.abort();
}

#[tokio::test]
async fn news_of_the_server_goes_to_the_standing_stream_and_answers_to_their_calls() {
    let Shell { plan, _folder, .. } = shell();
    let guard = plan.start().await;
    let ada = guard.ada().session("2025-06-18").await;
    let mut stream = ada.open(Method::GET, "/mcp", Bytes::new()).await;
    assert_eq!(stream.status, 200);
    let answer = read(&ada, "/news").await;
    assert_eq!(said(&answer), "news");
    assert_eq!(
        stream.message().await.unwrap()["method"],
        "notifications/tools/list_changed"
    );
    // A client that reads neither stream nor anything else gets its answers all the same.
    for _ in 0..200 {
        assert_eq!(
            soon(
                "an answer beside a stream that nobody reads",
                read(&ada, "/news")
            )
            .await
            .status,
            200
        );
    }
}

#[tokio::test]
async fn starts_of_healthy_servers_are_not_slowed_down_and_those_of_broken_ones_are() {
    let Shell { plan, _folder, .. } = shell();
    let guard = plan.start().await;
    let began = Instant::now();
    for _ in 0..12 {
        guard.ada().session("2025-06-18").await;
    }
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );

    let broken = Target::Stdio {
        program: "false".to_owned(),
        arguments: Vec::new(),
        hidden: Vec::new(),
    };
    let guard = Plan::to(broken).start().await;
    let mut last = String::new();
    for _ in 0..12 {
        let reply = soon("a start", guard.ada().initialize("2025-06-18")).await;
        assert!(reply.json().get("error").is_some(), "{}", reply.text());
        last = reply.text();
        if last.contains("cannot be reached") {
            break;
        }
    }
    assert!(last.contains("cannot be reached"), "{last}");
    let began = Instant::now();
    guard.ada().initialize("2025-06-18").await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "it is told, not kept waiting"
    );
}
