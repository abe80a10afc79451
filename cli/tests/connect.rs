//! The stdio bridge between a client and a real HTTP server, in both eras of the protocol.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

type Body = BoxBody<Bytes, Infallible>;

/// One request as the server saw it.
#[derive(Clone, Debug)]
struct Seen {
    method: Method,
    headers: HeaderMap,
    body: Value,
    raw: Bytes,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn is(&self, method: &str) -> bool {
        self.body["method"] == method
    }
}

/// What the server has seen, and how many streams were closed under it.
#[derive(Debug, Default)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    closed: Mutex<u32>,
}

impl Log {
    fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn of(&self, method: &str) -> Vec<Seen> {
        self.all()
            .into_iter()
            .filter(|seen| seen.is(method))
            .collect()
    }

    fn wait(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "the server never saw {what}: {:#?}",
                self.all()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Says in the log that the client has left a stream.
struct Left(Arc<Log>);

impl Drop for Left {
    fn drop(&mut self) {
        *self.0.closed.lock().unwrap() += 1;
    }
}

type Answerer = fn(&Arc<Log>, &Seen) -> Response<Body>;

/// A server on a free port, in a thread with a runtime of its own.
fn serve(answer: Answerer) -> (SocketAddr, Arc<Log>) {
    let log = Arc::new(Log::default());
    let (sender, address) = mpsc::channel();
    let seen = Arc::clone(&log);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let log = Arc::clone(&seen);
                let service = service_fn(move |request| respond(Arc::clone(&log), answer, request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
    });
    (address.recv().unwrap(), log)
}

async fn respond(
    log: Arc<Log>,
    answer: Answerer,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).unwrap()
    };
    let seen = Seen {
        method: parts.method,
        headers: parts.headers,
        body,
        raw: bytes,
    };
    log.seen.lock().unwrap().push(seen.clone());
    Ok(answer(&log, &seen))
}

fn with(status: StatusCode, body: &Value) -> Response<Body> {
    let text = serde_json::to_string_pretty(body).unwrap();
    let body = Full::new(Bytes::from(text)).boxed();
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

fn empty(status: StatusCode) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Full::default().boxed())
        .unwrap()
}

/// Events, and then either the end or silence until the client leaves.
fn events(log: &Arc<Log>, events: &[String], stays: bool) -> Response<Body> {
    let first: Vec<_> = events
        .iter()
        .map(|event| Ok(Frame::data(Bytes::from(event.clone()))))
        .collect();
    let left = Left(Arc::clone(log));
    let rest =
        futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>().map(move |frame| {
            let _left = &left;
            frame
        });
    let first = futures_util::stream::iter(first);
    let body = if stays {
        BodyExt::boxed(StreamBody::new(first.chain(rest)))
    } else {
        BodyExt::boxed(StreamBody::new(first))
    };
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(body)
        .unwrap()
}

fn message(id: Option<&str>, message: &Value) -> String {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("{id}data: {message}\n\n")
}

fn result(seen: &Seen, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": seen.body["id"], "result": result})
}

/// The bridge with its pipes.
struct Bridge {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<Value>,
}

