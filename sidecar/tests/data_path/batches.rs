//! Law 16 and trap 3: arrays.

use serde_json::{Value, json};

use crate::support::{Plan, Play, Server, answer, mcp};

fn call(id: u64, tool: &str, arguments: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}

#[tokio::test]
async fn trap_03_a_batch_hides_no_forbidden_call() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().session("2025-03-26").await;
    let batch = json!([
        call(1, "read", &json!({"path": "/a"})),
        call(2, "write", &json!({"path": "/a"})),
        call(3, "read", &json!({"path": "/vault/x"})),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 4, "method": "nonsense"},
    ]);
    let reply = ada.post(batch.to_string()).await;
    assert_eq!(reply.status, 200);
    let answers = reply.json();
    let by_id = |id: u64| {
        let found = answers
            .as_array()
            .unwrap()
            .iter()
            .find(|answer| answer["id"] == id);
        found.unwrap().clone()
    };
    assert_eq!(answers.as_array().unwrap().len(), 4);
    assert_eq!(by_id(1)["result"]["content"][0]["text"], "done");
    assert_eq!(by_id(2)["error"]["code"], -32602);
    assert_eq!(by_id(3)["result"]["isError"], true);
    assert_eq!(by_id(4)["error"]["code"], -32601);
    let seen = server.of("tools/call");
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].json()["params"]["arguments"]["path"], "/a");
    assert!(
        guard
            .ended_calls()
            .await
            .iter()
            .all(|call| call.ended.len() == 1)
    );
    assert_eq!(
        guard
            .calls()
            .iter()
            .filter(|call| call.requested.method == "tools/call")
            .count(),
        3
    );
}

#[tokio::test]
async fn trap_03_arrays_that_are_no_batch_of_this_revision_are_refused_whole() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let good = call(1, "read", &json!({}));
    let rows = [
        ("2025-03-26", json!([])),
        ("2025-03-26", json!([[good]])),
        (
            "2025-03-26",
            json!([good, {"jsonrpc": "2.0", "id": 2, "method": "initialize", "params": {}}]),
        ),
        ("2025-03-26", json!([good, good])),
        ("2025-03-26", json!([good, 7])),
        ("2025-06-18", json!([good])),
        ("2025-11-25", json!([good])),
    ];
    for (revision, batch) in rows {
        let ada = guard.ada().session(revision).await;
        let reply = ada.post(batch.to_string()).await;
        assert_eq!(reply.status, 400, "{revision} {batch}");
        assert_eq!(reply.code(), -32600);
    }
    let modern = guard.ada().modern();
    let inner = modern.body(
        &json!(1),
        "tools/call",
        json!({"name": "read", "arguments": {}}),
    );
    let reply = modern
        .mirrored(&inner)
        .post(json!([inner]).to_string())
        .await;
    assert_eq!(reply.status, 400);
    assert_eq!(server.of("tools/call").len(), 0);
}

#[tokio::test]
async fn law_16_a_held_element_is_answered_as_pending_or_refused_at_once() {
    let server = Server::usual().await;
    let rules = json!([
        {"name": "read", "effect": "Allow", "tools": ["read"]},
        {"name": "hold", "effect": "RequireApproval", "tools": ["write"], "approval": {"approvers": [{"groups": ["leads"]}]}},
        {"name": "scoped", "effect": "Allow", "tools": ["wide"], "scopes": ["wide.use"]},
    ]);
    let guard = Plan::over(&server).rules(rules).start().await;
    let ada = guard.ada().session("2025-03-26").await;
    let batch = json!([
        call(1, "read", &json!({})),
        call(2, "write", &json!({})),
        call(3, "wide", &json!({}))
    ]);
    let reply = ada.post(batch.to_string()).await;
    assert_eq!(
        reply.status,
        200,
        "a challenge would hide that the first one ran: {}",
        reply.text()
    );
    let answers = reply.json();
    assert_eq!(answers.as_array().unwrap().len(), 3);
    assert_eq!(
        answers[1]["result"]["isError"], true,
        "no approvals are kept here"
    );
    assert_eq!(answers[2]["id"], 3);
    assert!(
        answers[2].to_string().contains("insufficient_scope"),
        "{answers}"
    );
    assert_eq!(server.of("tools/call").len(), 1);
}

#[tokio::test]
async fn law_16_each_element_is_decided_alone_and_a_held_one_is_pending_at_once() {
    let server = Server::usual().await;
    let rules = json!([
        {"name": "read", "effect": "Allow", "tools": ["read"]},
        {"name": "vault", "effect": "Deny", "tools": ["read"], "message": "the vault is closed",
         "when": [{"argument": "$.path", "operator": "StartsWith", "values": ["/vault"]}]},
        {"name": "hold", "effect": "RequireApproval", "tools": ["write"], "approval": {"approvers": [{"groups": ["leads"]}]}},
        {"name": "level", "effect": "Allow", "methods": ["logging/setLevel"]},
    ]);
    let guard = Plan::over(&server).rules(rules).approving().start().await;
    let ada = guard.ada().session("2025-03-26").await;
    let batch = json!([
        call(1, "read", &json!({"path": "/vault/x"})),
        call(2, "write", &json!({"path": "/a"})),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        call(3, "read", &json!({"path": "/a"})),
        {"jsonrpc": "2.0", "id": 4, "method": "logging/setLevel", "params": {"level": "info"}},
        call(5, "hidden", &json!({})),
    ]);
    // Nothing waits for the approver, who has 45 s: this whole test has less.
    let reply = ada.post(batch.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answers = reply.json();
    let ids: Vec<_> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| answer["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 5], "the notification has no answer");
    assert_eq!(
        answers[0]["result"]["_meta"]["dev.sallyport/denied"]["message"],
        "the vault is closed"
    );
    let approval = &answers[1]["result"]["_meta"]["dev.sallyport/approval"];
    assert_eq!(approval["status"], "pending", "{answers}");
    assert_eq!(answers[2]["result"]["content"][0]["text"], "done");
    assert_eq!(answers[3]["result"], json!({}));
    assert_eq!(answers[4]["error"]["message"], "Unknown tool: hidden");
    let seen = server.of("tools/call");
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].json()["id"], 3, "sent as if it had come alone");
    assert_eq!(server.of("notifications/initialized").len(), 1);
    let calls = guard.calls();
    let ends: Vec<_> = calls
        .iter()
        .filter(|call| call.requested.method == "tools/call")
        .map(|call| (call.end().executed, call.reason().to_owned()))
        .collect();
    let expected = [
        (false, "denied_by_rule"),
        (false, "approval_pending"),
        (true, ""),
        (false, "no_rule"),
    ];
    assert_eq!(ends, expected.map(|(ran, why)| (ran, why.to_owned())));
}

#[tokio::test]
async fn a_batch_of_very_many_messages_is_refused() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().session("2025-03-26").await;
    let before = server.all().len();
    let many: Vec<_> = (0..300)
        .map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "ping"}))
        .collect();
    let reply = ada.post(Value::Array(many).to_string()).await;
    assert_eq!(reply.status, 413);
    assert_eq!(server.all().len(), before);
}

#[tokio::test]
async fn law_16_a_batch_of_notifications_alone_is_accepted_without_a_body() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" => answer(&seen, json!({"content": []})),
        "notifications/cancelled" => Play::new(204, "", ""),
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().session("2025-03-26").await;
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let reply = ada.post(json!([note, note]).to_string()).await;
    assert_eq!(reply.status, 202);
    assert!(reply.body.is_empty());
    assert_eq!(server.of("notifications/initialized").len(), 2);
}
