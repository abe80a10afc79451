//! What a client without sufficient credentials hears: `WWW-Authenticate` (RFC 6750, RFC 9728 section 5.1) and the
//! protected resource metadata document (RFC 9728 section 3.2).
//!
//! A 403 carries a challenge for missing scopes only: real clients take any other for a step-up and repeat the call.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use sallyport_policy::endpoint::{NotAResource, ResourceUrl};
use serde::Serialize;

use super::error::TokenError;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The gateway as an OAuth resource: one public URL and what a client must know to get a token for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedResource {
    url: ResourceUrl,
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
        let parsed = ResourceUrl::parse(url)?;
        let metadata_path = format!("{WELL_KNOWN}{}", parsed.path());
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
            metadata_url: format!("{}{metadata_path}", parsed.origin()),
            url: parsed,
            metadata_path,
            scopes,
            document: document.into(),
        })
    }

    /// The resource identifier (RFC 8707), which is also the default audience.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.url.as_str()
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

    /// Whether a Host names it; a port that the URL leaves out may be said all the same.
    fn is_at(&self, authority: &str) -> bool {
        let own = self.url.authority();
        let given = authority.to_ascii_lowercase();
        let given = given
            .strip_suffix(":443")
            .or_else(|| given.strip_suffix(":80"))
            .unwrap_or(&given);
        own == given || own.strip_suffix(":443").or_else(|| own.strip_suffix(":80")) == Some(given)
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

/// Every URL of one gateway as an OAuth resource, each with its own metadata (RFC 9728); the first is the public one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources(Vec<Arc<ProtectedResource>>);

impl Resources {
    pub fn new<'u>(
        urls: impl IntoIterator<Item = &'u str>,
        facts: &ResourceFacts,
    ) -> Result<Self, NotAResource> {
        let read = |url| ProtectedResource::new(url, facts).map(Arc::new);
        urls.into_iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether metadata of any of them stands at this path.
    #[must_use]
    pub fn serves_metadata_at(&self, path: &str) -> bool {
        self.0
            .iter()
            .any(|resource| resource.serves_metadata_at(path))
    }

    /// The one that a request means. The caller's Host only chooses among what was configured, and whoever names none
    /// of it means the public URL: its place is told to callers of any other name, never one made from their words.
    #[must_use]
    pub fn asked(&self, authority: Option<&str>, path: &str) -> Option<&Arc<ProtectedResource>> {
        let here = |resource: &&Arc<ProtectedResource>| {
            authority.is_some_and(|authority| resource.is_at(authority))
        };
        let fits = |resource: &&Arc<ProtectedResource>| {
            resource.url.path() == path || resource.metadata_path == path
        };
        let mut named = self.0.iter().filter(here);
        let first = named.clone().next();
        named
            .find(fits)
            .or(first)
            .or_else(|| {
                self.0
                    .iter()
                    .find(|resource| resource.metadata_path == path)
            })
            .or(self.0.first())
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
    fn each_url_of_a_gateway_is_a_resource_of_its_own_and_the_host_chooses_among_them_only() {
        let urls = [
            "https://a.example/mcp",
            "https://b.example/x/mcp",
            "https://b.example/y/mcp",
            "https://c.example:8443/mcp",
        ];
        let resources = Resources::new(urls, &ResourceFacts::default()).unwrap();
        let rows = [
            (Some("a.example"), "/mcp", urls[0]),
            (Some("A.example:443"), "/mcp", urls[0]),
            (Some("b.example"), "/y/mcp", urls[2]),
            (Some("b.example"), "/mcp", urls[1]),
            (Some("c.example:8443"), "/mcp", urls[3]),
            (Some("127.0.0.1:9000"), "/mcp", urls[0]),
            (None, "/mcp", urls[0]),
            (
                Some("b.example"),
                "/.well-known/oauth-protected-resource/y/mcp",
                urls[2],
            ),
            (
                Some("127.0.0.1:9000"),
                "/.well-known/oauth-protected-resource/x/mcp",
                urls[1],
            ),
        ];
        for (host, path, expected) in rows {
            let asked = resources.asked(host, path).unwrap();
            assert_eq!(asked.resource(), expected, "{host:?} {path}");
        }
        assert!(
            Resources::default()
                .asked(Some("a.example"), "/mcp")
                .is_none()
        );
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
