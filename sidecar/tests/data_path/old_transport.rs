//! The HTTP+SSE transport of 2024-11-05, on either side of the guard.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use sallyport_sidecar::run::Target;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::{Client, Guard, Plan, Play, Server, Step, Stream, Token, mcp, soon, until};

/// Opens the stream and tells where to post.
pub(crate) async fn opened(client: &Client) -> (Stream, String) {
    let mut stream = client.open(Method::GET, "/sse", Bytes::new()).await;
    assert_eq!(stream.status, 200);
    let first = stream.next().await.unwrap();
    assert!(first.contains("event: endpoint"), "{first}");
    let address = first
        .lines()
        .find_map(|line| line.strip_prefix("data:"))
        .unwrap()
        .trim()
        .to_owned();
    assert!(address.starts_with("/messages?sessionId="), "{address}");
    (stream, address)
}

pub(crate) async fn post(client: &Client, address: &str, message: Value) -> u16 {
    client
        .send(Method::POST, address, message.to_string().into())
        .await
        .status
        .as_u16()
}

fn initialize() -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2024-11-05", "capabilities": {"sampling": {}}, "clientInfo": {"name": "t", "version": "1"}}})
}

pub(crate) fn call(id: u64, path: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "read", "arguments": {"path": path}}})
}

pub(crate) async fn handshake(client: &Client) -> (Stream, String) {
    let (mut stream, address) = opened(client).await;
    assert_eq!(post(client, &address, initialize()).await, 202);
    let answer = stream.message().await.unwrap();
    assert_eq!(
        (
            answer["id"].clone(),
            answer["result"]["protocolVersion"].clone()
        ),
        (json!(0), json!("2024-11-05"))
    );
    assert_eq!(
        post(
            client,
            &address,
            json!({"jsonrpc": "2.0", "method": "notifications/initialized"})
        )
        .await,
        202
    );
    (stream, address)
}

async fn over_http() -> (Server, Guard) {
    let server = Server::usual().await;
    let guard = Plan::over(&server).start().await;
    (server, guard)
}

#[tokio::test]
async fn denials_of_the_old_transport_come_as_events_and_never_as_a_status() {
    let (server, guard) = over_http().await;
    let ada = guard.ada();
    let (mut stream, address) = handshake(&ada).await;
    assert_eq!(post(&ada, &address, call(1, "/a")).await, 202);
    assert_eq!(
        stream.message().await.unwrap()["result"]["content"][0]["text"],
        "done"
    );
    assert_eq!(post(&ada, &address, call(2, "/vault/x")).await, 202);
    let denied = stream.message().await.unwrap();
    assert_eq!(
        (denied["id"].clone(), denied["result"]["isError"].clone()),
        (json!(2), json!(true))
    );
    assert_eq!(
        post(
            &ada,
            &address,
            json!({"jsonrpc": "2.0", "id": 3, "method": "nonsense"})
        )
        .await,
        202
    );
    assert_eq!(stream.message().await.unwrap()["error"]["code"], -32601);
    assert_eq!(server.of("tools/call").len(), 1);
    assert!(guard.call("nonsense").await.ended.len() == 1);
}

#[tokio::test]
async fn law_11_a_stream_of_the_old_transport_belongs_to_the_principal_that_opened_it() {
    let (server, guard) = over_http().await;
    let (_stream, address) = handshake(&guard.ada()).await;
    assert_eq!(post(&guard.eve(), &address, call(1, "/a")).await, 404);
    assert_eq!(
        post(&guard.ada(), "/messages?sessionId=made-up", call(1, "/a")).await,
        404
    );
    assert_eq!(post(&guard.ada(), "/messages", call(1, "/a")).await, 404);
    let session = address.split('=').nth(1).unwrap();
    let eve = guard.eve().with("mcp-session-id", session);
    assert_eq!(eve.request("ping", json!({})).await.status, 404);
    assert_eq!(server.of("tools/call").len() + server.of("ping").len(), 0);
}