impl Bridge {
    fn start(address: SocketAddr, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sallyport"));
        command
            .arg("connect")
            .arg(format!("http://{address}/mcp"))
            .args(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("CONNECT_TOKEN", "t0ken");
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines() {
                let line = line.unwrap();
                let value =
                    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
        }
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    #[track_caller]
    fn hear(&self) -> Value {
        self.lines
            .recv_timeout(Duration::from_secs(20))
            .expect("the bridge said nothing")
    }

    fn ask(&mut self, id: i64, method: &str, params: &Value) -> Value {
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        self.hear()
    }

    fn open(&mut self) -> Value {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let answer = self.ask(1, "initialize", &params);
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer
    }

    /// Closes stdin and gives the exit code and stderr.
    fn end(mut self) -> (i32, String) {
        drop(self.stdin.take());
        let status = self.child.wait().unwrap();
        let mut err = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        (status.code().unwrap(), err)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A server of the legacy era. It loses its first session when the tool `lose` is called.
fn legacy(log: &Arc<Log>, seen: &Seen) -> Response<Body> {
    let sessions = log.of("initialize").len();
    let current = format!("s{sessions}");
    if seen.is("initialize") {
        let answer = result(
            seen,
            &json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}),
        );
        let mut response = with(StatusCode::OK, &answer);
        response
            .headers_mut()
            .insert("mcp-session-id", current.parse().unwrap());
        return response;
    }
    if seen.header("mcp-session-id") != Some(&current) {
        return with(
            StatusCode::NOT_FOUND,
            &json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32001, "message": "Session not found"}}),
        );
    }
    match seen.method {
        Method::GET if seen.header("last-event-id") == Some("p1") => {
            let id = log.of("tools/call").last().unwrap().body["id"].clone();
            events(
                log,
                &[message(
                    Some("p2"),
                    &json!({"jsonrpc": "2.0", "id": id, "result": {"content": []}}),
                )],
                false,
            )
        }
        Method::GET => events(
            log,
            &[message(
                None,
                &json!({"jsonrpc": "2.0", "id": "r1", "method": "roots/list"}),
            )],
            true,
        ),
        Method::DELETE => empty(StatusCode::NO_CONTENT),
        _ if seen.body.get("id").is_none() || seen.body.get("method").is_none() => {
            empty(StatusCode::ACCEPTED)
        }
        _ => legacy_call(log, seen, sessions),
    }
}

fn legacy_call(log: &Arc<Log>, seen: &Seen, sessions: usize) -> Response<Body> {
    match seen.body["params"]["name"].as_str().unwrap_or_default() {
        "resume" => {
            let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}});
            let priming = "id: p0\nretry: 10\ndata:\n\n".to_owned();
            events(log, &[priming, message(Some("p1"), &progress)], false)
        }
        "lose" if sessions == 1 => with(
            StatusCode::NOT_FOUND,
            &json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32001, "message": "Session not found"}}),
        ),
        "token" => {
            let mut response = empty(StatusCode::UNAUTHORIZED);
            let challenge =
                r#"Bearer error="invalid_token", error_description="the token has expired""#;
            response
                .headers_mut()
                .insert("www-authenticate", challenge.parse().unwrap());
            response
        }
        "break" => events(log, &[": nothing\n\n".to_owned()], false),
        "hold" => events(log, &[], true),
        "error" => with(
            StatusCode::BAD_REQUEST,
            &json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no"}}),
        ),
        _ => with(
            StatusCode::OK,
            &result(
                seen,
                &json!({"content": [{"type": "text", "text": "a\nb"}]}),
            ),
        ),
    }
}

#[test]
fn a_legacy_conversation_goes_both_ways() {
    let (address, log) = serve(legacy);
    let mut bridge = Bridge::start(address, &["--token-env", "CONNECT_TOKEN"]);
    assert_eq!(bridge.open()["result"]["protocolVersion"], "2025-11-25");
    let request = bridge.hear();
    assert_eq!(
        (&request["id"], &request["method"]),
        (&json!("r1"), &json!("roots/list")),
        "said unasked, over the stream"
    );
    bridge.say(&json!({"jsonrpc": "2.0", "id": "r1", "result": {"roots": []}}));
    let answer = bridge.ask(2, "tools/call", &json!({"name": "plain", "arguments": {}}));
    assert_eq!(answer["result"]["content"][0]["text"], "a\nb");
    let (code, err) = bridge.end();
    assert_eq!((code, err.as_str()), (0, ""));

    let all = log.all();
    assert!(
        all.iter()
            .all(|seen| seen.header("authorization") == Some("Bearer t0ken"))
    );
    assert!(
        all.iter().all(|seen| !seen.raw.contains(&b'\n')),
        "the line's end is no part of the message"
    );
    let hello = &log.of("initialize")[0];
    assert_eq!(
        (
            hello.header("mcp-session-id"),
            hello.header("mcp-protocol-version")
        ),
        (None, None)
    );
    assert_eq!(
        hello.header("accept"),
        Some("application/json, text/event-stream")
    );
    for seen in all.iter().filter(|seen| !seen.is("initialize")) {
        assert_eq!(seen.header("mcp-session-id"), Some("s1"), "{seen:?}");
        assert_eq!(
            seen.header("mcp-protocol-version"),
            Some("2025-11-25"),
            "{seen:?}"
        );
        assert_eq!(
            seen.header("mcp-method"),
            None,
            "legacy requests are not mirrored"
        );
    }
    assert!(
        all.iter()
            .any(|seen| seen.body["id"] == "r1" && seen.body.get("result").is_some())
    );
    assert_eq!(
        all.last().unwrap().method,
        Method::DELETE,
        "the session is ended"
    );
}

