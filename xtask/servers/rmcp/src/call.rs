//! A tool call on its way through the modules that know tools.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ProtocolVersion,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use crate::catalog::complete;
use crate::fixture::Fixture;
use crate::material::text;

/// What a tool comes to.
pub(crate) type Answer = Result<CallToolResponse, ErrorData>;

/// The call, and who made it.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) fixture: &'a Fixture,
    pub(crate) params: CallToolRequestParams,
    pub(crate) context: RequestContext<RoleServer>,
}

impl Call<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.params.name
    }

    pub(crate) fn argument(&self, name: &str) -> Option<&Value> {
        self.params.arguments.as_ref()?.get(name)
    }

    pub(crate) fn words(&self, name: &str) -> Option<&str> {
        self.argument(name)?.as_str()
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.argument(name)?.as_f64()
    }

    pub(crate) fn capabilities(&self) -> ClientCapabilities {
        self.context.client_capabilities().unwrap_or_default()
    }

    /// Whether the request is of the era in which servers ask nothing by themselves.
    pub(crate) fn modern(&self) -> bool {
        modern(&self.context)
    }
}

/// Revisions are dates, and compare as text.
pub(crate) fn modern(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

pub(crate) fn said(words: &str) -> Answer {
    content(&json!([text(words)]))
}

pub(crate) fn content(blocks: &Value) -> Answer {
    result(json!({ "content": blocks }))
}

/// A tool's own failure, which the model may read.
pub(crate) fn failed(words: &str) -> Answer {
    result(json!({ "content": [text(words)], "isError": true }))
}

pub(crate) fn missing(argument: &str) -> Answer {
    failed(&format!(
        "the argument `{argument}` is missing or of another type"
    ))
}

pub(crate) fn result(value: Value) -> Answer {
    complete::<CallToolResult>(value).map(CallToolResponse::from)
}
