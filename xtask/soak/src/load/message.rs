//! How a client of each revision puts a message into an HTTP request.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use super::client::{Client, Revision};

impl Client {
    /// A request of this client's revision, with its id.
    pub(crate) fn message(&mut self, method: &str, mut params: Value) -> (u64, Value) {
        let id = self.fresh();
        if self.revision == Revision::Newest
            && let Some(members) = params.as_object_mut()
        {
            let meta = members.entry("_meta").or_insert_with(|| json!({}));
            if let Some(meta) = meta.as_object_mut() {
                meta.insert(
                    "io.modelcontextprotocol/protocolVersion".into(),
                    json!(self.revision.name()),
                );
                meta.insert(
                    "io.modelcontextprotocol/clientCapabilities".into(),
                    json!({}),
                );
            }
        }
        (
            id,
            json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }),
        )
    }

    /// The HTTP request that carries a message.
    pub(crate) fn post(&self, message: &Value) -> Request<Full<Bytes>> {
        let method = message
            .get("method")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let path = self
            .pipe
            .as_ref()
            .map_or("/mcp", |pipe| pipe.address.as_str());
        let mut request = self.request(Method::POST, path, method, message.to_string());
        let name = message.pointer("/params/name").and_then(Value::as_str);
        if self.revision == Revision::Newest
            && let Some(Ok(name)) = name.map(http::HeaderValue::try_from)
        {
            request.headers_mut().insert("mcp-name", name);
        }
        request
    }

    pub(crate) fn request(
        &self,
        verb: Method,
        path: &str,
        method: &str,
        body: String,
    ) -> Request<Full<Bytes>> {
        let mut heads = vec![
            ("host", self.target.address.to_string()),
            ("authorization", format!("Bearer {}", self.tokens.now())),
            ("accept", "application/json, text/event-stream".into()),
        ];
        if !body.is_empty() {
            heads.push(("content-type", "application/json".into()));
        }
        if self.revision == Revision::Newest {
            heads.push(("mcp-method", method.to_owned()));
        }
        if self.revision != Revision::Oldest && method != "initialize" {
            heads.push(("mcp-protocol-version", self.revision.name().into()));
        }
        if let Some(session) = &self.session {
            heads.push(("mcp-session-id", session.clone()));
        }
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = verb;
        *request.uri_mut() = path.parse().unwrap_or_default();
        for (name, value) in heads {
            if let Ok(value) = http::HeaderValue::try_from(value) {
                request.headers_mut().insert(name, value);
            }
        }
        request
    }
}
