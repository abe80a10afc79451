//! Law 11: whose session it is, and how long it lasts.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::json;

use crate::support::{Plan, Play, Server, Step, Token, event, mcp, result_of, until};

#[tokio::test]
async fn law_11_a_foreign_principal_cannot_use_a_session() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().session("2025-06-18").await;
    let session = header(&ada, "mcp-session-id");
    let before = server.all().len();
    let other_agent = guard.client(&Token {
        client: "another-agent",
        ..Token::default()
    });
    for thief in [guard.eve(), other_agent] {
        let thief = thief.with("mcp-session-id", &session);
        let replies = [
            thief.call("read", json!({})).await,
            thief.notify("notifications/initialized", json!({})).await,
            thief
                .post(json!({"jsonrpc": "2.0", "id": 7, "result": {}}).to_string())
                .await,
            thief.get("/mcp").await,
            thief.clone().with("last-event-id", "1").get("/mcp").await,
            thief.send(Method::DELETE, "/mcp", Bytes::new()).await,
        ];
        for reply in replies {
            assert_eq!(reply.status, 404, "{}", reply.text());
        }
    }
    assert_eq!(server.all().len(), before, "the server never heard of it");
    let unknown = guard.eve().with("mcp-session-id", "made-up");
    let (foreign, made_up) = (
        guard
            .eve()
            .with("mcp-session-id", &session)
            .call("read", json!({}))
            .await,
        unknown.call("read", json!({})).await,
    );
    assert_eq!(
        foreign.body, made_up.body,
        "another's session is as if it did not exist"
    );
    assert_eq!(guard.refused("unknown_session"), 14);
    assert_eq!(ada.call("read", json!({})).await.status, 200);
}

#[tokio::test]
async fn law_11_a_session_exists_only_after_this_process_saw_it_open() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let guessed = guard.ada().with("mcp-session-id", "behind-1");
    assert_eq!(guessed.call("read", json!({})).await.status, 404);
    let ada = guard.ada().session("2025-11-25").await;
    assert_eq!(
        ada.send(Method::DELETE, "/mcp", Bytes::new()).await.status,
        200
    );
    assert_eq!(server.of("DELETE").len(), 1);
    assert_eq!(ada.call("read", json!({})).await.status, 404, "it is over");
    assert_eq!(server.of("tools/call").len(), 0);
}

#[tokio::test]
async fn law_11_a_session_id_that_the_server_gives_out_twice_is_not_shared() {
    let server = Server::new(|seen| {
        let mut play = mcp(&seen);
        play.headers.retain(|(name, _)| *name != "mcp-session-id");
        if seen.rpc() == "initialize" {
            play = play.header("mcp-session-id", "always-the-same");
        }
        play
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().session("2025-06-18").await;
    let reply = guard.eve().initialize("2025-06-18").await;
    assert!(reply.json().get("error").is_some(), "{}", reply.text());
    assert_eq!(reply.header("mcp-session-id"), "");
    let call = guard.call("initialize").await;
    assert_eq!(call.reason(), "session");
    let eve = guard.eve().with("mcp-session-id", "always-the-same");
    assert_eq!(eve.call("read", json!({})).await.status, 404);
    assert_eq!(ada.call("read", json!({})).await.status, 200);
}

#[tokio::test]
async fn law_11_a_session_that_the_server_forgot_is_over_here_too() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" | "notifications/cancelled" => Play::new(404, "text/plain", "gone"),
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().session("2025-06-18").await;
    assert_eq!(ada.call("read", json!({})).await.status, 404);
    assert_eq!(guard.call("tools/call").await.reason(), "session_gone");
    let before = server.all().len();
    assert_eq!(ada.request("ping", json!({})).await.status, 404);
    assert_eq!(server.all().len(), before);
}

fn streaming() -> impl Fn(crate::support::Seen) -> Play + Send + Sync + 'static {
    |seen| match seen.rpc().as_str() {
        "GET" => Play::events(vec![
            Step::Send("id: 1\ndata:\n\n".into()),
            Step::Wait(Duration::from_millis(200)),
            Step::Hang,
        ]),
        _ => mcp(&seen),
    }
}

#[tokio::test]
async fn law_11_a_stream_ends_at_exp_unless_the_principal_sent_a_fresh_token() {
    let server = Server::new(streaming()).await;
    let guard = Plan::over(&server).start().await;
    let short = Token {
        ttl: Duration::from_secs(2),
        ..Token::default()
    };
    let (left, renewed) = (
        guard.client(&short).session("2025-06-18").await,
        guard.client(&short).session("2025-06-18").await,
    );
    let mut ends = left.open(Method::GET, "/mcp", Bytes::new()).await;
    let mut lasts = renewed.open(Method::GET, "/mcp", Bytes::new()).await;
    assert!(ends.next().await.is_some() && lasts.next().await.is_some());
    let fresh = guard
        .ada()
        .with("mcp-session-id", &header(&renewed, "mcp-session-id"));
    assert_eq!(fresh.request("ping", json!({})).await.status, 200);
    assert_eq!(
        ends.next().await,
        None,
        "the token is over, and so is its stream"
    );
    assert_eq!(left.request("ping", json!({})).await.status, 401);
    let still = tokio::time::timeout(Duration::from_secs(1), lasts.next()).await;
    assert!(
        still.is_err(),
        "a fresh token keeps the stream open: {still:?}"
    );
}