#[test]
fn a_legacy_stream_that_ends_early_is_taken_up_where_it_stopped() {
    let (address, log) = serve(legacy);
    let mut bridge = Bridge::start(address, &[]);
    bridge.open();
    assert_eq!(bridge.hear()["method"], "roots/list");
    let progress = bridge.ask(2, "tools/call", &json!({"name": "resume"}));
    assert_eq!(progress["method"], "notifications/progress");
    let answer = bridge.hear();
    assert_eq!(
        (&answer["id"], &answer["result"]["content"]),
        (&json!(2), &json!([]))
    );
    let resumed: Vec<_> = log
        .all()
        .into_iter()
        .filter(|seen| seen.header("last-event-id").is_some())
        .collect();
    assert_eq!(resumed.len(), 1);
    assert_eq!(resumed[0].header("mcp-session-id"), Some("s1"));
    assert_eq!(
        log.of("tools/call").len(),
        1,
        "the call itself is never sent twice"
    );
}

#[test]
fn a_lost_session_is_opened_anew_and_the_refused_message_sent_again() {
    let (address, log) = serve(legacy);
    let mut bridge = Bridge::start(address, &[]);
    bridge.open();
    assert_eq!(bridge.hear()["method"], "roots/list");
    let answer = bridge.ask(7, "tools/call", &json!({"name": "lose"}));
    assert_eq!(answer["id"], 7);
    assert!(answer.get("result").is_some(), "{answer}");
    assert_eq!(log.of("initialize").len(), 2);
    assert_eq!(
        log.of("notifications/initialized")
            .last()
            .unwrap()
            .header("mcp-session-id"),
        Some("s2")
    );
    let calls = log.of("tools/call");
    assert_eq!(
        (calls.len(), calls[1].header("mcp-session-id")),
        (2, Some("s2"))
    );
    let (code, err) = bridge.end();
    assert_eq!(code, 0);
    assert!(err.contains("lost the session"), "{err}");
}

#[test]
fn what_goes_wrong_is_an_error_of_the_request_that_it_hit() {
    let (address, _log) = serve(legacy);
    let mut bridge = Bridge::start(address, &[]);
    bridge.open();
    assert_eq!(bridge.hear()["method"], "roots/list");
    let rows = [
        ("token", "the token has expired", json!({"httpStatus": 401})),
        ("break", "the call may have run", Value::Null),
        ("error", "no", Value::Null),
    ];
    for (id, (name, part, data)) in (10..).zip(rows) {
        let answer = bridge.ask(id, "tools/call", &json!({"name": name}));
        assert_eq!(answer["id"], id, "{name}: {answer}");
        let text = answer["error"]["message"].as_str().unwrap();
        assert!(text.contains(part), "{name}: {text}");
        assert_eq!(answer["error"]["data"], data, "{name}");
    }
    writeln!(bridge.stdin.as_mut().unwrap(), "{{not json").unwrap();
    assert_eq!(bridge.hear()["error"]["code"], -32700);
    bridge.say(&json!({"jsonrpc": "2.0", "id": {}, "method": "ping"}));
    assert_eq!(bridge.hear()["error"]["code"], -32600);
}

#[test]
fn a_legacy_cancellation_is_passed_on() {
    let (address, log) = serve(legacy);
    let mut bridge = Bridge::start(address, &[]);
    bridge.open();
    assert_eq!(bridge.hear()["method"], "roots/list");
    bridge.say(
        &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "hold"}}),
    );
    log.wait("the call", |log| !log.of("tools/call").is_empty());
    bridge.say(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}}),
    );
    log.wait("the cancellation", |log| {
        !log.of("notifications/cancelled").is_empty()
    });
    assert_eq!(
        *log.closed.lock().unwrap(),
        0,
        "leaving a legacy stream is no cancellation"
    );
}

