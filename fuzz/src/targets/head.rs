//! Request heads: refused for what two HTTP stacks could read differently, and nothing of the caller's leaks through.

use http::header::{AUTHORIZATION, COOKIE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use sallyport_policy::mcp::headers::Mirror;
use sallyport_sidecar::identity::{Resources, bearer};
use sallyport_sidecar::inbound::head::{
    Names, Paths, Route, accepts_events, accepts_json, allowed, check,
};

use super::{Target, texts};

pub(super) const TARGET: Target = Target {
    name: "head",
    law: "a head that is let in has one value of each header that counts, a Host and an Origin of ours and no token in its query; caller's credentials never go on",
    property,
    seeds,
    longest: 1024,
    words: &[
        "POST",
        "GET",
        "DELETE",
        "OPTIONS",
        "/mcp",
        "/sse",
        "/messages?sessionId=",
        "Host: localhost",
        "Origin: http://localhost",
        "Content-Type: application/json",
        "Content-Length: 1",
        "Transfer-Encoding: chunked",
        "Authorization: Bearer ",
        "Mcp-Session-Id: ",
        "MCP-Protocol-Version: ",
        "Mcp-Method: ",
        "Mcp-Name: ",
        "Mcp-Param-A: ",
        "access_token=",
        "Cookie: ",
        "Upgrade: ",
        "[::1]",
        "127.0.0.1",
        "=?base64?",
        "?=",
        "/.well-known/oauth-protected-resource",
    ],
};

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "POST /mcp\nHost: localhost:8080\nContent-Type: application/json\nAuthorization: Bearer a.b.c\nMcp-Session-Id: s\nCookie: a=b",
        "POST /mcp\nHost: localhost\nContent-Type: application/json; charset=utf-8\nMCP-Protocol-Version: 2026-07-28\nMcp-Method: tools/call\nMcp-Name: =?base64?YQ==?=\nMcp-Param-Region: eu",
        "GET /sse\nHost: [::1]:80\nOrigin: http://[::1]:3000\nAccept: text/event-stream",
        "POST /messages?sessionId=1&access_token=x\nHost: inventory.example.com",
        "GET /.well-known/oauth-protected-resource/mcp\nHost: inventory.example.com\nOrigin: https://inventory.example.com",
        "POST http://localhost/mcp\nHost: other\nContent-Length: 1\nTransfer-Encoding: chunked",
        "OPTIONS /mcp\nHost: localhost\nOrigin: https://evil.example.com\nUpgrade: h2c",
    ])
}

fn names() -> Names {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Names {
        hosts: owned(&["localhost", "127.0.0.1", "[::1]", "inventory.example.com"]),
        origins: owned(&["https://inventory.example.com"]),
    }
}

fn property(data: &[u8]) {
    let Some(parts) = head(data) else { return };
    let paths = Paths::beside("/mcp");
    if let Ok(route) = check(&parts, &names(), &paths, &Resources::default()) {
        let_in(&parts, &route);
    }
    let _total = (accepts_events(&parts.headers), accepts_json(&parts.headers));
    if let Ok(token) = bearer(&parts.headers) {
        assert_eq!(parts.headers.get_all(AUTHORIZATION).iter().count(), 1);
        assert!(!token.starts_with(' ') && !token.ends_with(' '));
    }
    for modern in [true, false] {
        let forward = [HeaderName::from_static("x-forwarded")];
        let kept = allowed(&parts.headers, modern, &forward);
        assert!(
            !kept.contains_key(AUTHORIZATION)
                && !kept.contains_key(COOKIE)
                && !kept.contains_key(HOST)
        );
        assert!(
            modern
                || !kept
                    .keys()
                    .any(|name| name.as_str().starts_with("mcp-param-"))
        );
    }
    mirror(&parts.headers);
}

/// A head as an HTTP stack hands it over; none where no stack would.
fn head(data: &[u8]) -> Option<Parts> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (method, uri) = first.split_once(' ')?;
    let mut parts = http::Request::new(()).into_parts().0;
    parts.method = Method::from_bytes(method.as_bytes()).ok()?;
    parts.uri = uri.parse::<Uri>().ok()?;
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        let name = HeaderName::from_bytes(name).ok()?;
        let value = HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?;
        parts.headers.append(name, value);
    }
    Some(parts)
}

fn let_in(parts: &Parts, route: &Route) {
    let headers = &parts.headers;
    let single = [
        "authorization",
        "content-type",
        "content-length",
        "content-encoding",
        "host",
        "origin",
        "transfer-encoding",
    ];
    for name in headers.keys() {
        let counts = single.contains(&name.as_str()) || name.as_str().starts_with("mcp-");
        assert!(
            !counts || headers.get_all(name).iter().count() == 1,
            "two values of {name}"
        );
    }
    assert!(!(headers.contains_key("content-length") && headers.contains_key("transfer-encoding")));
    let host = headers
        .get(HOST)
        .map(|host| host.to_str().expect("visible").to_owned());
    let host = host.or_else(|| parts.uri.authority().map(ToString::to_string));
    let host = host.expect("a host").to_ascii_lowercase();
    let ours = names().hosts.iter().any(|name| {
        let port = host.strip_prefix(name.as_str());
        port.is_some_and(|port| port.is_empty() || port.starts_with(':'))
    });
    assert!(ours, "host {host}");
    if let Some(origin) = headers.get("origin") {
        let origin = origin.to_str().expect("visible").to_ascii_lowercase();
        let local = [
            "http://localhost",
            "http://127.0.0.1",
            "http://[::1]",
            "https://localhost",
            "https://127.0.0.1",
            "https://[::1]",
        ];
        let from_here = local.iter().any(|local| {
            let port = origin.strip_prefix(local);
            port.is_some_and(|port| port.is_empty() || port.starts_with(':'))
        });
        assert!(
            from_here || origin == "https://inventory.example.com",
            "origin {origin}"
        );
    }
    let query = parts.uri.query().unwrap_or_default();
    assert!(
        !query
            .split('&')
            .any(|pair| pair == "access_token" || pair.starts_with("access_token="))
    );
    if parts.method == Method::POST {
        assert!(matches!(route, Route::Mcp | Route::SseMessages { .. }));
        let content = headers
            .get("content-type")
            .expect("a type")
            .to_str()
            .expect("visible");
        assert!(
            content.to_ascii_lowercase().starts_with("application/json"),
            "content type {content}"
        );
    }
}

/// The headers that mirror a body: each at most once, or refused.
fn mirror(headers: &HeaderMap) {
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    if Mirror::read(pairs).is_ok() {
        for name in headers
            .keys()
            .filter(|name| name.as_str().starts_with("mcp-param-"))
        {
            assert_eq!(headers.get_all(name).iter().count(), 1);
        }
    }
}
