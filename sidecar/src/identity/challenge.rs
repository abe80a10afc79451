//! What a client without sufficient credentials hears: `WWW-Authenticate` (RFC 6750, RFC 9728 section 5.1) and the
//! protected resource metadata document (RFC 9728 section 3.2).
//!
//! A 403 carries a challenge for missing scopes only: real clients take any other for a step-up and repeat the call.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, Uri};
use serde::Serialize;

use super::error::TokenError;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The gateway as an OAuth resource: one public URL and what a client must know to get a token for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedResource {
    resource: String,
    metadata_url: String,
    metadata_path: String,
    scopes: Vec<String>,
    document: Bytes,
}

/// What the metadata document says beside the resource itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceFacts {
    /// The issuers that tokens may come from, first preference first.
    pub authorization_servers: Vec<String>,
    /// The few scopes that everybody needs, not all there are: clients ask for every one of them.
    pub scopes: Vec<String>,
    pub name: Option<String>,
    pub documentation: Option<String>,
}

/// A `publicUrl` that cannot be a resource identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is not a resource identifier: {why}")]
pub struct NotAResource {
    url: String,
    why: &'static str,
}

#[derive(Serialize)]
struct Document<'a> {
    resource: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    authorization_servers: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    scopes_supported: &'a [String],
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<&'a str>,
}

impl ProtectedResource {
    /// `url` is `publicUrl` or one of `additionalUrls`; it never comes from a request.
    pub fn new(url: &str, facts: &ResourceFacts) -> Result<Self, NotAResource> {
        let (origin, path) = origin_and_path(url)?;
        let metadata_path = format!("{WELL_KNOWN}{path}");
        let scopes = demanded(&facts.scopes);
        let document = Document {
            resource: url,
            authorization_servers: &facts.authorization_servers,
            scopes_supported: &scopes,
            bearer_methods_supported: ["header"],
            resource_name: facts.name.as_deref(),
            resource_documentation: facts.documentation.as_deref(),
        };
        let document = serde_json::to_vec(&document).map_err(|_| NotAResource {
            url: url.to_owned(),
            why: "its metadata cannot be written",
        })?;
        Ok(Self {
            resource: url.to_owned(),
            metadata_url: format!("{origin}{metadata_path}"),
            metadata_path,
            scopes,
            document: document.into(),
        })
    }

    /// The resource identifier (RFC 8707), which is also the default audience.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Where clients find the document, as they see it from outside.
    #[must_use]
    pub fn metadata_url(&self) -> &str {
        &self.metadata_url
    }

    /// Whether a request for `path` is for this document: the path-inserted place, and the root as a second try.
    #[must_use]
    pub fn serves_metadata_at(&self, path: &str) -> bool {
        path == self.metadata_path || path == WELL_KNOWN
    }

    /// The document, `application/json`; to be served to anyone by GET and HEAD with any origin allowed.
    #[must_use]
    pub fn metadata(&self) -> Bytes {
        self.document.clone()
    }

    /// The answer to a request without good credentials: 401, or 400 where the request contradicts itself.
    #[must_use]
    pub fn unauthorized(&self, error: &TokenError) -> Challenge {
        let mut parts = Parts::default();
        if let Some(code) = error.oauth_error() {
            parts.push("error", code);
            parts.push("error_description", &error.description());
        }
        parts.push_scopes(&self.scopes);
        parts.push("resource_metadata", &self.metadata_url);
        parts.challenge(error.status())
    }

    /// The step-up answer to a call whose token lacks scopes: 403 with *all* scopes that the call needs.
    #[must_use]
    pub fn insufficient_scope(&self, scopes: &[String]) -> Challenge {
        let mut parts = Parts::default();
        parts.push("error", "insufficient_scope");
        parts.push(
            "error_description",
            "the token lacks a scope that this call needs",
        );
        parts.push_scopes(&demanded(scopes));
        parts.push("resource_metadata", &self.metadata_url);
        parts.challenge(StatusCode::FORBIDDEN)
    }
}

/// A status and the value of its `WWW-Authenticate` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub status: StatusCode,
    pub www_authenticate: HeaderValue,
}

impl Challenge {
    /// The answer of a gateway without `publicUrl`: there is no metadata to point at.
    #[must_use]
    pub fn without_resource(error: &TokenError) -> Self {
        let mut parts = Parts::default();
        if let Some(code) = error.oauth_error() {
            parts.push("error", code);
            parts.push("error_description", &error.description());
        }
        parts.challenge(error.status())
    }
}

/// The parameters of one challenge, in the order in which they are written.
#[derive(Default)]
struct Parts(String);

impl Parts {
    fn push(&mut self, name: &str, value: &str) {
        let separator = if self.0.is_empty() { " " } else { ", " };
        self.0.push_str(separator);
        self.0.push_str(name);
        self.0.push_str("=\"");
        self.0.push_str(&quotable(value));
        self.0.push('"');
    }

    fn push_scopes(&mut self, scopes: &[String]) {
        if !scopes.is_empty() {
            self.push("scope", &scopes.join(" "));
        }
    }

    fn challenge(self, status: StatusCode) -> Challenge {
        let value = HeaderValue::try_from(format!("Bearer{}", self.0));
        Challenge {
            status,
            // `quotable` leaves nothing that a header value refuses, so the plain scheme is never needed.
            www_authenticate: value.unwrap_or(HeaderValue::from_static("Bearer")),
        }
    }
}

