//! Law 1: what the server may know of its client, and what it may ask of it.

use bytes::Bytes;
use http::Method;
use sallyport_policy::record::event::{Direction, Event, Outcome, PayloadKind};
use serde_json::{Value, json};

use crate::support::{Plan, Play, Server, Step, answer, event, mcp, result_of, until};

/// A server whose tool asks the client something before it answers.
async fn asking(method: &'static str) -> Server {
    Server::new(move |seen| match seen.rpc().as_str() {
        "tools/call" if seen.is_modern() => answer(
            &seen,
            json!({"resultType": "input_required", "requestState": "s1",
                   "inputRequests": {"q": {"method": method, "params": {"message": "who?"}}}}),
        ),
        "tools/call" => Play::events(vec![
            event(&json!({"jsonrpc": "2.0", "id": "srv-1", "method": method, "params": {"message": "who? AKIAIOSFODNN7EXAMPLE"}})),
            Step::Wait(std::time::Duration::from_millis(150)),
            event(&result_of(&seen, json!({"content": []}))),
        ]),
        _ => mcp(&seen),
    })
    .await
}

fn rules(methods: &[&str]) -> Value {
    let mut rules = vec![json!({"name": "read", "effect": "Allow", "tools": ["read"]})];
    if !methods.is_empty() {
        rules.push(json!({"name": "ask", "effect": "Allow", "methods": methods}));
    }
    Value::Array(rules)
}

#[tokio::test]
async fn law_01_the_server_does_not_see_client_features_that_nothing_allows() {
    let server = Server::usual().await;
    let guard = Plan::over(&server)
        .rules(rules(&["elicitation/create"]))
        .start()
        .await;
    guard.ada().session("2025-11-25").await;
    let seen = server.of("initialize").remove(0).json();
    assert_eq!(seen["params"]["capabilities"], json!({"elicitation": {}}));
    assert_eq!(
        guard.ada().modern().call("read", json!({})).await.status,
        200
    );
    let seen = server.of("tools/call").remove(0).json();
    let capabilities = &seen["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(*capabilities, json!({"elicitation": {}}));
}

#[tokio::test]
async fn law_01_a_legacy_server_that_asks_what_is_not_allowed_hears_an_error() {
    let server = asking("sampling/createMessage").await;
    let guard = Plan::over(&server)
        .rules(rules(&["elicitation/create"]))
        .start()
        .await;
    let ada = guard.ada().session("2025-06-18").await;
    let stream = ada
        .streaming(
            &json!(5),
            "tools/call",
            json!({"name": "read", "arguments": {}}),
        )
        .await;
    let heard = stream.rest().await;
    assert_eq!(heard.len(), 1, "only the answer: {heard:?}");
    assert_eq!(heard[0]["id"], 5);
    let told = until("the refusal", || server.of("response").pop()).await;
    assert_eq!(told.json()["id"], "srv-1");
    assert_eq!(told.json()["error"]["code"], -32601);
    assert!(
        told.header("mcp-session-id")
            .unwrap()
            .starts_with("behind-")
    );
    let call = guard.call("tools/call").await;
    assert!(
        format!("{:?}", call.events).contains("server_request_denied"),
        "{call:?}"
    );
}

#[tokio::test]
async fn law_01_a_modern_server_that_asks_what_is_not_allowed_ends_the_call() {
    let server = asking("sampling/createMessage").await;
    let guard = Plan::over(&server)
        .rules(rules(&["elicitation/create"]))
        .start()
        .await;
    let reply = guard.ada().modern().call("read", json!({})).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["result"]["isError"], true, "{}", reply.text());
    assert!(!reply.text().contains("who?"));
    let call = guard.call("tools/call").await;
    assert_eq!(call.reason(), "server_request_denied");
    assert!(call.end().executed);
    assert_eq!(
        server.of("response").len(),
        0,
        "no client may answer in the newest revision"
    );
}

