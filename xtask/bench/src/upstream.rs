//! The least server that an MCP client takes for one: a session, one tool, one answer.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use anyhow::Result;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Serves until the process is ended.
pub(crate) async fn serve(say: impl Fn(&str) -> Result<()>) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    say(&listener.local_addr()?.to_string())?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let served =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            // A connection that a peer breaks off is that peer's business.
            served.await.ok();
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() != Method::POST {
        return Ok(empty(StatusCode::METHOD_NOT_ALLOWED));
    }
    let Ok(body) = request.into_body().collect().await else {
        return Ok(empty(StatusCode::BAD_REQUEST));
    };
    let message: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    let Some(id) = message.get("id") else {
        return Ok(empty(StatusCode::ACCEPTED));
    };
    let method = message
        .get("method")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let body = json!({ "jsonrpc": "2.0", "id": id, "result": result(method) }).to_string();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        http::HeaderValue::from_static("application/json"),
    );
    if method == "initialize" {
        headers.insert("mcp-session-id", session());
    }
    Ok(response)
}

fn result(method: &str) -> Value {
    match method {
        "initialize" => json!({
            "protocolVersion": "2025-11-25",
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "trivial", "version": "1.0.0" },
        }),
        "tools/list" => json!({ "tools": [{
            "name": "lookup",
            "description": "Looks up a row",
            "inputSchema": { "type": "object", "properties": { "id": { "type": "integer" } } },
        }] }),
        _ => {
            json!({ "content": [{ "type": "text", "text": "row 17: forty-two boxes of paper clips, aisle 9, last counted in spring" }] })
        }
    }
}

/// Sessions of this server mean nothing, but each must be another one.
fn session() -> http::HeaderValue {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    http::HeaderValue::from(NEXT.fetch_add(1, Ordering::Relaxed))
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}
