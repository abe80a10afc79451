//! Envoy as a user would set it up for the same purpose, as far as it goes: tokens by its JWT filter, with its cache of
//! verified ones, and two RBAC policies over claims and paths. Bodies are passed through unread.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::process::{self, Service};
use crate::setup;

const START_LIMIT: Duration = Duration::from_secs(20);
const TYPES: &str = "type.googleapis.com/envoy.extensions";

pub(crate) fn start(server: SocketAddr, keys: &str, home: &Path) -> Result<(Service, SocketAddr)> {
    let program = setup::envoy()?;
    let port = process::free_port()?;
    fs::create_dir_all(home)?;
    let file = home.join("envoy.json");
    fs::write(&file, configuration(server, port, keys).to_string())?;
    let mut command = Command::new(program);
    command.arg("--config-path").arg(&file);
    command.args(["--concurrency", "1", "--disable-hot-restart"]);
    command.args(["--log-level", "error"]);
    let mut service = Service::start(&mut command, &home.join("envoy.log"))?;
    process::listening(&mut service, port, START_LIMIT).context("Envoy")?;
    Ok((service, SocketAddr::from(([127, 0, 0, 1], port))))
}

fn configuration(server: SocketAddr, port: u16, keys: &str) -> Value {
    let address = |address: SocketAddr| json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } });
    json!({ "static_resources": {
        "listeners": [{
            "name": "mcp",
            "address": address(SocketAddr::from(([127, 0, 0, 1], port))),
            "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
                    "stat_prefix": "mcp",
                    "route_config": { "virtual_hosts": [{
                        "name": "mcp", "domains": ["*"],
                        "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "trivial", "timeout": "0s" } }],
                    }] },
                    "http_filters": [tokens(keys), denied(), allowed(), router()],
                },
            }] }],
        }],
        "clusters": [{
            "name": "trivial", "type": "STATIC", "connect_timeout": "5s",
            "load_assignment": { "cluster_name": "trivial",
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(server) } }] }] },
        }],
    } })
}

fn tokens(keys: &str) -> Value {
    json!({ "name": "envoy.filters.http.jwt_authn", "typed_config": {
        "@type": format!("{TYPES}.filters.http.jwt_authn.v3.JwtAuthentication"),
        "providers": { "bench": {
            "issuer": "https://idp.example.com",
            "audiences": ["https://stock.example.com/mcp"],
            "local_jwks": { "inline_string": keys },
            "payload_in_metadata": "claims",
            "jwt_cache_config": { "jwt_cache_size": 1000 },
        } },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "bench" } }],
    } })
}

fn allowed() -> Value {
    let group = json!({ "metadata": {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{ "key": "claims" }, { "key": "groups" }],
        "value": { "list_match": { "one_of": { "string_match": { "exact": "stock-clerks" } } } },
    } });
    let path = json!({ "url_path": { "path": { "exact": "/mcp" } } });
    rbac(
        "ALLOW",
        &json!({ "clerks": { "permissions": [path], "principals": [group] } }),
    )
}

fn denied() -> Value {
    let asked = json!({ "header": { "name": "x-sql",
        "string_match": { "safe_regex": { "regex": r"(?i).*\b(drop|truncate)\b.*" } } } });
    rbac(
        "DENY",
        &json!({ "nobody-drops": { "permissions": [asked], "principals": [{ "any": true }] } }),
    )
}

fn rbac(action: &str, policies: &Value) -> Value {
    json!({ "name": format!("envoy.filters.http.rbac.{action}"), "typed_config": {
        "@type": format!("{TYPES}.filters.http.rbac.v3.RBAC"),
        "rules": { "action": action, "policies": policies },
    } })
}

fn router() -> Value {
    json!({ "name": "envoy.filters.http.router",
        "typed_config": { "@type": format!("{TYPES}.filters.http.router.v3.Router") } })
}
