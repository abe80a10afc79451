//! Streams of calls: what passes, what is dropped, and what happens when either side leaves.

use std::time::Duration;

use bytes::Bytes;
use sallyport_policy::record::event::Outcome;
use serde_json::{Value, json};

use crate::support::{Plan, Play, Seen, Server, Step, event, mcp, result_of, until};

async fn saying(steps: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Server {
    Server::new(move |seen| match seen.rpc().as_str() {
        "tools/call" => Play::events(steps(&seen)),
        _ => mcp(&seen),
    })
    .await
}

fn read() -> Value {
    json!({"name": "read", "arguments": {}})
}

fn chatty() -> Value {
    json!([{"name": "read", "effect": "Allow", "tools": ["read"], "methods": ["notifications/message"]}])
}

#[tokio::test]
async fn trap_32_frames_split_anywhere_arrive_whole_and_masked() {
    let server = saying(|seen| {
        let message = result_of(
            seen,
            json!({"content": [{"type": "text", "text": "key AKIAIOSFODNN7EXAMPLE é"}]}),
        );
        let text =
            format!("\u{feff}: hello AKIAIOSFODNN7EXAMPLE\r\nid: 7\r\ndata: {message}\r\n\r\n");
        let mut steps = Vec::new();
        for byte in text.as_bytes() {
            steps.push(Step::Send(Bytes::copy_from_slice(&[*byte])));
        }
        steps
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let mut stream = guard
        .ada()
        .streaming(&json!("x"), "tools/call", read())
        .await;
    assert_eq!(
        stream.headers.get("content-type").unwrap(),
        "text/event-stream"
    );
    assert_eq!(stream.headers.get("x-accel-buffering").unwrap(), "no");
    assert!(
        stream
            .headers
            .get("cache-control")
            .unwrap()
            .to_str()
            .unwrap()
            .contains("no-transform")
    );
    let mut heard = String::new();
    while let Some(event) = stream.next().await {
        heard.push_str(&event);
        heard.push('\n');
    }
    // A comment is a sign of life; what a server writes into it nobody judged.
    assert!(!heard.contains("hello"), "{heard}");
    assert!(heard.contains("id: 7") && heard.contains('é'), "{heard}");
    assert!(!heard.contains("AKIAIOSFODNN7EXAMPLE"), "{heard}");
}

#[tokio::test]
async fn trap_34_35_and_36_what_is_no_message_of_this_call_does_not_pass() {
    let server = saying(|seen| {
        vec![
            Step::Send("event: custom\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"odd event\"}}\n\n".into()),
            event(&json!({"jsonrpc": "2.0", "id": "other", "result": {"content": "stray"}})),
            event(&json!({"jsonrpc": "2.0", "id": 1, "result": {"content": "typed otherwise"}})),
            event(&json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "heard"}})),
            event(&result_of(seen, json!({"content": []}))),
            event(&result_of(seen, json!({"content": "a second answer"}))),
        ]
    })
    .await;
    let guard = Plan::over(&server).rules(chatty()).start().await;
    let stream = guard
        .ada()
        .streaming(&json!("1"), "tools/call", read())
        .await;
    let heard = stream.rest().await;
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert_eq!(heard[0]["params"]["data"], "heard");
    assert_eq!(heard[1]["result"]["content"], json!([]));

    let garbage = saying(|_| vec![Step::Send("data: {not json\n\n".into()), Step::Hang]).await;
    let guard = Plan::over(&garbage).start().await;
    let heard = guard
        .ada()
        .streaming(&json!("1"), "tools/call", read())
        .await
        .rest()
        .await;
    assert_eq!(heard.len(), 1, "an error ends it: {heard:?}");
    assert_eq!(heard[0]["id"], "1");
    assert!(heard[0].get("error").is_some());
    assert_eq!(
        guard.call("tools/call").await.reason(),
        "upstream_malformed"
    );
    until("the server's side", || {
        (garbage.hung_up() > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn logs_that_were_not_asked_for_and_unknown_notifications_are_dropped() {
    let server = saying(|seen| {
        vec![
            event(&json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}})),
            event(&json!({"jsonrpc": "2.0", "method": "notifications/evil", "params": {}})),
            event(&result_of(seen, json!({"resultType": "complete", "content": []}))),
        ]
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let heard = guard
        .ada()
        .streaming(&json!(1), "tools/call", read())
        .await
        .rest()
        .await;
    assert_eq!(
        heard.len(),
        2,
        "older revisions ask once for all: {heard:?}"
    );
    let silent = guard.ada().modern();
    let heard = silent
        .streaming(&json!(1), "tools/call", read())
        .await
        .rest()
        .await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    let mut asking = read();
    asking["_meta"]["io.modelcontextprotocol/logLevel"] = json!("info");
    let heard = silent
        .streaming(&json!(1), "tools/call", asking)
        .await
        .rest()
        .await;
    assert_eq!(heard.len(), 2, "{heard:?}");
}

#[tokio::test]
async fn an_error_without_an_id_is_the_answer_to_what_was_asked() {
    let error = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no"}});
    let told = error.clone();
    let streaming = saying(move |_| vec![event(&told)]).await;
    let plain = Server::new(move |seen| match seen.rpc().as_str() {
        "tools/call" => Play::new(400, "application/json", error.to_string()),
        _ => mcp(&seen),
    })
    .await;
    for (server, status) in [(streaming, 200), (plain, 400)] {
        let guard = Plan::over(&server).start().await;
        for client in [guard.ada(), guard.ada().with("accept", "application/json")] {
            let stream = client.streaming(&json!("q"), "tools/call", read()).await;
            assert_eq!(stream.status, status);
            let json_only = stream.headers.get("content-type").unwrap() == "application/json";
            let heard = if json_only {
                client.request("tools/call", read()).await.json()
            } else {
                stream.rest().await.remove(0)
            };
            assert_eq!(heard["error"]["code"], -32600);
            assert!(heard["id"] == "q" || heard["id"] == 1);
            assert_eq!(
                guard.call("tools/call").await.end().outcome,
                Outcome::Failed
            );
        }
    }
}

#[tokio::test]
async fn a_modern_client_that_leaves_cancels_at_the_server() {
    let server = saying(|_| {
        vec![
            event(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "p", "progress": 1}})),
            Step::Hang,
        ]
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let params = json!({"name": "read", "arguments": {}, "_meta": {"progressToken": "p"}});
    let mut stream = guard
        .ada()
        .modern()
        .streaming(&json!(1), "tools/call", params)
        .await;
    assert!(stream.message().await.is_some());
    drop(stream);
    until("the server's side", || (server.hung_up() > 0).then_some(())).await;
    assert_eq!(
        guard.call("tools/call").await.end().outcome,
        Outcome::Disconnected
    );
}

#[tokio::test]
async fn a_modern_client_that_leaves_before_the_first_byte_cancels_too() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" => mcp(&seen).after(Duration::from_secs(60)),
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let client = guard.ada().modern();
    let calling = tokio::spawn(async move { client.call("read", json!({})).await });
    until("the call", || server.of("tools/call").pop()).await;
    calling.abort();
    until("the server's side", || (server.hung_up() > 0).then_some(())).await;
    let call = guard.call("tools/call").await;
    assert!(call.end().executed, "{call:?}");
}

#[tokio::test]
async fn a_legacy_client_that_leaves_does_not_cancel_and_the_end_is_recorded() {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let opened = std::sync::Arc::clone(&gate);
    let streamed = saying(move |seen| {
        vec![
            Step::Send(": begun\n\n".into()),
            Step::Gate(std::sync::Arc::clone(&opened)),
            event(&result_of(seen, json!({"content": []}))),
        ]
    })
    .await;
    let guard = Plan::over(&streamed).start().await;
    let mut stream = guard.ada().streaming(&json!(1), "tools/call", read()).await;
    assert!(stream.next().await.is_some());
    drop(stream);
    tokio::time::sleep(Duration::from_millis(100)).await;
    gate.notify_one();
    assert_eq!(
        guard.call("tools/call").await.end().outcome,
        Outcome::Succeeded
    );
    assert_eq!(streamed.hung_up(), 0);

    let plain = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" => mcp(&seen).after(Duration::from_millis(700)),
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&plain).start().await;
    let client = guard.ada();
    let calling = tokio::spawn(async move { client.call("read", json!({})).await });
    until("the call", || plain.of("tools/call").pop()).await;
    calling.abort();
    assert_eq!(
        guard.call("tools/call").await.end().outcome,
        Outcome::Succeeded
    );
    assert_eq!(plain.hung_up(), 0);
}

