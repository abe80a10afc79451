//! Who calls: challenges, metadata, step-up, and what the server sees of the caller (laws 10 to 12).

use http::Method;
use sallyport_sidecar::identity::local::LocalIssuer;
use serde_json::{Value, json};

use crate::support::{Client, Plan, Server, Token};

const UPSTREAM: &str = "Bearer upstream-credential-7f3a91";

#[tokio::test]
async fn every_request_without_a_good_token_is_challenged_and_leaves_a_trace() {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    let stranger = Client::new(guard.address, None);
    let metadata = format!(
        "http://{}/.well-known/oauth-protected-resource/mcp",
        guard.address
    );
    for (method, path) in [
        (Method::POST, "/mcp"),
        (Method::GET, "/mcp"),
        (Method::DELETE, "/mcp"),
        (Method::GET, "/sse"),
        (Method::POST, "/messages?sessionId=x"),
    ] {
        let reply = stranger.send(method.clone(), path, "{}".into()).await;
        assert_eq!(reply.status, 401, "{method} {path}");
        let challenge = reply.header("www-authenticate");
        assert!(
            challenge.contains(&format!("resource_metadata=\"{metadata}\"")),
            "{challenge}"
        );
        assert!(!challenge.contains("error="), "{challenge}");
    }
    let bad = stranger.with("authorization", "Bearer not-a-token");
    let reply = bad.request("ping", json!({})).await;
    assert_eq!(reply.status, 401);
    assert!(
        reply
            .header("www-authenticate")
            .contains("error=\"invalid_token\"")
    );
    assert_eq!(guard.refused("token_missing"), 5);
    assert_eq!(guard.refused("token_malformed"), 1);
    assert_eq!(server.all().len(), 0);
    assert!(guard.calls().is_empty(), "a stranger has no recording");
}

#[tokio::test]
async fn rfc_9728_metadata_is_open_to_anybody_by_path_and_at_the_root() {
    let server = Server::usual().await;
    let folder = tempfile::tempdir().unwrap();
    let keys = LocalIssuer::open(folder.path(), None).unwrap().jwks();
    let guard = Plan::over(&server)
        .with("publicUrl", json!("https://inventory.example.com/mcp"))
        .with(
            "authentication",
            json!({"issuers": [{"issuer": "https://idp.example.com", "jwks": keys}]}),
        )
        .start()
        .await;
    let stranger = Client::new(guard.address, None);
    for path in [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource",
    ] {
        let reply = stranger.get(path).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        let json = reply.json();
        assert_eq!(json["resource"], "https://inventory.example.com/mcp");
        assert_eq!(
            json["authorization_servers"],
            json!(["https://idp.example.com"])
        );
        assert_eq!(json["bearer_methods_supported"], json!(["header"]));
    }
    assert_eq!(
        stranger
            .get("/.well-known/oauth-protected-resource/other")
            .await
            .status,
        404
    );
    assert_eq!(server.all().len(), 0);
}

#[tokio::test]
async fn each_additional_url_has_its_own_metadata_and_challenges_point_there() {
    let server = Server::usual().await;
    let rules =
        json!([{"name": "scoped", "effect": "Allow", "tools": ["read"], "scopes": ["a.b"]}]);
    let guard = Plan::over(&server)
        .rules(rules)
        .with("publicUrl", json!("https://inventory.example.com/mcp"))
        .with(
            "additionalUrls",
            json!(["https://partners.example.com/shop/mcp"]),
        )
        .start()
        .await;
    let stranger = Client::new(guard.address, None);
    let well_known = "/.well-known/oauth-protected-resource";
    let (public, partners) = (
        "https://inventory.example.com/mcp",
        "https://partners.example.com/shop/mcp",
    );
    let rows = [
        ("inventory.example.com", format!("{well_known}/mcp"), public),
        ("inventory.example.com", well_known.to_owned(), public),
        ("127.0.0.1", format!("{well_known}/mcp"), public),
        ("127.0.0.1", format!("{well_known}/shop/mcp"), partners),
        (
            "partners.example.com",
            format!("{well_known}/shop/mcp"),
            partners,
        ),
        ("partners.example.com", well_known.to_owned(), partners),
    ];
    for (host, path, resource) in rows {
        let reply = stranger.clone().with("host", host).get(&path).await;
        assert_eq!(reply.status, 200, "{host} {path}");
        assert_eq!(reply.json()["resource"], resource, "{host} {path}");
    }
    let rows = [
        (
            "inventory.example.com",
            "https://inventory.example.com/.well-known/oauth-protected-resource/mcp",
        ),
        (
            "partners.example.com:443",
            "https://partners.example.com/.well-known/oauth-protected-resource/shop/mcp",
        ),
    ];
    for (host, metadata) in rows {
        let challenge = format!("resource_metadata=\"{metadata}\"");
        let unknown = stranger.clone().with("host", host);
        let unknown = unknown.request("ping", json!({})).await;
        assert_eq!(unknown.status, 401);
        let told = unknown.header("www-authenticate").to_owned();
        assert!(told.contains(&challenge), "{told}");
        let step_up = guard.ada().with("host", host);
        let step_up = step_up.call("read", json!({})).await;
        assert_eq!(step_up.status, 403);
        let told = step_up.header("www-authenticate").to_owned();
        assert!(told.contains(&challenge), "{told}");
    }
    assert_eq!(server.of("tools/call").len(), 0);
}

