//! Law 18: the guard's own words stand under four names, with stable codes.

use serde_json::{Value, json};

use crate::support::{Plan, Server, answer, mcp};

/// A server whose answers hold a key, and whose `wide` says what no mask can take the place of.
async fn leaking() -> Server {
    let schema = json!({"type": "object", "properties": {"key": {"type": "string", "pattern": "^AKIA[A-Z0-9]{16}$"}}});
    let tools = json!([
        {"name": "read", "inputSchema": {"type": "object"}},
        {"name": "write", "inputSchema": {"type": "object"}},
        {"name": "wide", "inputSchema": {"type": "object"}, "outputSchema": schema},
    ]);
    Server::new(move |seen| match seen.rpc().as_str() {
        "tools/list" => answer(&seen, json!({"tools": tools})),
        "tools/call" => answer(
            &seen,
            json!({"content": [{"type": "text", "text": "key AKIAIOSFODNN7EXAMPLE"}],
                   "structuredContent": {"key": "AKIAIOSFODNN7EXAMPLE"}}),
        ),
        _ => mcp(&seen),
    })
    .await
}

fn rules() -> Value {
    let approval = json!({"approvers": [{"groups": ["leads"]}]});
    json!([
        {"name": "read", "effect": "Allow", "tools": ["read", "wide"], "prompts": ["summarise"]},
        {"name": "vault", "effect": "Deny", "tools": ["read"], "message": "the vault is closed",
         "when": [{"argument": "$.path", "operator": "StartsWith", "values": ["/vault"]}]},
        {"name": "style", "effect": "Deny", "prompts": ["summarise"], "message": "no sonnets",
         "when": [{"argument": "$.style", "operator": "Equals", "values": ["sonnet"]}]},
        {"name": "hold", "effect": "RequireApproval", "tools": ["write"], "resources": ["docs://handbook/**"], "approval": approval},
    ])
}

#[tokio::test]
async fn law_18_denied_and_approval_stand_in_a_results_meta_or_an_errors_data() {
    let server = leaking().await;
    let guard = Plan::over(&server)
        .rules(rules())
        .with("approvals", json!({"hold": "1s"}))
        .approving()
        .start()
        .await;
    let denied = json!({"reason": "denied_by_rule", "message": "the vault is closed"});
    let style = json!({"reason": "denied_by_rule", "message": "no sonnets"});
    for ada in [guard.ada(), guard.ada().modern()] {
        let reply = ada.call("read", json!({"path": "/vault/x"})).await.json();
        assert_eq!(reply["result"]["_meta"]["dev.sallyport/denied"], denied);
        let sonnet = json!({"name": "summarise", "arguments": {"style": "sonnet"}});
        let reply = ada.request("prompts/get", sonnet).await.json();
        assert_eq!(reply["error"]["data"]["dev.sallyport/denied"], style);
        let reply = ada.call("write", json!({"path": "/a"})).await.json();
        let approval = &reply["result"]["_meta"]["dev.sallyport/approval"];
        assert_eq!(approval["status"], "pending", "{reply}");
        assert!(approval["id"].as_str().unwrap().starts_with("req-"));
        assert!(approval["expiresAt"].is_string());
    }
    let uri = json!({"uri": "docs://handbook/a"});
    let reply = guard.ada().request("resources/read", uri).await.json();
    assert_eq!(reply["error"]["code"], 4020);
    let approval = &reply["error"]["data"]["dev.sallyport/approval"];
    assert_eq!(approval["status"], "pending");
    assert_eq!(server.of("tools/call").len(), 0);
}

#[tokio::test]
async fn law_18_redacted_points_at_what_was_masked_and_retry_after_counts_seconds() {
    let server = leaking().await;
    let budget =
        json!({"budgets": [{"tools": ["read"], "calls": 1, "per": "1h", "by": "Principal"}]});
    let guard = Plan::over(&server)
        .rules(rules())
        .with("limits", budget)
        .start()
        .await;
    let reply = guard.ada().call("read", json!({})).await.json();
    let redacted = &reply["result"]["_meta"]["dev.sallyport/redacted"];
    let places: Vec<_> = redacted.as_array().unwrap().iter().collect();
    assert!(places.contains(&&json!("/content/0/text")), "{reply}");
    assert!(
        places.contains(&&json!("/structuredContent/key")),
        "{reply}"
    );
    let reply = guard.ada().call("read", json!({})).await.json();
    let meta = &reply["result"]["_meta"];
    assert!(meta["dev.sallyport/retryAfter"].as_u64().unwrap() > 60);
    assert_eq!(meta["dev.sallyport/denied"]["reason"], "budget_exhausted");
}

#[tokio::test]
async fn law_18_the_reason_of_a_withheld_answer_is_a_code_and_its_text_a_sentence() {
    let server = leaking().await;
    let guard = Plan::over(&server).rules(rules()).start().await;
    let reply = guard.ada().call("wide", json!({})).await.json();
    let denied = json!({"reason": "masking", "withheld": true, "executed": true});
    assert_eq!(reply["result"]["_meta"]["dev.sallyport/denied"], denied);
    let text = reply["result"]["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("would break the tool's output schema"),
        "{text}"
    );
    assert_eq!(guard.call("tools/call").await.reason(), "masking");
}
