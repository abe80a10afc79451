//! Resources by address.

use rmcp::ErrorData;
use rmcp::model::{ReadResourceResponse, ReadResourceResult};
use serde_json::{Value, json};

use crate::catalog::complete;
use crate::material::PIXEL;

pub(crate) fn read(uri: &str) -> Result<ReadResourceResponse, ErrorData> {
    let content = match uri {
        "test://static-text" => words(uri, "text/plain", "a text that never changes"),
        "test://static-binary" => json!({ "uri": uri, "mimeType": "image/png", "blob": PIXEL }),
        "test://watched-resource" => words(uri, "text/plain", "a text that may change"),
        "demo://resource/static/document/architecture.md" => words(
            uri,
            "text/markdown",
            "# Architecture\n\nOne server, both eras.",
        ),
        "demo://resource/static/document/startup.md" => words(uri, "text/markdown", "# Startup"),
        _ => made(uri).ok_or_else(|| {
            ErrorData::resource_not_found("Resource not found", Some(json!({ "uri": uri })))
        })?,
    };
    complete::<ReadResourceResult>(json!({ "contents": [content] })).map(ReadResourceResponse::from)
}

fn words(uri: &str, kind: &str, text: &str) -> Value {
    json!({ "uri": uri, "mimeType": kind, "text": text })
}

/// What the templates stand for.
fn made(uri: &str) -> Option<Value> {
    let id = uri
        .strip_prefix("test://template/")
        .and_then(|rest| rest.strip_suffix("/data"));
    if let Some(id) = id.filter(|id| !id.is_empty() && !id.contains('/')) {
        let data = json!({ "id": id, "made": true });
        return Some(words(uri, "application/json", &data.to_string()));
    }
    let id = uri.strip_prefix("demo://resource/dynamic/text/")?;
    Some(words(uri, "text/plain", &format!("Resource {id}")))
}
