//! Checks on the request head, before a token is looked at or a byte of the body is read.
//!
//! Whatever two HTTP stacks could read differently is refused here: a request has one framing, one value for each
//! header that carries meaning, and a Host and Origin that this gateway answers for.

use std::net::IpAddr;

use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};

use crate::identity::Resources;

/// Headers that may appear once at most; `mcp-*` is checked by prefix.
const SINGLE: [HeaderName; 8] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    CONTENT_LENGTH,
    CONTENT_ENCODING,
    HOST,
    ORIGIN,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The names under which this gateway may be addressed.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Accepted Host values without port, lower case.
    pub hosts: Vec<String>,
    /// Accepted Origin values (`scheme://host[:port]`), lower case.
    pub origins: Vec<String>,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The MCP endpoint.
    Mcp,
    /// The event stream of the 2024-11-05 transport.
    SseStream,
    /// Where clients of that transport post, with the session in the query.
    SseMessages { session: String },
    /// RFC 9728 metadata.
    Metadata,
}

/// The paths of one gateway.
#[derive(Clone, Debug)]
pub struct Paths {
    pub mcp: String,
    pub sse: String,
    pub messages: String,
}

/// The well-known prefix of RFC 9728 section 3.1.
pub const METADATA_PREFIX: &str = "/.well-known/oauth-protected-resource";

impl Paths {
    /// The transport of 2024-11-05 lies beside the MCP endpoint.
    #[must_use]
    pub fn beside(mcp: &str) -> Self {
        let base = mcp
            .trim_end_matches('/')
            .rsplit_once('/')
            .map_or("", |(base, _)| base);
        let sse = format!("{base}/sse");
        Self {
            sse,
            messages: format!("{base}/messages"),
            mcp: mcp.to_owned(),
        }
    }
}

/// Why a head is refused. Each has its own audit code and status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("header `{0}` appears more than once")]
    DuplicateHeader(String),
    #[error("both Content-Length and Transfer-Encoding")]
    TwoFramings,
    #[error("Host `{0}` is not a name of this gateway")]
    Host(String),
    #[error("Origin `{0}` may not use this gateway")]
    Origin(String),
    #[error("a token in the query string; send it as `Authorization: Bearer`")]
    TokenInQuery,
    #[error("connection upgrades are not offered")]
    Upgrade,
    #[error("nothing is served at this path")]
    Path,
    #[error("method `{0}` is not served at this path")]
    Method(Method),
    #[error("content type `{0}` is not `application/json`")]
    ContentType(String),
    #[error("content encoding `{0}` is not accepted; send the body as it is")]
    Encoding(String),
    #[error("header `{0}` holds bytes outside visible ASCII")]
    HeaderBytes(String),
}

impl HeadError {
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::DuplicateHeader(_)
            | Self::TwoFramings
            | Self::TokenInQuery
            | Self::Upgrade
            | Self::HeaderBytes(_) => StatusCode::BAD_REQUEST,
            // One answer to both halves of a DNS rebinding: pages do not read more into one than into the other.
            Self::Host(_) | Self::Origin(_) => StatusCode::FORBIDDEN,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType(_) | Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// The stable code of the audit record.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::DuplicateHeader(_) => "duplicate_header",
            Self::TwoFramings => "two_framings",
            Self::Host(_) => "bad_host",
            Self::Origin(_) => "bad_origin",
            Self::TokenInQuery => "token_in_query",
            Self::Upgrade => "upgrade",
            Self::Path => "unknown_path",
            Self::Method(_) => "http_method",
            Self::ContentType(_) => "content_type",
            Self::Encoding(_) => "content_encoding",
            Self::HeaderBytes(_) => "header_bytes",
        }
    }
}

/// Checks everything that the head alone can tell and says where the request goes.
pub fn check(
    parts: &Parts,
    names: &Names,
    paths: &Paths,
    resources: &Resources,
) -> Result<Route, HeadError> {
    single_values(&parts.headers)?;
    if parts.headers.contains_key(CONTENT_LENGTH) && parts.headers.contains_key(TRANSFER_ENCODING) {
        return Err(HeadError::TwoFramings);
    }
    if parts.headers.contains_key(UPGRADE) || parts.method == Method::CONNECT {
        return Err(HeadError::Upgrade);
    }
    host(parts, names)?;
    origin(&parts.headers, names)?;
    if query_has(&parts.uri, "access_token") {
        return Err(HeadError::TokenInQuery);
    }
    let route = route(&parts.uri, paths, resources)?;
    method(&parts.method, &route)?;
    if parts.method == Method::POST {
        content(&parts.headers)?;
    }
    Ok(route)
}

