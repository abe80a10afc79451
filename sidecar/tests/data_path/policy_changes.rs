//! Rule 6: a changed policy judges what is open already.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::support::{Plan, Play, Server, Step, event, mcp};

pub(crate) fn listening() -> impl Fn(crate::support::Seen) -> Play + Send + Sync + 'static {
    |seen| match seen.rpc().as_str() {
        "GET" => Play::events(vec![Step::Send(": here\n\n".into()), Step::Hang]),
        "subscriptions/listen" => {
            let meta = json!({"io.modelcontextprotocol/subscriptionId": seen.id()});
            let wanted = seen.json()["params"]["notifications"].clone();
            let updated = |uri: &str| {
                event(
                    &json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri, "_meta": meta}}),
                )
            };
            let mut steps = vec![
                event(
                    &json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {"notifications": wanted, "_meta": meta}}),
                ),
                updated("docs://handbook/a"),
                updated("docs://vault/b"),
            ];
            for _ in 0..40 {
                steps.push(Step::Wait(Duration::from_millis(100)));
                steps.push(updated("docs://handbook/later"));
            }
            Play::events(steps)
        }
        _ => mcp(&seen),
    }
}

pub(crate) fn rules(tools: &[&str]) -> Value {
    json!([{"name": "read", "effect": "Allow", "tools": tools, "resources": ["docs://handbook/**"]}])
}

#[tokio::test]
async fn rule_6_a_changed_policy_is_announced_where_the_server_said_it_would_and_judges_the_next_call()
 {
    let server = Server::new(listening()).await;
    let guard = Plan::over(&server).rules(rules(&["read"])).start().await;
    let ada = guard.ada().session("2025-06-18").await;
    let mut stream = ada.open(Method::GET, "/mcp", Bytes::new()).await;
    assert!(stream.next().await.is_some());
    assert_eq!(
        ada.call("read", json!({})).await.json()["result"]["content"][0]["text"],
        "done"
    );
    guard.replace(rules(&["write"]));
    let told = stream.message().await.unwrap();
    assert_eq!(told["method"], "notifications/tools/list_changed");
    let more = tokio::time::timeout(Duration::from_millis(300), stream.next()).await;
    assert!(
        more.is_err(),
        "prompts and resources do not change here: {more:?}"
    );
    assert_eq!(ada.call("read", json!({})).await.code(), -32602);
    assert_eq!(
        ada.call("write", json!({})).await.json()["result"]["content"][0]["text"],
        "done"
    );
    let changes = guard
        .records()
        .iter()
        .filter(|record| record.event.name() == "policyChanged")
        .count();
    assert_eq!(changes, 1);
}

#[tokio::test]
async fn rule_6_a_subscription_is_narrowed_filtered_and_judged_by_the_policy_of_the_moment() {
    let server = Server::new(listening()).await;
    let guard = Plan::over(&server).rules(rules(&["read"])).start().await;
    let filter = json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": ["docs://handbook/a", "docs://vault/b"]}});
    let mut stream = guard
        .ada()
        .modern()
        .streaming(&json!("sub-1"), "subscriptions/listen", filter)
        .await;
    let seen =
        crate::support::until("the request", || server.of("subscriptions/listen").pop()).await;
    assert_eq!(
        seen.json()["params"]["notifications"]["resourceSubscriptions"],
        json!(["docs://handbook/a"])
    );
    let acknowledged = stream.message().await.unwrap();
    assert_eq!(
        acknowledged["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        "sub-1"
    );
    assert_eq!(
        stream.message().await.unwrap()["params"]["uri"],
        "docs://handbook/a"
    );
    assert_eq!(
        stream.message().await.unwrap()["params"]["uri"],
        "docs://handbook/later",
        "the vault's is dropped"
    );
    guard.replace(json!([{"name": "read", "effect": "Allow", "tools": ["write"]}]));
    let told = loop {
        let message = stream.message().await.unwrap();
        if message["method"] != "notifications/resources/updated" {
            break message;
        }
    };
    assert_eq!(told["method"], "notifications/tools/list_changed");
    assert_eq!(
        told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        "sub-1"
    );
    let more = tokio::time::timeout(Duration::from_millis(500), stream.message()).await;
    assert!(more.is_err(), "the new policy shows none of them: {more:?}");
}

#[tokio::test]
async fn law_11_a_subscription_ends_with_the_token_that_opened_it() {
    let server = Server::new(listening()).await;
    let guard = Plan::over(&server).rules(rules(&["read"])).start().await;
    let short = crate::support::Token {
        ttl: Duration::from_secs(2),
        ..Default::default()
    };
    let client = guard.client(&short).modern();
    let filter = json!({"notifications": {"resourceSubscriptions": ["docs://handbook/a"]}});
    let stream = client
        .streaming(&json!(4), "subscriptions/listen", filter)
        .await;
    let heard = crate::support::soon("a subscription past its token", stream.rest()).await;
    let end = heard.last().unwrap();
    assert_eq!(end["id"], 4);
    assert_eq!(end["result"]["resultType"], "complete");
    assert_eq!(
        end["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        4
    );
    assert_eq!(
        guard.call("subscriptions/listen").await.reason(),
        "no_longer_welcome"
    );
    crate::support::until("the server's side", || (server.hung_up() > 0).then_some(())).await;
}