#[tokio::test]
async fn law_01_what_is_allowed_passes_masked_and_is_answered_once_by_whom_it_was_asked() {
    let server = asking("elicitation/create").await;
    let guard = Plan::over(&server)
        .rules(rules(&["elicitation/create"]))
        .start()
        .await;
    let ada = guard.ada().session("2025-06-18").await;
    let mut stream = ada
        .streaming(
            &json!(5),
            "tools/call",
            json!({"name": "read", "arguments": {}}),
        )
        .await;
    let asked = stream.message().await.unwrap();
    assert_eq!(asked["method"], "elicitation/create");
    assert!(
        !asked.to_string().contains("AKIAIOSFODNN7EXAMPLE"),
        "{asked}"
    );
    let reply =
        json!({"jsonrpc": "2.0", "id": "srv-1", "result": {"action": "accept"}}).to_string();
    let typed = json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string();
    let session = ada
        .headers
        .iter()
        .find(|(name, _)| name == "mcp-session-id")
        .unwrap()
        .1
        .clone();
    let eve = guard.eve().with("mcp-session-id", &session);
    assert_eq!(eve.post(reply.clone()).await.status, 404);
    assert_eq!(
        guard.ada().post(reply.clone()).await.status,
        400,
        "not in that session"
    );
    assert_eq!(
        ada.post(typed).await.status,
        400,
        "an id that nobody asked under"
    );
    assert_eq!(ada.post(reply.clone()).await.status, 202);
    assert_eq!(ada.post(reply).await.status, 400, "once");
    assert_eq!(server.of("response").len(), 1);
    assert_eq!(stream.message().await.unwrap()["id"], 5);
    assert!(guard.refused("unasked_response") >= 3);
    let answer = guard.call("response to elicitation/create").await;
    assert_eq!(
        (answer.end().outcome, answer.reason()),
        (Outcome::Succeeded, "client_accepted")
    );
    assert!(answer.end().executed && answer.requested.id.as_deref() == Some("\"srv-1\""));
    let unasked = guard.call("response").await;
    assert_eq!(
        (unasked.end().outcome, unasked.reason()),
        (Outcome::Denied, "unasked_response")
    );
    let modern = guard.ada().modern().call("read", json!({})).await;
    assert_eq!(
        modern.json()["result"]["requestState"],
        "s1",
        "{}",
        modern.text()
    );
}

#[tokio::test]
async fn what_a_client_answers_is_recorded_masked_and_how_it_went() {
    let server = asking("elicitation/create").await;
    let guard = Plan::over(&server)
        .rules(rules(&["elicitation/create"]))
        .start()
        .await;
    let secret = "AKIAIOSFODNN7EXAMPLE";
    let rows = [
        (
            json!({"result": {"action": "accept", "content": {"key": secret}}}),
            "client_accepted",
        ),
        (json!({"result": {"action": "decline"}}), "client_declined"),
        (json!({"result": {"action": "cancel"}}), "client_cancelled"),
        (
            json!({"error": {"code": -1, "message": "no"}}),
            "client_error",
        ),
    ];
    for (said, kind) in rows {
        let ada = guard.ada().session("2025-06-18").await;
        let mut stream = ada
            .streaming(
                &json!(5),
                "tools/call",
                json!({"name": "read", "arguments": {}}),
            )
            .await;
        assert_eq!(stream.message().await.unwrap()["id"], "srv-1");
        let mut reply = json!({"jsonrpc": "2.0", "id": "srv-1"});
        reply
            .as_object_mut()
            .unwrap()
            .extend(said.as_object().unwrap().clone());
        assert_eq!(ada.post(reply.to_string()).await.status, 202, "{kind}");
        let told = guard.call("response to elicitation/create").await;
        assert_eq!(told.reason(), kind);
        assert_eq!(told.requested.bytes, reply.to_string().len() as u64);
    }
    let kept: Vec<_> = guard
        .records()
        .into_iter()
        .flat_map(|record| record.payloads)
        .filter(|payload| payload.kind == PayloadKind::ServerRequest)
        .collect();
    assert_eq!(kept.len(), 2 * 4, "the asking and the answer: {kept:?}");
    let payloads = guard.state().join("recordings/payloads/00000001.pay");
    let payloads = String::from_utf8_lossy(&std::fs::read(payloads).unwrap()).into_owned();
    assert!(payloads.contains("\"decline\"") && !payloads.contains(secret));
    assert!(
        server
            .of("response")
            .iter()
            .any(|seen| seen.json().to_string().contains(secret)),
        "the server itself gets what the client said"
    );
}