/// One value for each header that anybody acts on; a second one is how two stacks come to differ (trap 17).
fn single_values(headers: &HeaderMap) -> Result<(), HeadError> {
    for name in headers.keys() {
        let watched =
            SINGLE.contains(name) || name.as_str().starts_with("mcp-") || name == "last-event-id";
        if !watched {
            continue;
        }
        let mut values = headers.get_all(name).iter();
        let first = values.next();
        if values.next().is_some() {
            return Err(HeadError::DuplicateHeader(name.to_string()));
        }
        if first.is_some_and(|value| value.to_str().is_err()) {
            return Err(HeadError::HeaderBytes(name.to_string()));
        }
    }
    Ok(())
}

fn host(parts: &Parts, names: &Names) -> Result<(), HeadError> {
    // HTTP/2 carries the authority in the URI, HTTP/1.1 in the header; where both are present they must agree.
    let header = host_header(parts);
    if let (Some(header), Some(authority)) = (header, parts.uri.authority())
        && !header.eq_ignore_ascii_case(authority.as_str())
    {
        return Err(HeadError::Host(shown(header)));
    }
    let Some(given) = authority(parts) else {
        return Err(HeadError::Host(String::new()));
    };
    let (name, port) = split_port(given);
    // What only looks like a port may be a host to another reader: `localhost:@evil.example.com`.
    let plain = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    if plain && names.hosts.contains(&name.to_ascii_lowercase()) {
        Ok(())
    } else {
        Err(HeadError::Host(shown(given)))
    }
}

fn host_header(parts: &Parts) -> Option<&str> {
    parts.headers.get(HOST)?.to_str().ok()
}

/// The name and port under which the caller addresses the gateway.
pub(super) fn authority(parts: &Parts) -> Option<&str> {
    let stated = parts.uri.authority().map(http::uri::Authority::as_str);
    host_header(parts).or(stated)
}

/// Whether a page of this origin may use the gateway; programs send none.
pub(super) fn origin(headers: &HeaderMap, names: &Names) -> Result<(), HeadError> {
    let Some(origin) = headers.get(ORIGIN).and_then(|value| value.to_str().ok()) else {
        return Ok(()); // programs send none
    };
    if names.origins.contains(&origin.to_ascii_lowercase()) || loopback_origin(origin, names) {
        return Ok(());
    }
    Err(HeadError::Origin(shown(origin)))
}

/// A page from this very machine may use a gateway that answers for loopback names, on whatever port it runs.
fn loopback_origin(origin: &str, names: &Names) -> bool {
    let Some(rest) = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
    else {
        return false;
    };
    let (host, port) = split_port(rest);
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return false;
    }
    let host = host.to_ascii_lowercase();
    let loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    loopback && names.hosts.contains(&host)
}

fn route(uri: &Uri, paths: &Paths, resources: &Resources) -> Result<Route, HeadError> {
    let path = uri.path();
    if path == paths.mcp {
        return Ok(Route::Mcp);
    }
    if path == paths.sse {
        return Ok(Route::SseStream);
    }
    if path == paths.messages {
        let session = query_value(uri, "sessionId").unwrap_or_default();
        return Ok(Route::SseMessages { session });
    }
    match path.strip_prefix(METADATA_PREFIX) {
        Some(rest) if rest.is_empty() || rest == paths.mcp || rest == "/" => Ok(Route::Metadata),
        // Behind a proxy that changes paths, clients look where the public URL's metadata would be.
        Some(_) if resources.serves_metadata_at(path) => Ok(Route::Metadata),
        Some(_) | None => Err(HeadError::Path),
    }
}

fn method(method: &Method, route: &Route) -> Result<(), HeadError> {
    let served = match route {
        Route::Mcp => [Method::POST, Method::GET, Method::DELETE, Method::OPTIONS].contains(method),
        Route::SseStream => [Method::GET, Method::OPTIONS].contains(method),
        Route::SseMessages { .. } => [Method::POST, Method::OPTIONS].contains(method),
        Route::Metadata => [Method::GET, Method::HEAD, Method::OPTIONS].contains(method),
    };
    if served {
        Ok(())
    } else {
        Err(HeadError::Method(method.clone()))
    }
}

