//! Laws 25 and 26 over the wire: fields of structured answers with their twins in texts, and the surfaces beside tools.

use serde_json::{Value, json};

use crate::support::{Guard, Plan, Server, answer, mcp};

const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

/// A server whose tool `read` answers so.
async fn answering(result: Value) -> Server {
    Server::new(move |seen| match seen.rpc().as_str() {
        "tools/call" => answer(&seen, result.clone()),
        _ => mcp(&seen),
    })
    .await
}

async fn guarded(server: &Server, fields: Value) -> Guard {
    Plan::over(server)
        .with("masking", json!({ "fields": fields }))
        .start()
        .await
}

#[tokio::test]
async fn law_26_a_field_is_masked_in_structured_content_and_in_its_twin_of_text() {
    let payload =
        json!({ "customer": { "card": { "number": "4000123412341234" }, "name": "Ada" } });
    let text = payload.to_string();
    let server = answering(json!({
        "content": [{ "type": "text", "text": text }], "structuredContent": payload,
    }))
    .await;
    let fields = json!([{ "tool": "read", "path": "$.customer.card.number", "action": "Partial", "keepLast": 4 }]);
    let guard = guarded(&server, fields).await;
    let reply = guard.ada().call("read", json!({})).await;
    let result = &reply.json()["result"];
    let masked = json!({ "customer": { "card": { "number": "****1234" }, "name": "Ada" } });
    assert_eq!(result["structuredContent"], masked);
    let twin = result["content"][0]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(twin).unwrap(), masked);
    assert!(!reply.text().contains("40001234"), "{}", reply.text());
    let other = guard.ada().call("wide", json!({})).await;
    assert!(other.text().contains("4000123412341234"), "another tool");
}

#[tokio::test]
async fn law_26_where_several_rules_name_a_field_the_order_is_drop_redact_hash_partial() {
    let actions = ["Partial", "Hash", "Redact", "Drop"];
    for (strongest, winner) in actions.iter().enumerate() {
        let server = answering(json!({
            "content": [], "structuredContent": { "code": "C-1234567890", "kept": 1 },
        }))
        .await;
        // Each names the tool in its own way, or they would be one rule twice.
        let tools = ["read", "rea*", "re*", "r*"];
        let fields: Vec<_> = actions
            .iter()
            .take(strongest + 1)
            .zip(tools)
            .map(|(action, tool)| json!({ "tool": tool, "path": "$.code", "action": action }))
            .collect();
        let guard = guarded(&server, json!(fields)).await;
        let reply = guard.ada().call("read", json!({})).await.json();
        let payload = &reply["result"]["structuredContent"];
        let code = payload["code"].as_str().unwrap_or_default();
        let fits = match *winner {
            "Partial" => code == "****7890",
            "Hash" => code.starts_with("[hash:Field:"),
            "Redact" => code == "[redacted:Field]",
            _ => payload.get("code").is_none(),
        };
        assert!(fits, "{winner}: {payload}");
    }
}

#[tokio::test]
async fn law_26_a_text_that_no_path_can_reach_is_replaced_or_the_answer_is_withheld() {
    let fields = json!([{ "tool": "read", "path": "$.email", "action": "Redact" }]);
    let words = "Ada's address is ada@example.com";
    let both = json!({ "content": [{ "type": "text", "text": words }],
        "structuredContent": { "email": "ada@example.com" } });
    let server = answering(both).await;
    let guard = guarded(&server, fields.clone()).await;
    let reply = guard.ada().call("read", json!({})).await;
    let text = reply.json()["result"]["content"][0]["text"].clone();
    assert_eq!(text, json!({ "email": "[redacted:Field]" }).to_string());
    assert!(!reply.text().contains("ada@example.com"));
    let server = answering(json!({ "content": [{ "type": "text", "text": words }] })).await;
    let guard = guarded(&server, fields).await;
    let reply = guard.ada().call("read", json!({})).await;
    assert!(!reply.text().contains("ada@example.com"));
    let result = &reply.json()["result"];
    assert_eq!(result["isError"], true);
    let denied = &result["_meta"]["dev.sallyport/denied"];
    assert_eq!(
        *denied,
        json!({ "reason": "masking", "withheld": true, "executed": true })
    );
}

#[tokio::test]
async fn law_25_prompts_and_completions_are_masked_like_tools() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "prompts/get" => answer(
            &seen,
            json!({ "description": format!("with {KEY}"), "messages": [
                { "role": "user", "content": { "type": "text", "text": format!("use {KEY}") } },
                { "role": "assistant", "content": { "type": "resource", "resource": { "uri": "docs://a", "text": KEY } } },
            ] }),
        ),
        "completion/complete" => answer(
            &seen,
            json!({ "completion": { "values": ["plain", format!("{KEY}-x")], "hasMore": false } }),
        ),
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada();
    let prompt = ada
        .request("prompts/get", json!({ "name": "summarise" }))
        .await;
    assert_eq!(prompt.status, 200);
    assert!(!prompt.text().contains("IOSFODNN7"), "{}", prompt.text());
    let messages = &prompt.json()["result"]["messages"];
    assert_eq!(
        messages[0]["content"]["text"],
        "use [redacted:AwsAccessKey]"
    );
    let asked = json!({ "ref": { "type": "ref/prompt", "name": "summarise" },
        "argument": { "name": "key", "value": "A" } });
    let completed = ada.request("completion/complete", asked).await;
    assert!(
        !completed.text().contains("IOSFODNN7"),
        "{}",
        completed.text()
    );
    assert_eq!(
        completed.json()["result"]["completion"]["values"][0],
        "plain"
    );
}

#[tokio::test]
async fn law_26_a_tasks_result_is_masked_as_its_tools() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" => answer(
            &seen,
            json!({ "task": { "taskId": "t-1", "status": "working", "ttl": 60_000, "pollInterval": 10,
                "createdAt": "2026-11-23T10:00:00Z", "lastUpdatedAt": "2026-11-23T10:00:00Z" } }),
        ),
        "tasks/result" => answer(
            &seen,
            json!({ "content": [{ "type": "text", "text": json!({ "email": "ada@example.com" }).to_string() }],
                "structuredContent": { "email": "ada@example.com", "key": KEY } }),
        ),
        _ => mcp(&seen),
    })
    .await;
    let fields = json!([{ "tool": "read", "path": "$.email", "action": "Redact" }]);
    let guard = guarded(&server, fields).await;
    let ada = guard.ada().session("2025-11-25").await;
    let params = json!({ "name": "read", "arguments": {}, "task": { "ttl": 60_000 } });
    let begun = ada.request("tools/call", params).await;
    assert_eq!(begun.json()["result"]["task"]["taskId"], "t-1");
    let result = ada
        .request("tasks/result", json!({ "taskId": "t-1" }))
        .await;
    let payload = &result.json()["result"]["structuredContent"];
    assert_eq!(payload["email"], "[redacted:Field]", "{}", result.text());
    assert_eq!(payload["key"], "[redacted:AwsAccessKey]");
    assert!(!result.text().contains("ada@example.com"));
    let eve = guard.eve().session("2025-11-25").await;
    let stolen = eve
        .request("tasks/result", json!({ "taskId": "t-1" }))
        .await;
    assert_eq!(stolen.code(), -32602, "another's task");
}
