//! HTTP/2 and TLS.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::TokioExecutor;
use sallyport_sidecar::tls::{ListenerTls, TlsFiles, Trust};
use serde_json::{Value, json};

use crate::support::{Guard, Plan, Server, Step, Token, event, mcp, until};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn request(guard: &Guard, scheme: &str, body: &str) -> Request<Full<Bytes>> {
    let token = guard.token(&Token::default());
    Request::builder()
        .method(Method::POST)
        .uri(format!("{scheme}://localhost:{}/mcp", guard.address.port()))
        .header("authorization", format!("Bearer {token}"))
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
}

#[tokio::test]
async fn trap_24_http_2_is_served_and_a_reset_stream_is_a_client_that_left() {
    let server = Server::new(|seen| match seen.rpc().as_str() {
        "tools/call" => crate::support::Play::events(vec![
            event(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "p", "progress": 1}})),
            Step::Hang,
        ]),
        _ => mcp(&seen),
    })
    .await;
    let guard = Plan::over(&server).start().await;
    let pool: Pool<_, Full<Bytes>> = Pool::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let response = pool.request(request(&guard, "http", PING)).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.version()),
        (200, Version::HTTP_2)
    );
    let mut wrong = request(&guard, "http", PING);
    wrong
        .headers_mut()
        .insert("host", "evil.example.com".parse().unwrap());
    assert_eq!(pool.request(wrong).await.unwrap().status(), 403);
    let ada = guard.ada().modern();
    let body = ada.body(
        &json!(1),
        "tools/call",
        json!({"name": "read", "arguments": {}, "_meta": {"progressToken": "p"}}),
    );
    let mut calling = request(&guard, "http", &body.to_string());
    for (name, value) in [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "read"),
    ] {
        calling.headers_mut().insert(name, value.parse().unwrap());
    }
    let mut streaming = pool.request(calling).await.unwrap();
    assert!(streaming.body_mut().frame().await.is_some());
    drop(streaming);
    until("the server's side", || (server.hung_up() > 0).then_some(())).await;
    let still = pool.request(request(&guard, "http", PING)).await.unwrap();
    assert_eq!(still.status(), 200, "the connection lives on");
}

struct Certificates {
    files: TlsFiles,
    _folder: tempfile::TempDir,
}

fn write_pair(files: &TlsFiles) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    made.cert.pem()
}

fn certificates() -> (Certificates, String) {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        certificate: folder.path().join("tls.crt"),
        key: folder.path().join("tls.key"),
    };
    let pem = write_pair(&files);
    (
        Certificates {
            files,
            _folder: folder,
        },
        pem,
    )
}

async fn over_tls(guard: &Guard, pem: &str, http2: bool) -> Result<(u16, Version, Value), String> {
    let config = (*Trust::only(pem.as_bytes()).unwrap().client_config()).clone();
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only();
    let connector = if http2 {
        connector.enable_http2().build()
    } else {
        connector.enable_http1().build()
    };
    let pool: Pool<_, Full<Bytes>> = Pool::builder(TokioExecutor::new()).build(connector);
    let response = pool
        .request(request(guard, "https", PING))
        .await
        .map_err(|error| format!("{error:?}"))?;
    let (status, version) = (response.status().as_u16(), response.version());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok((status, version, serde_json::from_slice(&body).unwrap()))
}

#[tokio::test]
async fn tls_is_served_in_both_versions_of_http_and_a_new_certificate_is_taken_up() {
    let server = Server::usual().await;
    let (made, pem) = certificates();
    let mut plan = Plan::over(&server);
    plan.tls = Some(Arc::new(ListenerTls::load(made.files.clone()).unwrap()));
    let guard = plan.start().await;
    for (http2, version) in [(false, Version::HTTP_11), (true, Version::HTTP_2)] {
        let (status, spoken, body) = over_tls(&guard, &pem, http2).await.unwrap();
        assert_eq!(
            (status, spoken, body["id"].clone()),
            (200, version, json!(1))
        );
    }
    let next = write_pair(&made.files);
    let renewed = crate::support::soon("the new certificate", async {
        loop {
            if let Ok(served) = over_tls(&guard, &next, false).await {
                return served;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(renewed.0, 200);
    assert!(
        over_tls(&guard, &pem, false).await.is_err(),
        "the old one is gone"
    );
    let plain = crate::support::raw(
        guard.address,
        b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .await;
    assert!(
        !plain.contains("HTTP/1.1"),
        "nothing is served without TLS: {plain}"
    );
}
