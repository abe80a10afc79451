//! What is known of the conversation, and the headers that follow from it: a session in the legacy revisions, the
//! mirror of the body in 2026-07-28.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use sallyport_policy::json::{Document, Kind, Node};
use sallyport_policy::mcp::call::{Call, Target};
use sallyport_policy::mcp::era::META_VERSION;
use sallyport_policy::mcp::header_schema::{ParamHeader, declared};
use sallyport_policy::mcp::headers::{self, encode, name_of, params_for};
use sallyport_policy::mcp::{Body, Direction, Message, Revision};

use super::error::Trouble;

/// What a legacy `initialize` agreed on.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// None where the server keeps none.
    pub(super) id: Option<HeaderValue>,
    pub(super) version: HeaderValue,
}

/// What has been said so far, as far as headers depend on it.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) session: Option<Session>,
    /// The client's `initialize`, to say it again when the server has lost the session.
    pub(super) hello: Option<Bytes>,
    /// The revision that modern requests named last.
    modern: Option<String>,
    /// Mirrored arguments by tool, from the server's lists.
    tools: BTreeMap<String, Vec<ParamHeader>>,
}

/// The revision that a message names in its `_meta`: it is of the newest era then.
pub(super) fn modern_version(message: &Message<'_>) -> Option<String> {
    let version = message.meta()?.get(META_VERSION)?.as_str()?;
    Some(version.into_owned())
}

impl Known {
    /// The headers that go with a message.
    pub(super) fn headers(&mut self, document: &Document) -> Result<HeaderMap, Trouble> {
        let message = match Body::parse(document) {
            Ok(Body::One(message)) => message,
            Ok(Body::Batch(_)) => return Ok(self.legacy()),
            Err(error) => return Err(Trouble::Unsendable(error.to_string())),
        };
        if let Some(version) = modern_version(&message) {
            self.modern = Some(version.clone());
            return self.mirrored(&version, &message);
        }
        match (&self.session, &self.modern) {
            (None, Some(version)) if matches!(message, Message::Notification(_)) => {
                self.mirrored(version, &message)
            }
            (None, _) => Ok(HeaderMap::new()),
            (Some(_), _) if message.method() == Some("initialize") => Ok(HeaderMap::new()),
            (Some(_), _) => Ok(self.legacy()),
        }
    }

    /// The headers of a legacy session.
    pub(super) fn legacy(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        if let Some(session) = &self.session {
            map.insert(headers::VERSION, session.version.clone());
            if let Some(id) = &session.id {
                map.insert(headers::SESSION, id.clone());
            }
        }
        map
    }

    fn mirrored(&self, version: &str, message: &Message<'_>) -> Result<HeaderMap, Trouble> {
        let mut map = HeaderMap::new();
        map.insert(headers::VERSION, value(version)?);
        if let Some(method) = message.method() {
            map.insert(headers::METHOD, value(method)?);
        }
        let revision = Revision::parse(version).unwrap_or(Revision::NEWEST);
        // What is no proper call the guard refuses, and says why.
        let Ok(call) = Call::of(message, Direction::ToServer, revision) else {
            return Ok(map);
        };
        if let Some(name) = name_of(&call) {
            map.insert(headers::NAME, value(&encode(name))?);
        }
        if let Target::Tool { name, arguments } = &call.target
            && let Some(declared) = self.tools.get(name.as_ref())
        {
            for (name, text) in params_for(declared, *arguments) {
                let name = name
                    .parse::<HeaderName>()
                    .map_err(|error| Trouble::Unsendable(error.to_string()))?;
                map.insert(name, value(&text)?);
            }
        }
        Ok(map)
    }

    /// Whether the server has listed this tool.
    pub(super) fn knows_tool(&self, name: &str) -> bool {
        self.tools.contains_key(name)
    }

    /// Remembers which arguments a page of `tools/list` wants mirrored.
    pub(super) fn learn_tools(&mut self, result: Node<'_>) {
        let Some(tools) = result
            .get("tools")
            .filter(|tools| tools.kind() == Kind::Array)
        else {
            return;
        };
        for tool in tools.elements() {
            let Some(name) = tool.get("name").and_then(Node::as_str) else {
                continue;
            };
            // A schema that breaks the rules mirrors nothing; the guard says what it thinks of it.
            let mirrored = tool
                .get("inputSchema")
                .and_then(|schema| declared(schema).ok())
                .unwrap_or_default();
            self.tools.insert(name.into_owned(), mirrored);
        }
    }

    /// Remembers what an `initialize` agreed on.
    pub(super) fn learn_session(
        &mut self,
        result: Node<'_>,
        id: Option<HeaderValue>,
        hello: Bytes,
    ) {
        let version = result.get("protocolVersion").and_then(Node::as_str);
        let version = version.and_then(|version| HeaderValue::from_str(&version).ok());
        if let Some(version) = version {
            self.session = Some(Session { id, version });
            self.hello = Some(hello);
        }
    }
}

fn value(text: &str) -> Result<HeaderValue, Trouble> {
    HeaderValue::from_str(text)
        .map_err(|_| Trouble::Unsendable(format!("{text:?} does not fit into a header")))
}

#[cfg(test)]
mod tests {
    use sallyport_policy::json::Limits;

    use super::*;

    fn document(text: &str) -> Document {
        Document::parse(Bytes::from(text.to_owned()), Limits::RESPONSE).unwrap()
    }

    fn shown(known: &mut Known, text: &str) -> Vec<String> {
        let headers = known.headers(&document(text)).unwrap();
        let mut shown: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        shown.sort();
        shown
    }

    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

    #[test]
    fn modern_requests_are_mirrored_with_the_arguments_that_the_tool_declares() {
        let mut known = Known::default();
        let tools = document(
            r#"{"tools":[{"name":"söl","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}]}"#,
        );
        known.learn_tools(tools.root());
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"söl","arguments":{{"region":"eu"}},{META}}}}}"#
        );
        assert_eq!(
            shown(&mut known, &call),
            [
                "mcp-method: tools/call",
                "mcp-name: =?base64?c8O2bA==?=",
                "mcp-param-region: eu",
                "mcp-protocol-version: 2026-07-28",
            ]
        );
        let notice = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
        assert_eq!(
            shown(&mut known, notice),
            [
                "mcp-method: notifications/progress",
                "mcp-protocol-version: 2026-07-28"
            ]
        );
    }

    #[test]
    fn legacy_messages_carry_the_session_and_what_was_agreed_on() {
        let mut known = Known::default();
        let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{}}}"#;
        assert!(shown(&mut known, hello).is_empty());
        let result = document(r#"{"protocolVersion":"2025-03-26"}"#);
        known.learn_session(
            result.root(),
            Some(HeaderValue::from_static("s1")),
            Bytes::from(hello),
        );
        let ping = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;
        assert_eq!(
            shown(&mut known, ping),
            ["mcp-protocol-version: 2025-03-26", "mcp-session-id: s1"]
        );
        let batch = format!("[{ping}]");
        assert_eq!(shown(&mut known, &batch).len(), 2);
        assert!(
            shown(&mut known, hello).is_empty(),
            "a new session begins without the old one"
        );
    }
}