fn content(headers: &HeaderMap) -> Result<(), HeadError> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        return Err(HeadError::ContentType(shown(given)));
    }
    match headers
        .get(CONTENT_ENCODING)
        .and_then(|value| value.to_str().ok())
    {
        Some(encoding) if !encoding.eq_ignore_ascii_case("identity") => {
            Err(HeadError::Encoding(shown(encoding)))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether the client can take server-sent events.
#[must_use]
pub fn accepts_events(headers: &HeaderMap) -> bool {
    accepts(headers, "text/event-stream", "text/*")
}

/// Whether the client can take a JSON body; one that says nothing can.
#[must_use]
pub fn accepts_json(headers: &HeaderMap) -> bool {
    !headers.contains_key(ACCEPT) || accepts(headers, "application/json", "application/*")
}

fn accepts(headers: &HeaderMap, media: &str, family: &str) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            range.eq_ignore_ascii_case(media)
                || range.eq_ignore_ascii_case(family)
                || range == "*/*"
        })
}

/// Headers that a server may see of its caller (law 12): MCP's, content's, trace context, and `forward`.
///
/// Mirrored routing headers mean something in the newest revision only, where they were checked against the body;
/// in the legacy ones they are dropped.
#[must_use]
pub fn allowed(headers: &HeaderMap, modern: bool, forward: &[HeaderName]) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, value) in headers {
        let text = name.as_str();
        let mirrored = text == "mcp-method" || text == "mcp-name" || text.starts_with("mcp-param-");
        let always = [
            "accept",
            "mcp-protocol-version",
            "traceparent",
            "tracestate",
            "baggage",
        ]
        .contains(&text);
        let legacy = ["mcp-session-id", "last-event-id"].contains(&text);
        if always || (modern && mirrored) || (!modern && legacy) || forward.contains(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

fn query_has(uri: &Uri, key: &str) -> bool {
    query_value(uri, key).is_some()
}

fn query_value(uri: &Uri, key: &str) -> Option<String> {
    let query = uri.query()?;
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name) == key.as_bytes()).then(|| value.to_owned())
    })
}

/// A name as whoever reads the query sees it: `access%5Ftoken` is no other name.
fn decoded(name: &str) -> Vec<u8> {
    let mut bytes = name.bytes();
    let mut decoded = Vec::with_capacity(name.len());
    while let Some(byte) = bytes.next() {
        let digits = [bytes.clone().next(), bytes.clone().nth(1)].map(|digit| hex_value(digit?));
        if let (b'%', [Some(high), Some(low)]) = (byte, digits) {
            bytes.nth(1);
            decoded.push(high * 16 + low);
        } else {
            decoded.push(byte);
        }
    }
    decoded
}

