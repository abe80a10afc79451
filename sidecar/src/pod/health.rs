//! One question of the gRPC health protocol (`grpc.health.v1`), as the kubelet's `grpc` probe puts it. Two messages of
//! one field each need no code generator.

use std::io;
use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::probes::Ended;

/// Where it is asked.
pub(super) const PATH: &str = "/grpc.health.v1.Health/Check";
/// Longest service name: its length is one byte on the wire.
pub(super) const SERVICE: usize = 127;
/// An answer is a handful of bytes.
const ANSWER: usize = 1024;
/// `HealthCheckResponse { status: SERVING }`, uncompressed and framed.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 0x01];

/// 200 where the service says that it serves, 503 where it says anything else.
pub(super) async fn check(
    stream: TcpStream,
    service: &str,
    server: SocketAddr,
) -> io::Result<StatusCode> {
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
    let connection = Ended::when_dropped(connection);
    let request = Request::post(format!("http://{server}{PATH}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(Full::new(question(service)))
        .map_err(io::Error::other)?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    let body = Limited::new(answer.into_body(), ANSWER);
    let body = body.collect().await.map_err(io::Error::other)?;
    drop(connection);
    let good = body
        .trailers()
        .and_then(|trailers| trailers.get("grpc-status"))
        .is_some_and(|status| status == "0");
    Ok(if good && body.to_bytes() == SERVING {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    })
}

/// `HealthCheckRequest { service }`, framed; an empty name is left out.
fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if let (false, Ok(length)) = (service.is_empty(), u8::try_from(service.len())) {
        message.put_u8(0x0a);
        message.put_u8(length);
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(&message);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{HeaderMap, Response};
    use http_body_util::StreamBody;
    use hyper::body::{Frame, Incoming};
    use hyper::service::service_fn;
    use tokio::net::TcpListener;

    use super::*;

    /// A server that knows one service, `mcp`, and the nameless whole.
    async fn server(status: &'static [u8], code: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service_fn(move |request: Request<Incoming>| async move {
                    assert_eq!(request.uri().path(), PATH);
                    let asked = request.into_body().collect().await.unwrap().to_bytes();
                    let known: [&[u8]; 2] = [&[0; 5], b"\0\0\0\0\x05\x0a\x03mcp"];
                    let code = if known.contains(&&*asked) { code } else { "5" };
                    let trailers = HeaderMap::from_iter([(
                        "grpc-status".parse().unwrap(),
                        code.parse().unwrap(),
                    )]);
                    let frames = [
                        Ok::<_, Infallible>(Frame::data(Bytes::from_static(status))),
                        Ok(Frame::trailers(trailers)),
                    ];
                    let body = StreamBody::new(futures_util::stream::iter(frames));
                    Ok::<_, Infallible>(Response::new(body))
                });
                let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(serving);
            }
        });
        address
    }

    async fn asked(address: SocketAddr, service: &str) -> u16 {
        let stream = TcpStream::connect(address).await.unwrap();
        check(stream, service, address).await.unwrap().as_u16()
    }

    #[tokio::test]
    async fn only_a_service_that_says_it_serves_is_well() {
        let serving = server(SERVING, "0").await;
        assert_eq!(asked(serving, "").await, 200);
        assert_eq!(asked(serving, "mcp").await, 200);
        assert_eq!(asked(serving, "other").await, 503);
        let not_serving = server(&[0, 0, 0, 0, 2, 0x08, 0x02], "0").await;
        assert_eq!(asked(not_serving, "").await, 503);
        let failing = server(SERVING, "13").await;
        assert_eq!(asked(failing, "").await, 503);
    }
}