#[tokio::test]
async fn what_a_client_answers_inside_a_call_is_told_beside_it() {
    let server = asking("elicitation/create").await;
    let guard = Plan::over(&server)
        .rules(rules(&["elicitation/create"]))
        .start()
        .await;
    let call = json!({"name": "read", "arguments": {}, "requestState": "s1",
        "inputResponses": {"q": {"action": "accept", "content": {"name": "Ada"}}}});
    let reply = guard.ada().modern().request("tools/call", call).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let told = guard.call("tools/call").await;
    let answers: Vec<_> = told
        .events
        .iter()
        .filter_map(|event| match event {
            Event::StreamEvent(event) => Some(event),
            _ => None,
        })
        .collect();
    assert_eq!(answers.len(), 1, "{told:?}");
    assert_eq!(answers[0].direction, Direction::ClientToServer);
    assert_eq!(answers[0].event_id.as_deref(), Some("q"));
    assert!(answers[0].bytes > 10);
}

#[tokio::test]
async fn a_client_that_takes_only_json_gets_the_answer_and_the_server_a_refusal() {
    let server = asking("elicitation/create").await;
    let guard = Plan::over(&server)
        .rules(rules(&["elicitation/create"]))
        .start()
        .await;
    let ada = guard
        .ada()
        .session("2025-06-18")
        .await
        .with("accept", "application/json");
    let reply = ada.call("read", json!({})).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.json()["id"], 1);
    let told = until("the refusal", || server.of("response").pop()).await;
    assert_eq!(told.json()["error"]["code"], -32601);
}

#[tokio::test]
async fn a_modern_stream_carries_no_request_of_the_server() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" => Play::events(vec![
            event(
                &json!({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {}}),
            ),
            event(&result_of(
                &seen,
                json!({"resultType": "complete", "content": []}),
            )),
        ]),
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server)
        .rules(rules(&["elicitation/create"]))
        .start()
        .await;
    let stream = guard
        .ada()
        .modern()
        .streaming(
            &json!(1),
            "tools/call",
            json!({"name": "read", "arguments": {}}),
        )
        .await;
    let heard = stream.rest().await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].get("result").is_some());
    assert_eq!(server.of("response").len(), 0);
}

#[tokio::test]
async fn what_a_server_asks_on_the_standing_stream_is_judged_like_any_other() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "GET" => Play::events(vec![
            event(&json!({"jsonrpc": "2.0", "id": 9, "method": "sampling/createMessage", "params": {}})),
            event(&json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}})),
            event(&json!({"jsonrpc": "2.0", "method": "notifications/unheard_of", "params": {}})),
            event(&json!({"jsonrpc": "2.0", "id": 10, "method": "roots/list", "params": {}})),
            event(&json!({"jsonrpc": "2.0", "id": 11, "method": "ping"})),
            Step::Hang,
        ]),
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server)
        .rules(rules(&["roots/list"]))
        .start()
        .await;
    let ada = guard.ada().session("2025-06-18").await;
    let mut stream = ada.open(Method::GET, "/mcp", Bytes::new()).await;
    assert_eq!(stream.message().await.unwrap()["id"], 10);
    assert_eq!(stream.message().await.unwrap()["method"], "ping");
    let refused = until("the refusal", || server.of("response").pop()).await;
    assert_eq!(refused.json()["id"], 9);
}