#[tokio::test]
async fn law_11_a_busy_stream_ends_at_exp_too() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "GET" => {
            let tick = [
                Step::Send("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n".into()),
                Step::Wait(Duration::from_millis(50)),
            ];
            Play::events(tick.iter().cycle().take(2000).cloned().collect())
        }
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let short = Token {
        ttl: Duration::from_secs(2),
        ..Token::default()
    };
    let client = guard.client(&short).session("2025-06-18").await;
    let stream = client.open(Method::GET, "/mcp", Bytes::new()).await;
    let heard = crate::support::soon("a stream past its token", stream.rest()).await;
    assert!(!heard.is_empty());
    until("the server's side of the stream", || {
        (server.hung_up() > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn law_11_a_session_that_is_closed_ends_its_streams() {
    let server = Server::new(streaming()).await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().session("2025-06-18").await;
    let mut stream = ada.open(Method::GET, "/mcp", Bytes::new()).await;
    assert!(stream.next().await.is_some());
    assert_eq!(
        ada.send(Method::DELETE, "/mcp", Bytes::new()).await.status,
        200
    );
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn trap_45_resumption_is_bound_to_the_principal_and_keeps_the_event_id() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "GET" if seen.header("last-event-id") == Some("s1-2") => Play::events(vec![Step::Send(
            "id: s1-3\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"c1\",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"late AKIAIOSFODNN7EXAMPLE\"}]}}\n\n".into(),
        )]),
        "tools/call" => Play::events(vec![Step::Send(
            "id: s1-1\nretry: 500\ndata:\n\nid: s1-2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"working\"}}\n\n".into(),
        )]),
        _ => mcp(&seen),
    })
    .await;
    let rules = json!([{"name": "read", "effect": "Allow", "tools": ["read"], "methods": ["notifications/message"]}]);
    let guard = Plan::over(&server).rules(rules).start().await;
    let ada = guard.ada().session("2025-11-25").await;
    let mut stream = ada
        .streaming(
            &json!("c1"),
            "tools/call",
            json!({"name": "read", "arguments": {}}),
        )
        .await;
    let primed = stream.next().await.unwrap();
    assert!(
        primed.contains("id: s1-1") && primed.contains("retry: 500"),
        "{primed}"
    );
    assert!(stream.next().await.unwrap().contains("id: s1-2"));
    assert_eq!(stream.next().await, None, "the server wants to be polled");
    let session = header(&ada, "mcp-session-id");
    let eve = guard
        .eve()
        .with("mcp-session-id", &session)
        .with("last-event-id", "s1-2");
    assert_eq!(eve.get("/mcp").await.status, 404);
    let nameless = guard.ada().with("last-event-id", "s1-2");
    assert_eq!(nameless.get("/mcp").await.status, 400);
    assert_eq!(server.of("GET").len(), 0);
    let mut resumed = ada
        .with("last-event-id", "s1-2")
        .open(Method::GET, "/mcp", Bytes::new())
        .await;
    let event = resumed.next().await.unwrap();
    assert!(
        event.contains("id: s1-3") && event.contains("late"),
        "{event}"
    );
    assert!(
        !event.contains("AKIAIOSFODNN7EXAMPLE"),
        "a resumed answer is masked: {event}"
    );
    assert_eq!(
        guard.call("tools/call").await.end().outcome,
        sallyport_policy::record::event::Outcome::Succeeded
    );
}

fn header(client: &crate::support::Client, name: &str) -> String {
    client
        .headers
        .iter()
        .find(|(known, _)| known == name)
        .unwrap()
        .1
        .clone()
}

#[tokio::test]
async fn law_30_a_session_does_not_idle_while_a_call_of_it_runs() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" => {
            let report = |done: u32| {
                event(
                    &json!({"jsonrpc": "2.0", "method": "notifications/progress",
                              "params": {"progressToken": "p", "progress": done}}),
                )
            };
            let mut steps = Vec::new();
            for done in 1..8 {
                steps.push(report(done));
                steps.push(Step::Wait(Duration::from_millis(500)));
            }
            steps.push(event(&result_of(&seen, json!({"content": []}))));
            Play::events(steps)
        }
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server)
        .with("limits", json!({"sessionIdle": "1s"}))
        .start()
        .await;
    let ada = guard.ada().session("2025-11-25").await;
    let call = json!({"name": "read", "arguments": {}, "_meta": {"progressToken": "p"}});
    let heard = ada
        .streaming(&json!(5), "tools/call", call)
        .await
        .rest()
        .await;
    assert_eq!(heard.len(), 8, "{heard:?}");
    assert!(heard[7]["result"].is_object(), "{heard:?}");
    assert_eq!(ada.request("tools/list", json!({})).await.status, 200);
    let call = guard.call("tools/call").await;
    assert_eq!(call.ended.len(), 1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let late = ada.request("tools/list", json!({})).await;
    assert_eq!(late.status, 404, "nobody has used it since");
}
