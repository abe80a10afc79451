//! Streamable HTTP on loopback, one path.

use std::convert::Infallible;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Result;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::Fixture;
use crate::streams::Sessions;

type Service = StreamableHttpService<Fixture, Sessions>;

/// Serves until the process is ended.
pub(crate) async fn serve(fixture: Fixture, port: u16) -> Result<()> {
    let service: Service = StreamableHttpService::new(
        move || Ok(fixture.fresh()),
        Arc::new(Sessions::default()),
        StreamableHttpServerConfig::default(),
    );
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "sallyport-fixture ready url=http://{address}/mcp")?;
    out.flush()?;
    drop(out);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream, service.clone()));
    }
}

async fn connection(stream: TcpStream, service: Service) {
    let answer = service_fn(move |request| {
        let service = service.clone();
        async move {
            if hyper::Request::uri(&request).path() == "/mcp" {
                return Ok::<_, Infallible>(service.handle(request).await);
            }
            let mut nothing = Response::default();
            *nothing.status_mut() = StatusCode::NOT_FOUND;
            Ok(nothing)
        }
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    // A connection that a peer breaks off is that peer's business.
    served.await.ok();
}
