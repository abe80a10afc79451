//! What the client says when the server asks it something, and a note of each question.

#![expect(
    deprecated,
    reason = "sampling and roots are deprecated in the newest revision, and are driven all the same"
)]

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult,
    ElicitRequestParams, ElicitResult, ErrorData, Implementation, ListRootsResult,
    ProgressNotificationParam, ProtocolVersion,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ClientHandler, RoleClient};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Questions of the server, and progress since the step began.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    asked: Mutex<Vec<Value>>,
    progress: Mutex<Vec<Value>>,
    changes: Mutex<Vec<&'static str>>,
}

impl Seen {
    pub(crate) fn asked(&self) -> Vec<Value> {
        held(&self.asked).clone()
    }

    pub(crate) fn progress(&self) -> Vec<Value> {
        held(&self.progress).clone()
    }

    /// Lists that the server said have changed.
    pub(crate) fn changes(&self) -> Vec<&'static str> {
        held(&self.changes).clone()
    }

    pub(crate) fn forget(&self) {
        held(&self.progress).clear();
        held(&self.changes).clear();
    }

    fn note(&self, question: Value) {
        held(&self.asked).push(question);
    }
}

fn held<T>(lock: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The client half of the connection.
#[derive(Debug)]
pub(crate) struct Handler {
    version: Option<ProtocolVersion>,
    seen: Arc<Seen>,
}

impl Handler {
    pub(crate) fn new(version: Option<ProtocolVersion>) -> Self {
        Self {
            version,
            seen: Arc::default(),
        }
    }

    pub(crate) fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen)
    }
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let capabilities: ClientCapabilities =
            read(json!({ "elicitation": { "form": {} }, "sampling": {}, "roots": {} }))
                .unwrap_or_default();
        let mut config =
            ClientConfig::new(capabilities, Implementation::new("driver-rmcp", "1.0.0"));
        if let Some(version) = &self.version {
            config.protocol_version = version.clone();
        }
        config
    }

    fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> impl Future<Output = Result<ElicitResult, ErrorData>> + Send + '_ {
        let params = serde_json::to_value(&request).unwrap_or_default();
        self.seen
            .note(json!({ "method": "elicitation/create", "message": params.get("message") }));
        std::future::ready(read(
            json!({ "action": "accept", "content": { "name": "Ada Lovelace" } }),
        ))
    }

    fn create_message(
        &self,
        request: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> impl Future<Output = Result<CreateMessageResult, ErrorData>> + Send + '_ {
        self.seen
            .note(json!({ "method": "sampling/createMessage", "messages": request.messages }));
        std::future::ready(read(json!({
            "role": "assistant", "model": "driver-model", "stopReason": "endTurn",
            "content": { "type": "text", "text": "sampled words" },
        })))
    }

    fn list_roots(
        &self,
        _context: RequestContext<RoleClient>,
    ) -> impl Future<Output = Result<ListRootsResult, ErrorData>> + Send + '_ {
        self.seen.note(json!({ "method": "roots/list" }));
        std::future::ready(Ok(ListRootsResult::default()))
    }

    fn on_tool_list_changed(
        &self,
        _context: NotificationContext<RoleClient>,
    ) -> impl Future<Output = ()> + Send + '_ {
        held(&self.seen.changes).push("tools");
        std::future::ready(())
    }

    fn on_resource_list_changed(
        &self,
        _context: NotificationContext<RoleClient>,
    ) -> impl Future<Output = ()> + Send + '_ {
        held(&self.seen.changes).push("resources");
        std::future::ready(())
    }

    fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) -> impl Future<Output = ()> + Send + '_ {
        let mut told = serde_json::to_value(&params).unwrap_or_default();
        if let Some(fields) = told.as_object_mut() {
            fields.remove("progressToken");
        }
        held(&self.seen.progress).push(told);
        std::future::ready(())
    }
}

/// The model's types are built from the JSON that goes on the wire, so that every driver says the same.
fn read<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}
