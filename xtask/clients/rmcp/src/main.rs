//! Drives rmcp, the official Rust SDK: reads a scenario from stdin, takes its steps, prints one JSON object.
//!
//! Nothing is judged here, as in the drivers beside it: `cargo xtask test` compares what each client saw.

mod handler;
mod steps;

use std::io::Read;

use anyhow::{Context, Result, bail};
use rmcp::model::ProtocolVersion;
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde::Deserialize;
use serde_json::{Value, json};

use handler::Handler;

/// Where to connect, how, and the steps. It comes by stdin because it carries the token.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Plan {
    #[serde(default)]
    url: String,
    transport: String,
    mode: String,
    token: Option<String>,
    protocol_version: Option<String>,
    #[serde(default)]
    answers: bool,
    steps: Vec<steps::Step>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let plan: Plan = serde_json::from_str(&text).context("the scenario on stdin")?;
    let handler = Handler::new(plan.answers, version(plan.protocol_version.as_deref())?);
    let seen = handler.seen();
    let client = connect(&plan, handler).await?;
    let mut outcomes = serde_json::Map::new();
    for step in &plan.steps {
        seen.forget_progress();
        outcomes.insert(step.label.clone(), steps::take(&client, step, &seen).await);
    }
    let told =
        json!({ "connected": connected(&client), "outcomes": outcomes, "asked": seen.asked() });
    write_line(&told)?;
    client.cancel().await?;
    Ok(())
}

async fn connect(plan: &Plan, handler: Handler) -> Result<RunningService<RoleClient, Handler>> {
    if plan.transport != "http" {
        bail!("rmcp has no client for the transport `{}`", plan.transport);
    }
    let mut config = StreamableHttpClientTransportConfig::with_uri(plan.url.clone());
    if let Some(token) = &plan.token {
        config = config.auth_header(token.clone());
    }
    let lifecycle = match plan.mode.as_str() {
        "legacy" => ClientLifecycleMode::Initialize,
        other => ClientLifecycleMode::Discover {
            preferred_versions: version(Some(other))?.into_iter().collect(),
        },
    };
    let transport = StreamableHttpClientTransport::from_config(config);
    Ok(handler.serve_with_lifecycle(transport, lifecycle).await?)
}

fn version(text: Option<&str>) -> Result<Option<ProtocolVersion>> {
    text.map(|text| serde_json::from_value(json!(text)).context("a protocol version"))
        .transpose()
}

fn connected(client: &RunningService<RoleClient, Handler>) -> Value {
    client.peer_info().map_or(Value::Null, |info| {
        json!({
            "protocolVersion": info.protocol_version,
            "server": info.server_info,
            "capabilities": info.capabilities,
        })
    })
}

fn write_line(value: &Value) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}
