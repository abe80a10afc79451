//! The least server that an MCP client takes for one: a session, one tool, and an answer as large as it was asked for,
//! as one JSON body or as a stream of one event.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use anyhow::Result;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

type Piece = Result<Frame<Bytes>, Infallible>;
type Body = Either<Full<Bytes>, StreamBody<stream::Iter<std::array::IntoIter<Piece, 1>>>>;

const MODERN: &str = "2026-07-28";
/// Largest answer that anybody may ask for.
const LARGEST: usize = 1 << 20;

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

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    if request.method() != Method::POST {
        return Ok(empty(StatusCode::METHOD_NOT_ALLOWED));
    }
    let version = request.headers().get("mcp-protocol-version");
    let modern = version.is_some_and(|version| version == MODERN);
    let Ok(body) = request.into_body().collect().await else {
        return Ok(empty(StatusCode::BAD_REQUEST));
    };
    let message: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    let Some(id) = message.get("id") else {
        return Ok(empty(StatusCode::ACCEPTED));
    };
    let method = message.get("method").and_then(Value::as_str);
    let method = method.unwrap_or_default();
    let asked = message.pointer("/params/arguments");
    let result = result(method, modern, asked.unwrap_or(&Value::Null));
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    let streamed = asked.and_then(|asked| asked.get("stream")) == Some(&Value::Bool(true));
    let mut response = if streamed {
        event(&body)
    } else {
        whole(body.into())
    };
    if method == "initialize" {
        response.headers_mut().insert("mcp-session-id", session());
    }
    Ok(response)
}

fn result(method: &str, modern: bool, asked: &Value) -> String {
    let mut result = match method {
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
        _ => return called(modern, asked),
    };
    if modern && let Some(members) = result.as_object_mut() {
        members.insert("resultType".into(), "complete".into());
        members.insert("cacheScope".into(), "private".into());
        members.insert("ttlMs".into(), 60_000.into());
    }
    result.to_string()
}

/// Rows of text until the answer is as large as it was asked for.
fn called(modern: bool, asked: &Value) -> String {
    const ROW: &str =
        r"row 17: forty-two boxes of paper clips, aisle 9, counted 2026-03-14 by team B\n";
    let bytes = asked.get("bytes").and_then(Value::as_u64).unwrap_or(0);
    let rows = usize::try_from(bytes).unwrap_or(LARGEST).min(LARGEST) / ROW.len() + 1;
    let kind = if modern {
        r#""resultType":"complete","#
    } else {
        ""
    };
    format!(
        r#"{{{kind}"content":[{{"type":"text","text":"{}"}}]}}"#,
        ROW.repeat(rows)
    )
}

fn whole(body: Bytes) -> Response<Body> {
    typed(Either::Left(Full::new(body)), "application/json")
}

fn event(body: &str) -> Response<Body> {
    let frame = Ok(Frame::data(Bytes::from(format!(
        "event: message\ndata: {body}\n\n"
    ))));
    let body = Either::Right(StreamBody::new(stream::iter([frame])));
    typed(body, "text/event-stream")
}

fn typed(body: Body, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static(kind));
    response
}

/// Sessions of this server mean nothing, but each must be another one.
fn session() -> HeaderValue {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    HeaderValue::from(NEXT.fetch_add(1, Ordering::Relaxed))
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::new())));
    *response.status_mut() = status;
    response
}