#[tokio::test]
async fn a_missing_scope_is_a_step_up_challenge_that_names_all_of_them() {
    let server = Server::usual().await;
    let rules = json!([{"name": "customers", "effect": "Allow", "tools": ["read"], "scopes": ["customers.read", "customers.list"]}]);
    let guard = Plan::over(&server).rules(rules).start().await;
    for client in [guard.ada(), guard.ada().modern()] {
        let reply = client.call("read", json!({})).await;
        assert_eq!(reply.status, 403);
        let challenge = reply.header("www-authenticate");
        assert!(
            challenge.contains("error=\"insufficient_scope\""),
            "{challenge}"
        );
        assert!(
            challenge.contains("customers.read") && challenge.contains("customers.list"),
            "{challenge}"
        );
        assert!(challenge.contains("resource_metadata="), "{challenge}");
        let call = guard.call("tools/call").await;
        assert_eq!(call.reason(), "insufficient_scope");
        assert!(!call.end().executed);
    }
    assert_eq!(server.of("tools/call").len(), 0);
    let scoped = guard.client(&Token {
        scopes: &["customers.read", "customers.list"],
        ..Token::default()
    });
    assert_eq!(scoped.call("read", json!({})).await.status, 200);
}

#[tokio::test]
async fn law_12_the_server_sees_an_allow_list_of_headers_and_its_own_credential() {
    let server = Server::usual().await;
    let guard = Plan::over(&server)
        .with("server", json!({"forwardHeaders": ["x-tenant"]}))
        .start()
        .await;
    let client = guard
        .ada()
        .with("cookie", "sid=1")
        .with("x-forwarded-for", "10.0.0.1")
        .with("x-user", "root")
        .with("forwarded", "for=10.0.0.1")
        .with("accept-encoding", "gzip")
        .with("origin", &format!("http://{}", guard.address))
        .with("mcp-name", "mirrored-in-a-legacy-request")
        .with("x-tenant", "blue")
        .with(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        );
    assert_eq!(client.call("read", json!({"path": "/a"})).await.status, 200);
    let seen = server.of("tools/call").remove(0);
    for stripped in [
        "cookie",
        "x-forwarded-for",
        "x-user",
        "forwarded",
        "origin",
        "mcp-name",
    ] {
        assert_eq!(seen.header(stripped), None, "{stripped}");
    }
    assert_eq!(seen.header("authorization"), Some(UPSTREAM));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert_eq!(seen.header("x-tenant"), Some("blue"));
    assert!(seen.header("traceparent").is_some());
    assert!(seen.header("host").unwrap().starts_with("127.0.0.1"));
    assert_eq!(seen.headers.get_all("authorization").iter().count(), 1);
}

#[tokio::test]
async fn law_25_the_servers_own_credential_is_masked_wherever_it_says_it() {
    let server = Server::new(|seen| {
        let mut play = crate::support::mcp(&seen);
        if seen.rpc() == "tools/call" {
            let said = seen.header("authorization").unwrap_or_default().to_owned();
            play = crate::support::answer(
                &seen,
                json!({"content": [{"type": "text", "text": said}], "structuredContent": {"echo": seen.header("authorization")}}),
            );
        }
        play
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let reply = guard.ada().call("read", json!({})).await;
    assert_eq!(reply.status, 200);
    assert!(
        !reply.text().contains("upstream-credential"),
        "{}",
        reply.text()
    );
    assert!(
        reply.json()["result"]["_meta"]
            .to_string()
            .contains("dev.sallyport/redacted")
    );
    let call = guard.call("tools/call").await;
    assert!(format!("{:?}", call.events).contains("masks"));
    assert!(!format!("{:?}", guard.records()).contains("upstream-credential"));
}

#[tokio::test]
async fn law_12_the_address_is_the_peers_unless_a_trusted_proxy_says_otherwise() {
    let rules = json!([{"name": "lan", "effect": "Allow", "tools": ["read"],
                        "when": [{"source": "address", "operator": "Within", "values": ["10.0.0.0/8"]}]}]);
    let server = Server::usual().await;
    let rows: [(&str, Value, &str, bool); 4] = [
        ("nobody is trusted", json!({}), "10.0.0.1", false),
        (
            "the peer is trusted",
            json!({"trustedProxies": ["127.0.0.0/8"]}),
            "10.0.0.1",
            true,
        ),
        (
            "the caller adds one in front",
            json!({"trustedProxies": ["127.0.0.0/8"]}),
            "10.0.0.1, 203.0.113.9",
            false,
        ),
        (
            "nonsense",
            json!({"trustedProxies": ["127.0.0.0/8"]}),
            "10.0.0.1, unknown",
            false,
        ),
    ];
    for (row, listener, forwarded, allowed) in rows {
        let guard = Plan::over(&server)
            .rules(rules.clone())
            .with("listener", listener)
            .start()
            .await;
        let reply = guard
            .ada()
            .with("x-forwarded-for", forwarded)
            .call("read", json!({}))
            .await;
        assert_eq!(
            reply.json().get("error").is_none() && reply.json()["result"]["isError"] != true,
            allowed,
            "{row}: {}",
            reply.text()
        );
    }
}
