//! The kubelet's probes of the containers beside us. Injection turned them here and recorded each in our arguments; we
//! perform exactly the recorded one and tell its status, nothing of its body.
//!
//! Nothing of the request goes into what is asked, so nobody reaches the server through here. However often somebody
//! asks, a probe is performed at most twice a second.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use sallyport_policy::endpoint::{is_plain_path, is_within};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::health;
use crate::admin::Readiness;
use crate::body::ReplyBody;

/// Between two performances of one probe; who asks in between hears how the last one went.
const PAUSE: Duration = Duration::from_millis(500);
/// What the kubelet waits where a probe does not say, and the most that we wait.
const TIMEOUT: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// All that were recorded, by path.
#[derive(Clone, Debug, Default)]
pub struct Probes(Arc<BTreeMap<String, Slot>>);

#[derive(Debug)]
struct Slot {
    recorded: Recorded,
    last: Mutex<Option<(Instant, StatusCode)>>,
}

/// One probe as it was written for a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    action: Action,
    port: u16,
    timeout: Duration,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Get { path: Uri, headers: HeaderMap },
    Connect,
    Health { service: String },
}

/// Where MCP is: no probe may go there.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    pub port: Option<u16>,
    pub path: &'a str,
}

impl Probes {
    /// From arguments of the form `PATH=JSON`.
    ///
    /// # Errors
    /// Every argument that is no probe, or that is one of the MCP endpoint.
    pub fn read(arguments: &[String], mcp: Endpoint<'_>) -> Result<Self, Vec<String>> {
        let (mut probes, mut mistakes) = (BTreeMap::new(), Vec::new());
        for text in arguments {
            match recorded(text, mcp) {
                Ok((path, recorded)) => {
                    let last = Mutex::new(None);
                    probes.insert(path, Slot { recorded, last });
                }
                Err(why) => mistakes.push(format!("--probe: `{text}`: {why}")),
            }
        }
        if mistakes.is_empty() {
            Ok(Self(Arc::new(probes)))
        } else {
            Err(mistakes)
        }
    }

    /// Answers one request to the probe port.
    pub async fn answer(
        &self,
        readiness: &Readiness,
        method: &Method,
        path: &str,
    ) -> Response<ReplyBody> {
        if method != Method::GET && method != Method::HEAD {
            return bare(StatusCode::METHOD_NOT_ALLOWED);
        }
        let missing = readiness.missing();
        match path {
            "/livez" => bare(StatusCode::OK),
            "/readyz" => bare(ok_if(missing.is_empty())),
            // The validator comes after the start, so the start does not wait for it.
            "/startz" => bare(ok_if(!missing.contains(&"policy"))),
            path => match self.0.get(path) {
                Some(slot) => bare(slot.status().await),
                None => bare(StatusCode::NOT_FOUND),
            },
        }
    }
}

impl Slot {
    async fn status(&self) -> StatusCode {
        // Held while it is performed: whoever asks meanwhile hears how this one went.
        let mut last = self.last.lock().await;
        if let Some((_, status)) = last.filter(|(when, _)| when.elapsed() < PAUSE) {
            return status;
        }
        let status = self.recorded.perform().await;
        *last = Some((Instant::now(), status));
        status
    }
}

