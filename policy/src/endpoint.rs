//! What a gateway says about HTTP, read once: the URLs that name it as an OAuth resource, and the caller's headers
//! that its server may see. The compiler refuses by these readers and the sidecar obeys by them, so nothing that was
//! accepted can be refused later.

use http::{HeaderName, Uri};

/// One URL of a gateway as an OAuth resource identifier (RFC 8707, RFC 9728 section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceUrl {
    url: String,
    origin: String,
    authority: String,
    path: String,
}

/// A URL that cannot be a resource identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is not a resource identifier: {why}")]
pub struct NotAResource {
    pub url: String,
    pub why: &'static str,
}

impl ResourceUrl {
    pub fn parse(url: &str) -> Result<Self, NotAResource> {
        let wrong = |why| NotAResource {
            url: url.to_owned(),
            why,
        };
        if url.contains('#') {
            return Err(wrong("it has a fragment"));
        }
        let parsed: Uri = url.parse().map_err(|_| wrong("it is not a URL"))?;
        let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else {
            return Err(wrong("it is not absolute"));
        };
        if !matches!(scheme, "https" | "http") {
            return Err(wrong("its scheme is neither https nor http"));
        }
        if authority.as_str().contains('@') {
            return Err(wrong("it carries credentials"));
        }
        if parsed.query().is_some() {
            return Err(wrong("it has a query"));
        }
        let origin = format!("{scheme}://{authority}");
        let path = url.get(origin.len()..).unwrap_or_default();
        Ok(Self {
            url: url.to_owned(),
            authority: authority.as_str().to_ascii_lowercase(),
            path: path.strip_suffix('/').unwrap_or(path).to_owned(),
            origin,
        })
    }

    /// As it was written: what tokens name as their audience.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Scheme and authority.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Host and, where it is given, port; lower case.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// A lone `/` counts as none.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// A name that `forwardHeaders` cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotForwarded {
    #[error("`{0}` is not a header name")]
    Name(String),
    #[error("`{0}` carries what a caller proves itself by, which no server ever sees")]
    Credential(String),
    #[error("`{0}` belongs to HTTP or MCP itself, and is set by the guard")]
    Ours(String),
}

/// Headers by which callers prove themselves (law 12).
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];
/// Headers that say how a message is framed, routed or read: the guard's own business on each side.
const OURS: [&str; 16] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "origin",
];

/// A header of the caller that the server may see beyond MCP's own.
pub fn forwarded_header(name: &str) -> Result<HeaderName, NotForwarded> {
    let header = HeaderName::try_from(name).map_err(|_| NotForwarded::Name(name.to_owned()))?;
    if CREDENTIALS.contains(&header.as_str()) {
        return Err(NotForwarded::Credential(name.to_owned()));
    }
    if OURS.contains(&header.as_str()) || header.as_str().starts_with("mcp-") {
        return Err(NotForwarded::Ours(name.to_owned()));
    }
    Ok(header)
}

/// Whether every server reads a path alike: no escapes, dot segments, backslashes, parameters or doubled slashes.
#[must_use]
pub fn is_plain_path(path: &str) -> bool {
    let odd = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'%' | b'\\' | b';' | b'#');
    let dots = || path.split('/').any(|part| part == "." || part == "..");
    path.starts_with('/') && !path.bytes().any(odd) && !path.contains("//") && !dots()
}

/// Whether a plain path is an endpoint or below it. Servers differ in case and in the slash at the end.
#[must_use]
pub fn is_within(path: &str, endpoint: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let endpoint = endpoint.trim_end_matches('/').to_ascii_lowercase();
    if endpoint.is_empty() {
        return path == "/";
    }
    path.strip_prefix(&endpoint)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_12_no_credential_and_no_header_of_the_protocol_can_be_forwarded() {
        for name in ["X-Tenant", "x-request-id", "user-agent", "accept-language"] {
            assert!(forwarded_header(name).is_ok(), "{name}");
        }
        for name in ["Authorization", "cookie", "Proxy-Authorization"] {
            assert_eq!(
                forwarded_header(name),
                Err(NotForwarded::Credential(name.to_owned()))
            );
        }
        for name in [
            "Host",
            "Mcp-Param-Region",
            "transfer-encoding",
            "Content-Type",
        ] {
            assert_eq!(
                forwarded_header(name),
                Err(NotForwarded::Ours(name.to_owned()))
            );
        }
        for name in ["", "a b", "x:y", "naïve"] {
            assert_eq!(
                forwarded_header(name),
                Err(NotForwarded::Name(name.to_owned()))
            );
        }
    }

    #[test]
    fn what_cannot_be_a_resource_is_refused() {
        for url in [
            "/mcp",
            "h.example/mcp",
            "ftp://h/mcp",
            "https://h/mcp#x",
            "https://h/mcp?a=b",
            "https://u:p@h/mcp",
            "",
        ] {
            assert!(ResourceUrl::parse(url).is_err(), "`{url}`");
        }
        let url = ResourceUrl::parse("https://H.example:8443/a/mcp/").unwrap();
        assert_eq!(
            (url.authority(), url.path(), url.origin()),
            ("h.example:8443", "/a/mcp", "https://H.example:8443")
        );
    }
}
