//! What a guard that was told to end still does: running calls are finished, also those that wait for their client's
//! word, and nothing new is begun.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::old_transport::{self, handshake};
use crate::policy_changes::{listening, rules};
use crate::support::{Client, Guard, Plan, Play, Server, Step, event, mcp, result_of, until};

/// A server whose tool answers only when the client has answered it, or when the test says so.
async fn asking(method: &'static str) -> (Server, Arc<Notify>) {
    let answered = Arc::new(Notify::new());
    let gate = Arc::clone(&answered);
    let server = Server::new(move |seen| match seen.rpc().as_str() {
        "tools/call" => Play::events(vec![
            event(&json!({"jsonrpc": "2.0", "id": "srv-1", "method": method, "params": {"message": "who?"}})),
            Step::Gate(Arc::clone(&gate)),
            event(&result_of(&seen, json!({"content": [{"type": "text", "text": "done"}]}))),
        ]),
        "response" => {
            gate.notify_one();
            mcp(&seen)
        }
        _ => mcp(&seen),
    })
    .await;
    (server, answered)
}

fn may_ask() -> Value {
    json!([{"name": "read", "effect": "Allow", "tools": ["read"]},
           {"name": "ask", "effect": "Allow", "methods": ["elicitation/create", "sampling/createMessage"]}])
}

fn word() -> String {
    json!({"jsonrpc": "2.0", "id": "srv-1", "result": {"action": "accept"}}).to_string()
}

/// A client of the same caller and session without a connection of its own yet.
fn anew(guard: &Guard, client: &Client) -> Client {
    let mut other = guard.ada();
    other.headers.clone_from(&client.headers);
    other
}

/// Tells the guard to end; returns once it has begun to, with what waits for the end.
async fn told_to_end(mut guard: Guard) -> tokio::task::JoinHandle<Guard> {
    let stop = guard.running().gateway.stop.clone();
    let ending = tokio::spawn(async move {
        guard.stop().await;
        guard
    });
    stop.cancelled().await;
    ending
}

fn read() -> Value {
    json!({"name": "read", "arguments": {}})
}

#[tokio::test]
async fn a_call_that_asked_its_client_is_finished_while_the_guard_drains() {
    let (server, _) = asking("elicitation/create").await;
    let guard = Plan::over(&server).rules(may_ask()).start().await;
    let ada = guard.ada().session("2025-11-25").await;
    let mut stream = ada.streaming(&json!(5), "tools/call", read()).await;
    assert_eq!(
        stream.message().await.unwrap()["method"],
        "elicitation/create"
    );
    let late = anew(&guard, &ada);
    let ending = told_to_end(guard).await;
    let refused = late.call("read", json!({})).await;
    assert_eq!(refused.status, 503, "nothing new is begun");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("connection"), "close");
    assert_eq!(late.post(word()).await.status, 202);
    let answer = stream.message().await.unwrap();
    assert_eq!(answer["result"]["content"][0]["text"], "done");
    let guard = ending.await.unwrap();
    assert_eq!(server.of("tools/call").len(), 1);
    let call = guard.call("tools/call").await;
    assert!(call.end().executed);
}

#[tokio::test]
async fn a_call_of_the_oldest_transport_is_finished_while_the_guard_drains() {
    let (server, _) = asking("sampling/createMessage").await;
    let guard = Plan::over(&server).rules(may_ask()).start().await;
    let ada = guard.ada();
    let (mut stream, address) = handshake(&ada).await;
    let call = old_transport::call(7, "/a");
    assert_eq!(old_transport::post(&ada, &address, call.clone()).await, 202);
    assert_eq!(
        stream.message().await.unwrap()["method"],
        "sampling/createMessage"
    );
    let late = anew(&guard, &ada);
    let ending = told_to_end(guard).await;
    assert_eq!(old_transport::post(&late, &address, call).await, 503);
    let word = serde_json::from_str(&word()).unwrap();
    assert_eq!(old_transport::post(&late, &address, word).await, 202);
    let answer = stream.message().await.unwrap();
    assert_eq!(
        (
            answer["id"].clone(),
            answer["result"]["content"][0]["text"].clone()
        ),
        (json!(7), json!("done"))
    );
    assert_eq!(stream.next().await, None, "then the stream ends");
    ending.await.unwrap();
    assert_eq!(server.of("tools/call").len(), 1);
}

#[tokio::test]
async fn a_stream_of_the_oldest_transport_without_calls_keeps_no_guard_from_ending() {
    let server = Server::usual().await;
    let mut guard = Plan::over(&server).start().await;
    let ada = guard.ada();
    let (mut stream, _) = handshake(&ada).await;
    let began = Instant::now();
    guard.stop().await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    while let Some(said) = stream.next().await {
        assert!(said.starts_with(':'), "{said}");
    }
}

#[tokio::test]
async fn a_call_that_is_held_is_told_as_pending_when_the_guard_ends() {
    let server = Server::usual().await;
    let approval = json!({"approvers": [{"groups": ["leads"]}]});
    let guard = Plan::over(&server)
        .rules(json!([{"name": "hold", "effect": "RequireApproval", "tools": ["read"], "approval": approval}]))
        .with("approvals", json!({"hold": "45s"}))
        .approving()
        .start()
        .await;
    let ada = guard.ada().session("2025-11-25").await;
    let held = tokio::spawn(async move { ada.call("read", json!({})).await });
    until("the held call", || {
        guard
            .metrics()
            .contains("sallyport_calls_held 1")
            .then_some(())
    })
    .await;
    let ending = told_to_end(guard).await;
    let answer = held.await.unwrap().json();
    let status = &answer["result"]["_meta"]["dev.sallyport/approval"]["status"];
    assert_eq!(status, "pending", "{answer}");
    let guard = ending.await.unwrap();
    assert_eq!(guard.call("tools/call").await.reason(), "approval_pending");
    assert_eq!(server.of("tools/call").len(), 0);
}

#[tokio::test]
async fn a_stop_ends_subscriptions_and_streams_and_lets_calls_finish() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" => mcp(&seen).after(Duration::from_millis(600)),
        _ => listening()(seen),
    })
    .await;
    let mut guard = Plan::over(&server).rules(rules(&["read"])).start().await;
    let ada = guard.ada().session("2025-06-18").await;
    let mut standing = ada.open(Method::GET, "/mcp", Bytes::new()).await;
    assert!(standing.next().await.is_some());
    let filter = json!({"notifications": {"toolsListChanged": true}});
    let mut subscribed = guard
        .ada()
        .modern()
        .streaming(&json!(1), "subscriptions/listen", filter)
        .await;
    assert!(subscribed.message().await.is_some());
    let calling = tokio::spawn(async move { ada.call("read", json!({})).await });
    until("the call", || server.of("tools/call").pop()).await;
    let began = Instant::now();
    guard.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        calling.await.unwrap().json()["result"]["content"][0]["text"],
        "done"
    );
    assert_eq!(standing.next().await, None);
    let last = subscribed.rest().await;
    assert_eq!(last.last().unwrap()["result"]["resultType"], "complete");
    assert!(
        guard
            .ended_calls()
            .await
            .iter()
            .all(|call| call.ended.len() == 1)
    );
}