fn hex_value(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

/// Host and port, where there is a colon before one.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // A colon inside brackets belongs to an IPv6 address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}

/// A caller's text for an error message: short and printable.
fn shown(text: &str) -> String {
    text.chars()
        .take(80)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            hosts: vec![
                "localhost".into(),
                "127.0.0.1".into(),
                "[::1]".into(),
                "inventory.example.com".into(),
            ],
            origins: vec!["https://inventory.example.com".into()],
        }
    }

    fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn verdict(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Route, HeadError> {
        let parts = head(method, uri, headers);
        let resources = Resources::default();
        check(&parts, &names(), &Paths::beside("/mcp"), &resources)
    }

    const JSON: (&str, &str) = ("content-type", "application/json");

    /// Name, method, URI, headers, and the route or the code of the refusal.
    type Row = (
        &'static str,
        &'static str,
        &'static str,
        Vec<(&'static str, &'static str)>,
        Result<Route, &'static str>,
    );

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table of named rows")]
    fn heads_are_judged_by_this_table() {
        let host = ("host", "localhost:8080");
        let rows: Vec<Row> = vec![
            (
                "plain post",
                "POST",
                "/mcp",
                vec![host, JSON],
                Ok(Route::Mcp),
            ),
            (
                "charset parameter",
                "POST",
                "/mcp",
                vec![host, ("content-type", "Application/JSON; charset=utf-8")],
                Ok(Route::Mcp),
            ),
            (
                "foreign host",
                "POST",
                "/mcp",
                vec![("host", "evil.example.com"), JSON],
                Err("bad_host"),
            ),
            ("no host", "POST", "/mcp", vec![JSON], Err("bad_host")),
            (
                "a host in the place of the port",
                "POST",
                "/mcp",
                vec![("host", "localhost:@evil.example.com"), JSON],
                Err("bad_host"),
            ),
            (
                "an origin with a host in the place of the port",
                "POST",
                "/mcp",
                vec![
                    host,
                    JSON,
                    ("origin", "http://localhost:80@evil.example.com"),
                ],
                Err("bad_origin"),
            ),
            (
                "a token in the query under an escaped name",
                "POST",
                "/mcp?a=%zz&access%5Ftoken=t",
                vec![host, JSON],
                Err("token_in_query"),
            ),
            (
                "IPv6 host",
                "POST",
                "/mcp",
                vec![("host", "[::1]:8080"), JSON],
                Ok(Route::Mcp),
            ),
            (
                "foreign origin",
                "POST",
                "/mcp",
                vec![host, JSON, ("origin", "https://evil.example.com")],
                Err("bad_origin"),
            ),
            (
                "null origin",
                "POST",
                "/mcp",
                vec![host, JSON, ("origin", "null")],
                Err("bad_origin"),
            ),
            (
                "own origin",
                "POST",
                "/mcp",
                vec![host, JSON, ("origin", "https://inventory.example.com")],
                Ok(Route::Mcp),
            ),
            (
                "local origin",
                "POST",
                "/mcp",
                vec![host, JSON, ("origin", "http://localhost:6274")],
                Ok(Route::Mcp),
            ),
            (
                "suffix trick",
                "POST",
                "/mcp",
                vec![host, JSON, ("origin", "http://localhost.evil.com")],
                Err("bad_origin"),
            ),
            (
                "two sessions",
                "POST",
                "/mcp",
                vec![host, JSON, ("mcp-session-id", "a"), ("mcp-session-id", "b")],
                Err("duplicate_header"),
            ),
            (
                "two methods",
                "POST",
                "/mcp",
                vec![host, JSON, ("mcp-method", "a"), ("mcp-method", "a")],
                Err("duplicate_header"),
            ),
            (
                "two tokens",
                "POST",
                "/mcp",
                vec![host, JSON, ("authorization", "a"), ("authorization", "b")],
                Err("duplicate_header"),
            ),
            (
                "both framings",
                "POST",
                "/mcp",
                vec![
                    host,
                    JSON,
                    ("content-length", "3"),
                    ("transfer-encoding", "chunked"),
                ],
                Err("two_framings"),
            ),
            (
                "token in query",
                "POST",
                "/mcp?access_token=x",
                vec![host, JSON],
                Err("token_in_query"),
            ),
            (
                "form body",
                "POST",
                "/mcp",
                vec![host, ("content-type", "text/plain")],
                Err("content_type"),
            ),
            (
                "no content type",
                "POST",
                "/mcp",
                vec![host],
                Err("content_type"),
            ),
            (
                "compressed body",
                "POST",
                "/mcp",
                vec![host, JSON, ("content-encoding", "gzip")],
                Err("content_encoding"),
            ),
            (
                "other path",
                "GET",
                "/metrics",
                vec![host],
                Err("unknown_path"),
            ),
            (
                "path with dots",
                "GET",
                "/mcp/../admin",
                vec![host],
                Err("unknown_path"),
            ),
            ("trace", "TRACE", "/mcp", vec![host], Err("http_method")),
            (
                "websocket",
                "GET",
                "/mcp",
                vec![host, ("upgrade", "websocket")],
                Err("upgrade"),
            ),
            (
                "metadata",
                "GET",
                "/.well-known/oauth-protected-resource/mcp",
                vec![host],
                Ok(Route::Metadata),
            ),
            (
                "root metadata",
                "GET",
                "/.well-known/oauth-protected-resource",
                vec![host],
                Ok(Route::Metadata),
            ),
            (
                "old transport",
                "GET",
                "/sse",
                vec![host],
                Ok(Route::SseStream),
            ),
            (
                "its posts",
                "POST",
                "/messages?sessionId=ab",
                vec![host, JSON],
                Ok(Route::SseMessages {
                    session: "ab".into(),
                }),
            ),
        ];
        for (name, method, uri, headers, expected) in rows {
            let got = verdict(method, uri, &headers);
            assert_eq!(
                got.as_ref().map_err(HeadError::code),
                expected.as_ref().map_err(|code| *code),
                "{name}"
            );
        }
    }

    #[test]
    fn accept_is_read_by_media_range() {
        let mut headers = HeaderMap::new();
        assert!(accepts_json(&headers) && !accepts_events(&headers));
        headers.insert(
            ACCEPT,
            "application/json, text/event-stream;q=0.5".parse().unwrap(),
        );
        assert!(accepts_json(&headers) && accepts_events(&headers));
        headers.insert(ACCEPT, "text/event-stream".parse().unwrap());
        assert!(!accepts_json(&headers) && accepts_events(&headers));
    }
}