#[tokio::test]
async fn initialize_is_understood_when_it_is_answered_by_a_stream() {
    let server = Server::new(|seen| {
        let play = mcp(&seen);
        if seen.rpc() != "initialize" {
            return play;
        }
        let Some(Step::Send(body)) = play.body.first().cloned() else {
            panic!("a body");
        };
        let message: Value = serde_json::from_slice(&body).unwrap();
        Play::events(vec![Step::Send("id: 0\ndata:\n\n".into()), event(&message)])
            .header("mcp-session-id", "from-a-stream")
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().session("2025-11-25").await;
    assert!(
        ada.headers
            .contains(&("mcp-session-id".to_owned(), "from-a-stream".to_owned()))
    );
    assert_eq!(ada.call("read", json!({})).await.status, 200);
    let eve = guard.eve().with("mcp-session-id", "from-a-stream");
    assert_eq!(eve.call("read", json!({})).await.status, 404);
}

#[tokio::test]
async fn trap_37_an_array_in_an_event_is_taken_apart_and_each_part_is_judged() {
    let server = saying(|seen| {
        vec![event(&json!([
            {"jsonrpc": "2.0", "method": "notifications/evil", "params": {}},
            {"jsonrpc": "2.0", "id": "s", "method": "sampling/createMessage", "params": {}},
            result_of(seen, json!({"content": [{"type": "text", "text": "AKIAIOSFODNN7EXAMPLE"}]})),
        ]))]
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().session("2025-03-26").await;
    let heard = ada
        .streaming(&json!(1), "tools/call", read())
        .await
        .rest()
        .await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(!heard[0].to_string().contains("AKIAIOSFODNN7EXAMPLE"));
}

#[tokio::test]
async fn a_server_that_breaks_off_ends_the_call_with_an_error() {
    let server =
        saying(|_| vec![Step::Send(": begun\n\ndata: {\"jsonrpc\":\"2.0\",".into())]).await;
    let guard = Plan::over(&server).start().await;
    let heard = guard
        .ada()
        .streaming(&json!(3), "tools/call", read())
        .await
        .rest()
        .await;
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0]["id"], 3);
    assert_eq!(
        guard.call("tools/call").await.reason(),
        "upstream_malformed"
    );
}