impl Recorded {
    async fn perform(&self) -> StatusCode {
        let performed = async {
            let server = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let stream = TcpStream::connect(server).await?;
            match &self.action {
                Action::Connect => Ok(StatusCode::OK),
                Action::Health { service } => health::check(stream, service, server).await,
                Action::Get { path, headers } => get(stream, path, headers, server).await,
            }
        };
        match tokio::time::timeout(self.timeout, performed).await {
            // The kubelet takes a redirect for a success; told as one, it is not followed.
            Ok(Ok(status)) if status.is_redirection() => StatusCode::OK,
            Ok(Ok(status)) => status,
            Ok(Err(_)) => StatusCode::BAD_GATEWAY,
            Err(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

async fn get(
    stream: TcpStream,
    path: &Uri,
    headers: &HeaderMap,
    server: SocketAddr,
) -> io::Result<StatusCode> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let connection = Ended::when_dropped(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = path.clone();
    let host = HeaderValue::try_from(server.to_string()).map_err(io::Error::other)?;
    let fields = request.headers_mut();
    fields.insert(HOST, host);
    fields.insert(ACCEPT, HeaderValue::from_static("*/*"));
    fields.insert(USER_AGENT, HeaderValue::from_static("kube-probe/sallyport"));
    // The probe's own ones last: it may say another host.
    fields.extend(headers.clone());
    fields.insert(CONNECTION, HeaderValue::from_static("close"));
    let answer = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    drop(connection);
    Ok(answer.status())
}

/// A connection that ends with its one answer, read or not.
pub(super) struct Ended<T>(tokio::task::JoinHandle<T>);

impl<T: Send + 'static> Ended<T> {
    pub(super) fn when_dropped(connection: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(connection))
    }
}

impl<T> Drop for Ended<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    http_get: Option<WrittenGet>,
    tcp_socket: Option<WrittenSocket>,
    grpc: Option<WrittenHealth>,
    timeout_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenGet {
    #[serde(default = "root")]
    path: String,
    port: u16,
    #[serde(default)]
    http_headers: Vec<WrittenHeader>,
    /// The pod's own, where it is written at all.
    #[serde(default)]
    host: String,
    #[serde(default)]
    scheme: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHeader {
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSocket {
    port: u16,
    #[serde(default)]
    host: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHealth {
    port: u16,
    #[serde(default)]
    service: Option<String>,
}

fn root() -> String {
    "/".to_owned()
}

fn recorded(text: &str, mcp: Endpoint<'_>) -> Result<(String, Recorded), String> {
    let (path, probe) = text.split_once('=').ok_or("expected PATH=JSON")?;
    if !path.starts_with('/') {
        return Err("expected a path before `=`".to_owned());
    }
    let written: Written = serde_json::from_str(probe).map_err(|error| error.to_string())?;
    let seconds = written.timeout_seconds.map(Duration::from_secs);
    let timeout = seconds.unwrap_or(TIMEOUT).min(LONGEST);
    let (action, port) = match (written.http_get, written.tcp_socket, written.grpc) {
        (Some(get), None, None) => (action(&get, mcp)?, get.port),
        (None, Some(socket), None) if socket.host.is_empty() => (Action::Connect, socket.port),
        (None, Some(_), None) => return Err("is for another host".to_owned()),
        (None, None, Some(asked)) => (health(&asked, mcp)?, asked.port),
        _ => return Err("expected one of httpGet, tcpSocket and grpc".to_owned()),
    };
    let recorded = Recorded {
        action,
        port,
        timeout,
    };
    Ok((path.to_owned(), recorded))
}

fn action(get: &WrittenGet, mcp: Endpoint<'_>) -> Result<Action, String> {
    if !get.host.is_empty() {
        return Err("is for another host".to_owned());
    }
    if get.scheme.as_deref().is_some_and(|scheme| scheme != "HTTP") {
        return Err("only HTTP is asked".to_owned());
    }
    let plain = get.path.split('?').next().unwrap_or(&get.path);
    if !is_plain_path(plain) {
        return Err("the path can be read in more than one way".to_owned());
    }
    if is_mcp(get.port, plain, mcp) {
        return Err("the path is the MCP endpoint's".to_owned());
    }
    let mut headers = HeaderMap::new();
    for header in &get.http_headers {
        let name = HeaderName::try_from(&header.name).map_err(|error| error.to_string())?;
        let value = HeaderValue::try_from(&header.value).map_err(|error| error.to_string())?;
        headers.append(name, value);
    }
    let path = get.path.parse().map_err(|_| "the path is none")?;
    Ok(Action::Get { path, headers })
}

fn health(asked: &WrittenHealth, mcp: Endpoint<'_>) -> Result<Action, String> {
    let service = asked.service.clone().unwrap_or_default();
    if service.len() > health::SERVICE {
        return Err("the service's name is too long".to_owned());
    }
    if is_mcp(asked.port, health::PATH, mcp) {
        return Err("the path is the MCP endpoint's".to_owned());
    }
    Ok(Action::Health { service })
}

fn is_mcp(port: u16, path: &str, mcp: Endpoint<'_>) -> bool {
    mcp.port.is_none_or(|own| own == port) && is_within(path, mcp.path)
}

fn ok_if(ready: bool) -> StatusCode {
    if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// A status, and nothing else.
fn bare(status: StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::full(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// As the listener calls it.
pub(crate) async fn serve(
    probes: Probes,
    readiness: Readiness,
    request: Request<Incoming>,
) -> Response<ReplyBody> {
    let path = request.uri().path().to_owned();
    probes.answer(&readiness, request.method(), &path).await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const MCP: Endpoint<'_> = Endpoint {
        port: Some(8080),
        path: "/mcp",
    };

    /// A server that says one thing to everybody, and keeps what it was asked.
    async fn server(says: &'static str) -> (u16, Arc<Mutex<String>>, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, count) = (
            Arc::new(Mutex::new(String::new())),
            Arc::new(AtomicUsize::new(0)),
        );
        let (heard, counted) = (Arc::clone(&asked), Arc::clone(&count));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                *heard.lock().await = String::from_utf8_lossy(&head[..read]).into_owned();
                stream.write_all(says.as_bytes()).await.ok();
            }
        });
        (port, asked, count)
    }

    async fn status(probes: &Probes, path: &str) -> u16 {
        let readiness = Readiness::default();
        let response = probes.answer(&readiness, &Method::GET, path).await;
        assert!(response.headers().is_empty(), "only a status goes out");
        response.status().as_u16()
    }

    #[tokio::test]
    async fn exactly_the_recorded_probe_is_performed() {
        let (port, asked, _) = server("HTTP/1.1 204 Fine\r\nset-cookie: a=b\r\n\r\n").await;
        let probe = format!(
            r#"/probes/server/liveness/x={{"httpGet":{{"path":"/live?deep=1","port":{port},"httpHeaders":[{{"name":"X-Probe","value":"yes"}},{{"name":"Host","value":"inner"}}]}}}}"#
        );
        let probes = Probes::read(&[probe], MCP).unwrap();
        assert_eq!(status(&probes, "/probes/server/liveness/x").await, 204);
        let asked = asked.lock().await.to_ascii_lowercase();
        assert!(
            asked.starts_with("get /live?deep=1 http/1.1\r\n"),
            "{asked}"
        );
        assert!(
            asked.contains("x-probe: yes") && asked.contains("host: inner"),
            "{asked}"
        );
        assert_eq!(status(&probes, "/probes/server/liveness/y").await, 404);
        assert_eq!(status(&probes, "/live").await, 404);
    }

    #[tokio::test]
    async fn statuses_are_told_and_redirects_are_not_followed() {
        for (says, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret", 200),
            ("HTTP/1.1 302 Found\r\nlocation: /mcp\r\n\r\n", 200),
            ("HTTP/1.1 503 Away\r\n\r\n", 503),
            ("nonsense\r\n\r\n", 502),
        ] {
            let (port, _, count) = server(says).await;
            let probe = format!(r#"/p={{"httpGet":{{"port":{port}}}}}"#);
            let probes = Probes::read(&[probe], MCP).unwrap();
            assert_eq!(status(&probes, "/p").await, expected, "{says}");
            assert_eq!(count.load(Ordering::SeqCst), 1, "{says}");
        }
    }

    #[tokio::test]
    async fn a_probe_that_hears_nothing_ends_in_its_own_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let arguments = [
            format!(r#"/get={{"httpGet":{{"port":{port}}},"timeoutSeconds":1}}"#),
            format!(r#"/tcp={{"tcpSocket":{{"port":{port}}}}}"#),
        ];
        let probes = Probes::read(&arguments, MCP).unwrap();
        assert_eq!(status(&probes, "/get").await, 504);
        assert_eq!(status(&probes, "/tcp").await, 200);
        drop(listener);
        tokio::time::sleep(PAUSE).await;
        assert_eq!(status(&probes, "/tcp").await, 502);
    }

    #[tokio::test]
    async fn however_often_somebody_asks_the_server_is_asked_twice_a_second() {
        let (port, _, count) = server("HTTP/1.1 200 OK\r\n\r\n").await;
        let probe = format!(r#"/p={{"httpGet":{{"port":{port}}}}}"#);
        let probes = Probes::read(&[probe], MCP).unwrap();
        for _ in 0..50 {
            assert_eq!(status(&probes, "/p").await, 200);
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
        tokio::time::sleep(PAUSE).await;
        assert_eq!(status(&probes, "/p").await, 200);
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn no_probe_leads_to_mcp_or_out_of_the_pod() {
        for (name, probe, told) in [
            (
                "mcp",
                r#"{"httpGet":{"path":"/mcp","port":8080}}"#,
                "MCP endpoint",
            ),
            (
                "below",
                r#"{"httpGet":{"path":"/MCP/x?y","port":8080}}"#,
                "MCP endpoint",
            ),
            (
                "escaped",
                r#"{"httpGet":{"path":"/%6dcp","port":8080}}"#,
                "more than one way",
            ),
            (
                "dots",
                r#"{"httpGet":{"path":"/a/../mcp","port":8080}}"#,
                "more than one way",
            ),
            (
                "host",
                r#"{"httpGet":{"host":"10.0.0.1","port":80}}"#,
                "another host",
            ),
            (
                "host of a socket",
                r#"{"tcpSocket":{"host":"10.0.0.1","port":80}}"#,
                "another host",
            ),
            (
                "scheme",
                r#"{"httpGet":{"scheme":"HTTPS","port":80}}"#,
                "only HTTP",
            ),
            (
                "both",
                r#"{"httpGet":{"port":80},"tcpSocket":{"port":80}}"#,
                "one of",
            ),
            ("neither", "{}", "one of"),
            ("unknown", r#"{"exec":{}}"#, "unknown field"),
        ] {
            let told_all = Probes::read(&[format!("/p={probe}")], MCP).unwrap_err();
            assert!(told_all.concat().contains(told), "{name}: {told_all:?}");
        }
        // The same path elsewhere is no MCP.
        let elsewhere = r#"/p={"httpGet":{"path":"/mcp","port":9090}}"#.to_owned();
        assert!(Probes::read(&[elsewhere], MCP).is_ok());
    }

    #[tokio::test]
    async fn the_start_waits_for_a_policy_and_readiness_for_everything() {
        let readiness = Readiness::default();
        let probes = Probes::default();
        let ask = async |path: &str| {
            probes
                .answer(&readiness, &Method::GET, path)
                .await
                .status()
                .as_u16()
        };
        let policy = readiness.block("policy");
        let validator = readiness.block("validator");
        assert_eq!(
            [
                ask("/livez").await,
                ask("/startz").await,
                ask("/readyz").await
            ],
            [200, 503, 503]
        );
        drop(policy);
        assert_eq!([ask("/startz").await, ask("/readyz").await], [200, 503]);
        drop(validator);
        assert_eq!(ask("/readyz").await, 200);
    }
}
