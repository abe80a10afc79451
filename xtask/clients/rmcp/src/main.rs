//! Drives rmcp, the official Rust SDK: reads a scenario from stdin, takes its steps, prints one JSON object.
//!
//! Nothing is judged here, as in the drivers beside it: `cargo xtask test` compares what each client saw.

mod handler;
mod longer;
mod steps;

use std::collections::HashMap;
use std::io::Read;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use http::header::COOKIE;
use rmcp::model::ProtocolVersion;
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::{ChildStdin, ChildStdout, Command};

use handler::Handler;

/// Where to connect, how, and the steps. It comes by stdin because it carries the token.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Plan {
    #[serde(default)]
    url: String,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    env: HashMap<String, String>,
    transport: String,
    mode: String,
    token: Option<String>,
    cookie: Option<String>,
    protocol_version: Option<String>,
    steps: Vec<steps::Step>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let plan: Plan = serde_json::from_str(&text).context("the scenario on stdin")?;
    let handler = Handler::new(version(plan.protocol_version.as_deref())?);
    let seen = handler.seen();
    let client = connect(&plan, handler).await?;
    let mut outcomes = serde_json::Map::new();
    for step in &plan.steps {
        seen.forget();
        outcomes.insert(step.label.clone(), steps::take(&client, step, &seen).await);
    }
    let told =
        json!({ "connected": connected(&client), "outcomes": outcomes, "asked": seen.asked() });
    write_line(&told)?;
    client.cancel().await?;
    Ok(())
}

async fn connect(plan: &Plan, handler: Handler) -> Result<RunningService<RoleClient, Handler>> {
    let lifecycle = match plan.mode.as_str() {
        "legacy" => ClientLifecycleMode::Initialize,
        other => ClientLifecycleMode::Discover {
            preferred_versions: version(Some(other))?.into_iter().collect(),
        },
    };
    Ok(match plan.transport.as_str() {
        "http" => {
            let transport = StreamableHttpClientTransport::from_config(over_http(plan)?);
            handler.serve_with_lifecycle(transport, lifecycle).await?
        }
        "stdio" => {
            handler
                .serve_with_lifecycle(over_pipes(plan)?, lifecycle)
                .await?
        }
        other => bail!("rmcp has no client for the transport `{other}`"),
    })
}

fn over_http(plan: &Plan) -> Result<StreamableHttpClientTransportConfig> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(plan.url.clone());
    if let Some(token) = &plan.token {
        config = config.auth_header(token.clone());
    }
    if let Some(cookie) = &plan.cookie {
        config = config.custom_headers(HashMap::from([(COOKIE, cookie.parse()?)]));
    }
    Ok(config)
}

/// The child ends when its stdin does.
fn over_pipes(plan: &Plan) -> Result<(ChildStdout, ChildStdin)> {
    let (program, arguments) = plan.command.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(arguments).envs(&plan.env);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdout = child.stdout.take().context("the server's stdout")?;
    Ok((stdout, child.stdin.take().context("the server's stdin")?))
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