/// `offline_access` is the client's own affair and never demanded by a resource.
fn demanded(scopes: &[String]) -> Vec<String> {
    let wanted = scopes.iter().filter(|scope| *scope != "offline_access");
    wanted.cloned().collect()
}

/// Replaces what RFC 6750 section 3 does not allow in a value, so that no claim can end the quotes or the header.
fn quotable(value: &str) -> Cow<'_, str> {
    let allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
    if value.chars().all(allowed) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(
        value
            .chars()
            .map(|c| if allowed(c) { c } else { '?' })
            .collect(),
    )
}

/// Scheme and authority of a resource URL, and its path as RFC 9728 section 3.1 inserts it: a lone `/` counts as none.
fn origin_and_path(url: &str) -> Result<(String, &str), NotAResource> {
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
    Ok((origin, path.strip_suffix('/').unwrap_or(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::error::KeysError;

    fn resource(url: &str) -> ProtectedResource {
        let facts = ResourceFacts {
            authorization_servers: vec!["https://idp.example.com/realms/x".to_owned()],
            scopes: vec!["mcp:tools.basic".to_owned(), "offline_access".to_owned()],
            name: Some("Inventory".to_owned()),
            documentation: None,
        };
        ProtectedResource::new(url, &facts).unwrap()
    }

    fn text(challenge: &Challenge) -> &str {
        challenge.www_authenticate.to_str().unwrap()
    }

    #[test]
    fn the_metadata_document_stands_where_rfc_9728_puts_it() {
        let rows = [
            (
                "with a path",
                "https://h.example/public/mcp",
                "https://h.example/.well-known/oauth-protected-resource/public/mcp",
            ),
            (
                "without a path",
                "https://h.example",
                "https://h.example/.well-known/oauth-protected-resource",
            ),
            (
                "a lone slash is no path",
                "https://h.example/",
                "https://h.example/.well-known/oauth-protected-resource",
            ),
            (
                "a port stays",
                "http://127.0.0.1:8080/mcp",
                "http://127.0.0.1:8080/.well-known/oauth-protected-resource/mcp",
            ),
        ];
        for (name, url, expected) in rows {
            assert_eq!(resource(url).metadata_url(), expected, "{name}");
        }
        let resource = resource("https://h.example/public/mcp");
        assert!(resource.serves_metadata_at("/.well-known/oauth-protected-resource/public/mcp"));
        assert!(resource.serves_metadata_at("/.well-known/oauth-protected-resource"));
        assert!(!resource.serves_metadata_at("/.well-known/oauth-protected-resource/other"));
    }

    #[test]
    fn the_metadata_document_names_the_resource_and_its_issuers() {
        let document = resource("https://h.example/mcp").metadata();
        assert_eq!(
            document,
            concat!(
                r#"{"resource":"https://h.example/mcp","#,
                r#""authorization_servers":["https://idp.example.com/realms/x"],"#,
                r#""scopes_supported":["mcp:tools.basic"],"#,
                r#""bearer_methods_supported":["header"],"resource_name":"Inventory"}"#
            )
        );
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
            assert!(
                ProtectedResource::new(url, &ResourceFacts::default()).is_err(),
                "`{url}`"
            );
        }
    }

    #[test]
    fn without_a_token_the_challenge_names_no_error() {
        let challenge = resource("https://h.example/mcp").unauthorized(&TokenError::Missing);
        assert_eq!(challenge.status, 401);
        assert_eq!(
            text(&challenge),
            concat!(
                r#"Bearer scope="mcp:tools.basic", "#,
                r#"resource_metadata="https://h.example/.well-known/oauth-protected-resource/mcp""#
            )
        );
    }

    #[test]
    fn with_a_bad_token_the_challenge_says_what_is_wrong() {
        let challenge = resource("https://h.example/mcp").unauthorized(&TokenError::Expired);
        assert_eq!(challenge.status, 401);
        assert!(text(&challenge).starts_with(
            r#"Bearer error="invalid_token", error_description="the token has expired", "#
        ));
        let plain = Challenge::without_resource(&TokenError::Missing);
        assert_eq!(text(&plain), "Bearer");
    }

    #[test]
    fn what_failed_inside_is_not_told_to_callers() {
        let inside = KeysError::Fetch("`https://10.0.0.7/keys` could not be reached".to_owned());
        let challenge = resource("https://h.example/mcp").unauthorized(&TokenError::Keys(inside));
        assert_eq!(challenge.status, 401);
        assert!(
            text(&challenge).contains("not available") && !text(&challenge).contains("10.0.0.7")
        );
    }

    #[test]
    fn a_step_up_names_every_scope_at_once() {
        let scopes = ["customers.read".to_owned(), "customers.write".to_owned()];
        let challenge = resource("https://h.example/mcp").insufficient_scope(&scopes);
        assert_eq!(challenge.status, 403);
        assert!(text(&challenge).contains(r#"error="insufficient_scope""#));
        assert!(text(&challenge).contains(r#"scope="customers.read customers.write""#));
    }

    #[test]
    fn no_claim_can_end_the_quotes_of_a_challenge() {
        let error = TokenError::Type("x\", error=\"none\r\nSet-Cookie: a=b\\".to_owned());
        let challenge = resource("https://h.example/mcp").unauthorized(&error);
        assert_eq!(text(&challenge).matches('"').count(), 8);
        assert!(!text(&challenge).contains(['\r', '\n', '\\']));
    }
}