#[tokio::test]
async fn what_the_old_transport_cannot_carry_is_refused() {
    let (server, guard) = over_http().await;
    let ada = guard.ada();
    let (_stream, address) = opened(&ada).await;
    assert_eq!(
        post(&ada, &address, call(1, "/a")).await,
        400,
        "not before initialize"
    );
    let modern = ada.clone().modern().body(
        &json!(1),
        "tools/call",
        json!({"name": "read", "arguments": {}}),
    );
    assert!((400..500).contains(&post(&ada, &address, modern).await));
    assert!((400..500).contains(&post(&ada, &address, json!([call(1, "/a")])).await));
    let big = ada.send(Method::POST, &address, "{".into()).await;
    assert_eq!(big.status, 400);
    assert_eq!(server.all().len(), 0);
}

#[tokio::test]
async fn closing_the_stream_ends_the_session() {
    let (_server, guard) = over_http().await;
    let ada = guard.ada();
    let (stream, address) = handshake(&ada).await;
    drop(stream);
    let gone = until("the end of the session", || {
        guard.running().gateway.sessions.is_empty().then_some(())
    });
    gone.await;
    assert_eq!(post(&guard.ada(), &address, call(1, "/a")).await, 404);
}

/// A server that speaks the old transport: what is posted is answered on the stream.
async fn old_server() -> (Server, Target) {
    let (feed, fed) = mpsc::unbounded_channel::<Bytes>();
    let fed = Arc::new(tokio::sync::Mutex::new(fed));
    let server = Server::new(move |seen| {
        if seen.rpc() == "GET" {
            return Play::events(vec![
                Step::Send("event: endpoint\ndata: /post?session=1\n\n".into()),
                Step::Feed(Arc::clone(&fed)),
            ]);
        }
        let play = mcp(&seen);
        if let (Some(Step::Send(body)), true) = (play.body.first(), seen.json().get("id").is_some())
        {
            let text = String::from_utf8(body.to_vec()).unwrap();
            feed.send(Bytes::from(format!("event: message\ndata: {text}\n\n")))
                .unwrap();
        }
        Play::new(202, "text/plain", "Accepted")
    })
    .await;
    let uri = format!("http://{}/sse", server.address).parse().unwrap();
    (server, Target::Sse(uri))
}

#[tokio::test]
async fn law_15_transports_are_bridged_and_the_guard_stands_between_all_the_same() {
    let (server, target) = old_server().await;
    let guard = Plan::to(target).start().await;
    let ada = guard.ada().session("2025-06-18").await;
    let reply = ada.call("read", json!({"path": "/a"})).await;
    assert_eq!(
        reply.json()["result"]["content"][0]["text"],
        "done",
        "{}",
        reply.text()
    );
    assert_eq!(reply.json()["id"], 1);
    let denied = ada.call("read", json!({"path": "/vault"})).await;
    assert_eq!(denied.json()["result"]["isError"], true);
    let calls = server.of("tools/call");
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].path, "/post");
    assert!(
        calls[0]
            .header("authorization")
            .unwrap()
            .contains("upstream-credential")
    );
    assert_eq!(calls[0].header("mcp-session-id"), None);
}

/// A client whose token ends soon.
fn brief(guard: &Guard) -> Client {
    guard.client(&Token {
        ttl: Duration::from_secs(2),
        ..Token::default()
    })
}

#[tokio::test]
async fn law_11_the_stream_of_the_old_transport_ends_with_its_token_whatever_still_runs() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" => Play::events(vec![Step::Hang]),
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let (stream, address) = handshake(&brief(&guard)).await;
    let ada = guard.ada();
    assert_eq!(post(&brief(&guard), &address, call(1, "/a")).await, 202);
    // Nothing more is heard, and least of all nothing for ever.
    assert!(
        soon("a stream past its token", stream.rest())
            .await
            .is_empty()
    );
    assert_eq!(post(&ada, &address, call(2, "/b")).await, 404);
}

#[tokio::test]
async fn law_11_a_fresh_token_keeps_the_stream_of_the_old_transport() {
    let (server, guard) = over_http().await;
    let (brief, ada) = (brief(&guard), guard.ada());
    let (mut stream, address) = handshake(&brief).await;
    assert_eq!(post(&ada, &address, call(1, "/a")).await, 202);
    assert_eq!(stream.message().await.unwrap()["id"], 1);
    soon("the end of the first token", async {
        while post(
            &brief,
            &address,
            json!({"jsonrpc": "2.0", "id": 9, "method": "ping"}),
        )
        .await
            != 401
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(post(&ada, &address, call(2, "/b")).await, 202);
    while stream.message().await.unwrap()["id"] != 2 {}
    assert_eq!(server.of("tools/call").len(), 2);
}
