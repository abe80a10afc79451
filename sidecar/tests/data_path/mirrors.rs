//! Arguments that a tool mirrors in `Mcp-Param-*` headers (2026-07-28): they say what the body says, or nothing is sent.

use serde_json::{Value, json};

use crate::support::{Client, Plan, Server, answer, mcp};

async fn mirroring() -> Server {
    let tools = json!([{ "name": "read", "inputSchema": { "type": "object", "properties": {
        "region": { "type": "string", "x-mcp-header": "Region" },
        "path": { "type": "string" },
    } } }, { "name": "wide", "inputSchema": { "type": "object", "properties": {
        "region": { "type": "string" },
    } } }]);
    Server::new(move |seen| match seen.rpc().as_str() {
        "tools/list" => answer(
            &seen,
            json!({ "tools": tools, "resultType": "complete", "ttlMs": 0, "cacheScope": "private" }),
        ),
        _ => mcp(&seen),
    })
    .await
}

/// A call of the newest revision with its routing headers.
fn asked(client: &Client, tool: &str, arguments: Value) -> (Client, String) {
    let params = json!({ "name": tool, "arguments": arguments });
    let body = client.body(&json!(1), "tools/call", params);
    (client.mirrored(&body), body.to_string())
}

#[tokio::test]
async fn trap_17_a_mirrored_argument_equals_its_header_tool_by_tool() {
    let server = mirroring().await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().modern();
    let (client, body) = asked(&ada, "read", json!({ "region": "eu", "path": "/a" }));
    let rows = [
        ("missing", client.clone()),
        ("another", client.clone().with("mcp-param-region", "us")),
        (
            "another case",
            client.clone().with("mcp-param-region", "EU"),
        ),
        (
            "two in one",
            client.clone().with("mcp-param-region", "eu, us"),
        ),
    ];
    for (row, client) in rows {
        let reply = client.post(body.clone()).await;
        let told = (reply.status.as_u16(), reply.code());
        assert_eq!(told, (400, -32020), "{row}: {}", reply.text());
    }
    assert_eq!(server.of("tools/call").len(), 0);
    let good = client.with("mcp-param-region", "eu");
    assert_eq!(good.post(body).await.status, 200);
    let seen = server.of("tools/call").remove(0);
    assert_eq!(seen.header("mcp-param-region"), Some("eu"));
    // The same argument of a tool that mirrors nothing needs no header.
    let (client, body) = asked(&ada, "wide", json!({ "region": "eu" }));
    assert_eq!(client.post(body).await.status, 200);
    assert_eq!(server.of("tools/call").len(), 2);
    // In older revisions the header means nothing and goes no further.
    let legacy = guard.ada().with("mcp-param-region", "us");
    let reply = legacy.call("read", json!({ "region": "eu" })).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        server.of("tools/call").remove(2).header("mcp-param-region"),
        None
    );
}