fn meta() -> Value {
    json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}})
}

/// A server of the newest revision, strict about its headers.
fn modern(log: &Arc<Log>, seen: &Seen) -> Response<Body> {
    let refused = |what: &str| {
        let error = json!({"code": -32020, "message": format!("Header mismatch: {what}")});
        with(
            StatusCode::BAD_REQUEST,
            &json!({"jsonrpc": "2.0", "id": seen.body["id"], "error": error}),
        )
    };
    if seen.header("mcp-protocol-version") != Some("2026-07-28") {
        return refused("version");
    }
    if seen.header("mcp-method") != seen.body["method"].as_str() {
        return refused("method");
    }
    if seen.is("tools/list") {
        let schema = json!({"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}});
        return with(
            StatusCode::OK,
            &result(
                seen,
                &json!({"tools": [{"name": "regional", "inputSchema": schema}]}),
            ),
        );
    }
    let name = seen.body["params"]["name"].as_str().unwrap_or_default();
    if seen.header("mcp-name") != Some(name) {
        return refused("name");
    }
    match name {
        "regional" if seen.header("mcp-param-region") != Some("eu") => refused("region"),
        "hang" => events(
            log,
            &[message(
                None,
                &json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}}),
            )],
            true,
        ),
        _ => events(
            log,
            &[message(None, &result(seen, &json!({"content": []})))],
            false,
        ),
    }
}

#[test]
fn modern_requests_are_mirrored_and_learn_which_arguments_to_mirror() {
    let (address, log) = serve(modern);
    let mut bridge = Bridge::start(address, &[]);
    let call = json!({"name": "regional", "arguments": {"region": "eu"}, "_meta": meta()});
    let answer = bridge.ask(1, "tools/call", &call);
    assert_eq!(
        (&answer["id"], &answer["result"]["content"]),
        (&json!(1), &json!([])),
        "{answer}"
    );
    let methods: Vec<_> = log
        .all()
        .iter()
        .map(|seen| seen.body["method"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        methods,
        ["tools/call", "tools/list", "tools/call"],
        "a tool that was never listed is looked up once"
    );
    let again = bridge.ask(2, "tools/call", &call);
    assert_eq!(again["id"], 2);
    assert_eq!(log.all().len(), 4);
    assert!(
        log.all()
            .iter()
            .all(|seen| seen.method == Method::POST && seen.header("mcp-session-id").is_none())
    );
}

#[test]
fn a_modern_cancellation_closes_the_stream_and_is_not_sent() {
    let (address, log) = serve(modern);
    let mut bridge = Bridge::start(address, &[]);
    let progress = bridge.ask(5, "tools/call", &json!({"name": "hang", "_meta": meta()}));
    assert_eq!(progress["method"], "notifications/progress");
    bridge.say(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}),
    );
    log.wait("the stream's end", |log| *log.closed.lock().unwrap() == 1);
    assert_eq!(
        log.all().len(),
        1,
        "the newest revision knows no such notification over HTTP"
    );
    let answer = bridge.ask(6, "tools/call", &json!({"name": "plain", "_meta": meta()}));
    assert_eq!(answer["id"], 6, "the cancelled request is not answered");
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let mut bridge = Bridge::start(address, &[]);
    bridge.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    std::thread::sleep(Duration::from_millis(500));
    let server = std::net::TcpListener::bind(address).unwrap();
    let (mut stream, _) = server.accept().unwrap();
    let mut request = [0; 4096];
    let count = stream.read(&mut request).unwrap();
    assert!(String::from_utf8_lossy(&request[..count]).starts_with("POST /mcp HTTP/1.1\r\n"));
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    assert_eq!(
        bridge.hear(),
        json!({"jsonrpc": "2.0", "id": 1, "result": {}})
    );
}

#[test]
fn a_token_never_goes_unencrypted_to_another_machine() {
    let output = Command::new(env!("CARGO_BIN_EXE_sallyport"))
        .args([
            "connect",
            "http://inventory.example.com/mcp",
            "--token-env",
            "CONNECT_TOKEN",
        ])
        .env("CONNECT_TOKEN", "t0ken")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("use https") && !err.contains("t0ken"), "{err}");
}
