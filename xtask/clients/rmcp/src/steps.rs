//! One step of a scenario: which call of the SDK it is, and what came of it.

use std::time::Instant;

use rmcp::RoleClient;
use rmcp::service::{RunningService, ServiceError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::handler::{Handler, Seen};
use crate::longer;

/// A step as every driver reads it.
#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    #[serde(rename = "as")]
    pub(crate) label: String,
    #[serde(rename = "do")]
    verb: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What can come of a step besides a result.
enum Failure {
    Service(ServiceError),
    Driver(String),
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

pub(crate) async fn take(
    client: &RunningService<RoleClient, Handler>,
    step: &Step,
    seen: &Seen,
) -> Value {
    let began = Instant::now();
    let told = match call(client, step, seen).await {
        Ok(result) => json!({ "result": result }),
        Err(failure) => tell(&failure),
    };
    let mut told = told;
    if let Some(fields) = told.as_object_mut() {
        let progress = if step.rest.contains_key("progress") {
            seen.progress()
        } else {
            Vec::new()
        };
        fields.insert("progress".into(), json!(progress));
        fields.insert("ms".into(), json!(began.elapsed().as_millis()));
    }
    told
}

async fn call(
    client: &RunningService<RoleClient, Handler>,
    step: &Step,
    seen: &Seen,
) -> Result<Value, Failure> {
    let params = &step.rest;
    match step.verb.as_str() {
        "listTools" => shown(client.list_tools(None).await?),
        "listResources" => shown(client.list_resources(None).await?),
        "listTemplates" => shown(client.list_resource_templates(None).await?),
        "listPrompts" => shown(client.list_prompts(None).await?),
        "call" => shown(
            client
                .call_tool(picked(params, &["name", "arguments"])?)
                .await?,
        ),
        "read" => shown(client.read_resource(picked(params, &["uri"])?).await?),
        "prompt" => shown(
            client
                .get_prompt(picked(params, &["name", "arguments"])?)
                .await?,
        ),
        "complete" => shown(
            client
                .complete(picked(params, &["ref", "argument"])?)
                .await?,
        ),
        "cancel" => {
            let params = picked(params, &["name", "arguments"])?;
            Ok(longer::cancel(client, params, seen).await?)
        }
        "change" => {
            let list = params.get("list").and_then(Value::as_str);
            let list = list.ok_or_else(|| Failure::Driver("no list".into()))?;
            let params = picked(params, &["name", "arguments"])?;
            Ok(longer::change(client, list, params, seen).await?)
        }
        other => Err(Failure::Driver(format!("no step `{other}` in this driver"))),
    }
}

fn picked<T: DeserializeOwned>(from: &Map<String, Value>, names: &[&str]) -> Result<T, Failure> {
    let chosen: Map<String, Value> = from
        .iter()
        .filter(|(name, _)| names.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    serde_json::from_value(Value::Object(chosen))
        .map_err(|error| Failure::Driver(error.to_string()))
}

fn shown<T: Serialize>(result: T) -> Result<Value, Failure> {
    serde_json::to_value(result).map_err(|error| Failure::Driver(error.to_string()))
}

fn tell(failure: &Failure) -> Value {
    match failure {
        Failure::Service(ServiceError::McpError(error)) => json!({
            "error": { "code": error.code, "message": error.message, "data": error.data },
            "kind": "McpError",
        }),
        Failure::Service(other) => unplaced(&other.to_string(), "ServiceError"),
        Failure::Driver(text) => unplaced(text, "Driver"),
    }
}

fn unplaced(message: &str, kind: &str) -> Value {
    json!({ "error": { "code": null, "message": message, "data": null }, "kind": kind })
}
