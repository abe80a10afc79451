//! What is refused before a body is read: framing, duplicates, names, media types.

use bytes::Bytes;
use http::Method;
use serde_json::json;

use crate::support::{Plan, Server, Token, raw};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// A request spelled by hand, with the token of a caller who may.
fn spelled(token: &str, extra: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nConnection: close\r\n{extra}\r\n{body}"
    )
    .into_bytes()
}

#[tokio::test]
async fn trap_17_what_two_http_stacks_read_differently_never_reaches_the_server() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let token = guard.token(&Token::default());
    let length = format!("Content-Length: {}\r\n", PING.len());
    let chunked = format!("{:x}\r\n{PING}\r\n0\r\n\r\n", PING.len());
    let rows = [
        (
            "two lengths",
            format!("Content-Length: 5\r\n{length}"),
            PING,
        ),
        (
            "a coding we do not know",
            "Transfer-Encoding: xchunked\r\n".to_owned(),
            chunked.as_str(),
        ),
        (
            "chunked is not last",
            "Transfer-Encoding: chunked, identity\r\n".to_owned(),
            chunked.as_str(),
        ),
        (
            "a folded header",
            format!("{length}Mcp-Method: ping\r\n tools/call\r\n"),
            PING,
        ),
        (
            "two methods",
            format!("{length}Mcp-Method: ping\r\nMcp-Method: tools/call\r\n"),
            PING,
        ),
        (
            "two sessions",
            format!("{length}Mcp-Session-Id: a\r\nMcp-Session-Id: b\r\n"),
            PING,
        ),
        (
            "two versions",
            format!(
                "{length}MCP-Protocol-Version: 2025-06-18\r\nMcp-Protocol-Version: 2025-03-26\r\n"
            ),
            PING,
        ),
        (
            "two content types",
            format!("{length}Content-Type: application/json\r\n"),
            PING,
        ),
        (
            "two tokens",
            format!("{length}Authorization: Bearer x\r\n"),
            PING,
        ),
        ("two hosts", format!("{length}Host: localhost\r\n"), PING),
        (
            "bytes that are not ASCII",
            format!("{length}Mcp-Name: caf\u{e9}\r\n"),
            PING,
        ),
        (
            "a space before the colon",
            format!("{length}Mcp-Method : ping\r\n"),
            PING,
        ),
    ];
    for (row, extra, body) in rows {
        let heard = raw(guard.address, &spelled(&token, &extra, body)).await;
        assert!(heard.starts_with("HTTP/1.1 4"), "{row}: {heard}");
        assert!(
            !heard.contains(" 401 ") && !heard.contains(" 403 "),
            "{row}: {heard}"
        );
    }
    assert_eq!(server.all().len(), 0);
    let good = raw(guard.address, &spelled(&token, &length, PING)).await;
    assert!(good.starts_with("HTTP/1.1 200"), "{good}");
}

#[tokio::test]
async fn trap_17_after_a_body_in_chunks_nothing_more_is_read_from_the_connection() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let token = guard.token(&Token::default());
    let chunked = format!("{:x}\r\n{PING}\r\n0\r\n\r\n", PING.len());
    let length = PING.len();
    let smuggled = format!(
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{PING}"
    );
    for both in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ] {
        let before = server.all().len();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             {both}\r\n{chunked}{smuggled}"
        );
        let heard = raw(guard.address, request.as_bytes()).await;
        assert_eq!(heard.matches("HTTP/1.1 ").count(), 1, "{heard}");
        assert!(heard.contains("connection: close"), "{heard}");
        assert!(
            server.all().len() <= before + 1,
            "what follows is nobody's request"
        );
    }
}

#[tokio::test]
async fn trap_28_upgrades_tunnels_and_other_methods_are_not_offered() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let token = guard.token(&Token::default());
    let upgrade = format!("Content-Length: {}\r\nUpgrade: websocket\r\n", PING.len());
    assert!(
        raw(guard.address, &spelled(&token, &upgrade, PING))
            .await
            .starts_with("HTTP/1.1 400")
    );
    let connect = format!(
        "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    assert!(
        raw(guard.address, connect.as_bytes())
            .await
            .starts_with("HTTP/1.1 4")
    );
    for method in [Method::TRACE, Method::PUT, Method::PATCH] {
        let reply = guard.ada().send(method, "/mcp", Bytes::new()).await;
        assert_eq!(reply.status, 405);
    }
    let overridden = guard.ada().with("x-http-method-override", "DELETE");
    assert_eq!(overridden.request("ping", json!({})).await.status, 200);
    assert_eq!(server.of("DELETE").len(), 0);
}

#[tokio::test]
async fn trap_21_and_22_other_media_types_and_encodings_are_refused_with_415() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let rows = [
        ("content-type", "text/plain"),
        ("content-type", "application/json-patch+json"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-encoding", "gzip"),
        ("content-encoding", "br"),
    ];
    for (name, value) in rows {
        let reply = guard.ada().with(name, value).post(PING).await;
        assert_eq!(reply.status, 415, "{name}: {value}");
    }
    assert_eq!(server.all().len(), 0);
    let spelled = guard
        .ada()
        .with("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(spelled.post(PING).await.status, 200);
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_before_a_token_is_looked_at() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let host = guard.ada().with("host", "evil.example.com");
    assert_eq!(host.post(PING).await.status, 403);
    for origin in [
        "https://evil.example.com",
        "null",
        "http://127.0.0.1.evil.example.com",
    ] {
        let reply = guard.ada().with("origin", origin).post(PING).await;
        assert_eq!(reply.status, 403, "{origin}");
        assert_eq!(reply.header("www-authenticate"), "");
        assert_eq!(reply.header("access-control-allow-origin"), "");
        assert!(reply.json().get("id").is_none());
    }
    assert_eq!(server.all().len(), 0);
    assert_eq!(guard.refused("bad_host"), 1);
    assert_eq!(guard.refused("bad_origin"), 3);
    let own = guard
        .ada()
        .with("origin", &format!("http://{}", guard.address));
    let reply = own.post(PING).await;
    assert_eq!(reply.status, 200);
    assert!(!reply.header("access-control-allow-origin").is_empty());
}

#[tokio::test]
async fn trap_23_a_caller_without_a_token_is_not_asked_for_its_body() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        PING.len()
    );
    let heard = raw(guard.address, head.as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 401"), "{heard}");
    assert_eq!(server.all().len(), 0);
}

#[tokio::test]
async fn trap_30_a_token_in_the_query_is_refused_and_never_used() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let token = guard.token(&Token::default());
    let path = format!("/mcp?access_token={token}");
    let reply = guard
        .ada()
        .without("authorization")
        .send(Method::POST, &path, PING.into())
        .await;
    assert_eq!(reply.status, 400);
    assert!(!reply.text().contains(&token));
    assert_eq!(guard.refused("token_in_query"), 1);
    assert_eq!(server.all().len(), 0);
}

#[tokio::test]
async fn nothing_of_the_server_is_reachable_but_its_mcp_endpoint() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    for path in [
        "/",
        "/metrics",
        "/mcp/",
        "/mcp/../admin",
        "/%6dcp",
        "//mcp",
        "/register",
        "/mcp/x",
    ] {
        let reply = guard.ada().send(Method::POST, path, PING.into()).await;
        assert_eq!(reply.status, 404, "{path}");
    }
    assert_eq!(server.all().len(), 0);
}
