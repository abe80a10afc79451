//! Laws 30 and 31 from socket to disk.

use sallyport_policy::record::event::{Event, Outcome};
use serde_json::json;

use crate::support::{Plan, Play, Server, Step, Token, answer, event, mcp, until};

#[tokio::test]
async fn law_30_every_request_and_notification_ends_exactly_once_and_in_its_callers_chain() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().session("2025-06-18").await;
    ada.notify("notifications/initialized", json!({})).await;
    ada.request("ping", json!({})).await;
    ada.request("tools/list", json!({})).await;
    ada.call("read", json!({"path": "/a"})).await;
    ada.call("read", json!({"path": "/vault/x"})).await;
    ada.call("hidden", json!({})).await;
    ada.request("nonsense", json!({})).await;
    ada.request("resources/read", json!({"uri": 7})).await;
    guard
        .ada()
        .modern()
        .request("server/discover", json!({}))
        .await;
    guard.eve().call("read", json!({})).await;
    let agent = guard.client(&Token {
        client: "another",
        ..Token::default()
    });
    agent.request("ping", json!({})).await;
    let calls = guard.ended_calls().await;
    assert_eq!(calls.len(), 12);
    for call in &calls {
        assert_eq!(call.ended.len(), 1, "{call:?}");
        assert_eq!(
            call.ended[0].executed,
            call.events
                .iter()
                .any(|event| matches!(event, Event::Forwarded(_))),
            "{call:?}"
        );
    }
    let began: Vec<_> = guard
        .records()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::SessionBegan(began) => Some((
                began.caller.subject.to_string(),
                began.caller.client.unwrap().to_string(),
            )),
            _ => None,
        })
        .collect();
    let expected = [("ada", "agent"), ("eve", "agent"), ("ada", "another")]
        .map(|(user, client)| (user.to_owned(), client.to_owned()));
    assert_eq!(began, expected, "one chain a principal and client");
    let call = calls
        .iter()
        .find(|call| call.requested.method == "nonsense")
        .unwrap();
    assert_eq!(call.reason(), "unknown_method");
    assert_eq!(call.decided.len(), 1);
}

#[tokio::test]
async fn law_31_strict_with_a_state_that_takes_nothing_serves_nothing() {
    let server = Server::usual().await;
    let mut plan = Plan::over(&server);
    plan.quota = Some(64 << 10);
    let guard = plan.start().await;
    let full = guard.ada();
    let mut served = 0;
    while !full
        .call("read", json!({"path": "x".repeat(4000)}))
        .await
        .text()
        .contains("recording_unavailable")
    {
        served += 1;
        assert!(served < 100, "the quota is used up by then");
    }
    // Listing tools for its own use is all that the guard still does.
    let callers = || {
        server
            .all()
            .iter()
            .filter(|seen| seen.rpc() != "tools/list")
            .count()
    };
    let before = callers();
    for client in [guard.ada(), guard.ada().modern()] {
        let reply = client.call("read", json!({})).await;
        let json = reply.json();
        assert!(
            json["result"]["isError"] == true || json.get("error").is_some(),
            "{json}"
        );
        assert!(reply.text().contains("recording_unavailable"), "{json}");
        let list = client.request("prompts/list", json!({})).await;
        assert!(list.json().get("error").is_some(), "{}", list.text());
    }
    let reply = guard.ada().initialize("2025-06-18").await;
    assert!(reply.json().get("error").is_some(), "{}", reply.text());
    assert_eq!(callers(), before, "nothing is served");
}

#[tokio::test]
async fn law_31_an_answer_that_cannot_be_stored_is_withheld_and_the_client_hears_that_it_ran() {
    let text = "word ".repeat(100_000);
    let server = Server::new(move |seen| match seen.rpc().as_str() {
        "tools/call" => answer(&seen, json!({"content": [{"type": "text", "text": text}]})),
        _ => mcp(&seen),
    })
    .await;
    let mut plan = Plan::over(&server);
    plan.quota = Some(300_000);
    let guard = plan.start().await;
    let reply = guard.ada().call("read", json!({})).await;
    assert!(reply.text().len() < 2000, "{} bytes", reply.text().len());
    assert_eq!(reply.json()["result"]["isError"], true, "{}", reply.text());
    assert!(reply.text().contains("was executed"), "{}", reply.text());
    let call = guard.call("tools/call").await;
    assert_eq!(
        (call.end().outcome, call.reason()),
        (Outcome::Withheld, "recording_unavailable")
    );
    assert!(call.end().executed);
    assert_eq!(server.of("tools/call").len(), 1);
}

#[tokio::test]
async fn law_31_a_stream_that_can_no_longer_be_stored_ends_its_call() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" => {
            let word = "word ".repeat(8_000);
            let report = json!({"jsonrpc": "2.0", "method": "notifications/progress",
                                "params": {"progressToken": "p", "progress": 1, "message": word}});
            let mut steps: Vec<_> = std::iter::repeat_n(event(&report), 40).collect();
            steps.push(Step::Hang);
            Play::events(steps)
        }
        _ => mcp(&seen),
    })
    .await;
    let mut plan = Plan::over(&server);
    plan.quota = Some(400_000);
    let guard = plan.start().await;
    let ada = guard.ada().session("2025-11-25").await;
    let call = json!({"name": "read", "arguments": {}, "_meta": {"progressToken": "p"}});
    let stream = ada.streaming(&json!(5), "tools/call", call).await;
    let heard = stream.rest().await;
    assert!(heard.len() > 1 && heard.len() < 40, "{}", heard.len());
    let last = heard.last().unwrap();
    assert_eq!(last["result"]["isError"], true, "{last}");
    assert!(last.to_string().contains("was executed"), "{last}");
    assert_eq!(
        guard.call("tools/call").await.reason(),
        "recording_unavailable"
    );
    until("the server's side", || (server.hung_up() > 0).then_some(())).await;
}

#[tokio::test]
async fn no_token_and_no_credential_is_ever_recorded() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let token = guard.token(&Token::default());
    let ada = guard.ada().session("2025-06-18").await;
    ada.call("read", json!({"path": format!("leak {token}")}))
        .await;
    ada.call("write", json!({"body": crate::support::UPSTREAM_SECRET}))
        .await;
    let mut all = Vec::new();
    for folder in ["segments", "payloads"] {
        for file in std::fs::read_dir(guard.state().join("recordings").join(folder)).unwrap() {
            all.extend(std::fs::read(file.unwrap().path()).unwrap());
        }
    }
    let all = String::from_utf8_lossy(&all).into_owned();
    assert!(all.contains("leak "));
    for secret in [token.as_str(), crate::support::UPSTREAM_SECRET] {
        assert!(!all.contains(secret));
    }
}
