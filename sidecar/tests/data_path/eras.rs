//! Which revision's rules hold, and the headers that must agree with the body (traps 17 to 20).

use http::Method;
use serde_json::{Value, json};

use crate::support::{Plan, Server};

fn read() -> Value {
    json!({"name": "read", "arguments": {"path": "/a"}})
}

#[tokio::test]
async fn trap_20_a_header_that_lies_about_the_revision_selects_no_weaker_checks() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada();
    let modern = ada.clone().modern().body(&json!(1), "tools/call", read());
    let legacy = ada.body(&json!(1), "tools/call", read());
    let strange = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read",
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2099-01-01", "io.modelcontextprotocol/clientCapabilities": {}}}});
    let rows = [
        (
            "modern body, legacy header",
            Some("2025-06-18"),
            &modern,
            -32020,
        ),
        ("modern body, no header", None, &modern, -32020),
        (
            "legacy body, modern header",
            Some("2026-07-28"),
            &legacy,
            -32602,
        ),
        (
            "a revision of the future",
            Some("2099-01-01"),
            &strange,
            -32022,
        ),
        (
            "a revision that never was",
            Some("2025-01-01"),
            &legacy,
            -32022,
        ),
    ];
    for (row, header, body, code) in rows {
        let mut client = ada
            .clone()
            .with("mcp-method", "tools/call")
            .with("mcp-name", "read");
        if let Some(header) = header {
            client = client.with("mcp-protocol-version", header);
        }
        let reply = client.post(body.to_string()).await;
        assert_eq!(reply.status, 400, "{row}: {}", reply.text());
        assert_eq!(reply.code(), code, "{row}: {}", reply.text());
        assert_eq!(reply.json()["id"], 1, "{row}");
    }
    let initialize = ada
        .clone()
        .with("mcp-protocol-version", "2026-07-28")
        .initialize("2025-06-18")
        .await;
    assert_eq!(initialize.status, 400);
    assert_eq!(server.all().len(), 0);
}

#[tokio::test]
async fn trap_17_mirrored_headers_say_what_the_body_says_or_the_call_ends() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().modern();
    let body = ada.body(&json!(1), "tools/call", read());
    let good = ada.mirrored(&body);
    let rows = [
        ("no method", good.clone().without("mcp-method")),
        (
            "another method",
            good.clone().with("mcp-method", "tools/list"),
        ),
        (
            "another case",
            good.clone().with("mcp-method", "TOOLS/CALL"),
        ),
        ("no name", good.clone().without("mcp-name")),
        ("another name", good.clone().with("mcp-name", "write")),
        (
            "a bad sentinel",
            good.clone().with("mcp-name", "=?base64?!!!?="),
        ),
        (
            "a sentinel in another case",
            good.clone().with("mcp-name", "=?BASE64?cmVhZA==?="),
        ),
        ("two in one", good.clone().with("mcp-name", "read, write")),
    ];
    for (row, client) in rows {
        let reply = client.post(body.to_string()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (400, -32020),
            "{row}: {}",
            reply.text()
        );
    }
    assert_eq!(server.of("tools/call").len(), 0);
    let padded = good
        .with("mcp-name", "=?base64?cmVhZA==?=")
        .post(body.to_string())
        .await;
    assert_eq!(padded.status, 200);
    assert_eq!(
        server.of("tools/call")[0].header("mcp-method"),
        Some("tools/call")
    );
}

#[tokio::test]
async fn trap_19_policy_never_answers_with_the_code_of_a_header_mismatch() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    for tool in ["hidden", "write", "nonsense"] {
        let reply = guard.ada().modern().call(tool, json!({})).await;
        assert_ne!(reply.code(), -32020, "{tool}");
    }
}

#[tokio::test]
async fn the_newest_revision_has_no_sessions_and_no_streams_of_their_own() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let ada = guard.ada().modern();
    let stale = ada.clone().with("mcp-session-id", "left-over");
    let reply = stale.request("tools/call", read()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("mcp-session-id"), "");
    assert_eq!(server.of("tools/call")[0].header("mcp-session-id"), None);
    for method in [Method::GET, Method::DELETE] {
        let reply = guard
            .ada()
            .with("mcp-protocol-version", "2026-07-28")
            .send(method, "/mcp", bytes::Bytes::new())
            .await;
        assert_eq!(reply.status, 405);
    }
    let answered = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    let reply = guard
        .ada()
        .with("mcp-protocol-version", "2026-07-28")
        .post(answered.to_string())
        .await;
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn discovery_offers_only_what_can_be_policed() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let reply = guard
        .ada()
        .modern()
        .request("server/discover", json!({}))
        .await;
    let result = &reply.json()["result"];
    assert_eq!(result["supportedVersions"], json!(["2026-07-28"]));
    assert!(
        !result["capabilities"]
            .to_string()
            .contains("com.example/unknown"),
        "{result}"
    );
    assert_eq!(result["cacheScope"], "private");
    assert!(result["ttlMs"].as_u64().unwrap() <= 30_000);
}

#[tokio::test]
async fn a_server_that_agrees_on_a_revision_nobody_knows_opens_no_session() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "initialize" => crate::support::answer(&seen, json!({"protocolVersion": "2031-01-01", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}))
            .header("mcp-session-id", "future"),
        _ => crate::support::mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let reply = guard.ada().initialize("2025-11-25").await;
    assert!(reply.json().get("error").is_some(), "{}", reply.text());
    assert_eq!(reply.header("mcp-session-id"), "");
    assert!(
        ![400, 404, 405].contains(&reply.status.as_u16()),
        "or clients look for an older transport"
    );
    let ada = guard.ada().with("mcp-session-id", "future");
    assert_eq!(ada.request("ping", json!({})).await.status, 404);
}
