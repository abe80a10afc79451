//! The command line of the operator. Everything is text or an address here; who uses it makes meaning of it.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};

/// Watches gateways and policies, injects the sidecar, signs and distributes policy, answers sidecars.
#[derive(Debug, Parser)]
#[command(name = "sallyport-operator", version)]
pub struct Args {
    /// The operator's own namespace
    #[arg(
        long,
        env = "POD_NAMESPACE",
        value_name = "NAME",
        default_value = "sallyport-system"
    )]
    pub namespace: String,
    /// The operator's own pod, as holder of the lease
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub pod: Option<String>,
    /// Image of the sidecar, by digest
    #[arg(long, value_name = "IMAGE@sha256:DIGEST")]
    pub sidecar_image: String,
    /// Image of the capture and validator containers, by digest
    #[arg(long, value_name = "IMAGE@sha256:DIGEST")]
    pub capture_image: String,
    /// The Service that the API server reaches the webhooks by
    #[arg(long, value_name = "NAME", default_value = "sallyport-operator")]
    pub service: String,
    /// Where the webhooks are served (HTTPS)
    #[arg(long, value_name = "ADDR", default_value = "[::]:8443")]
    pub webhooks: SocketAddr,
    /// Where sidecars are answered (TLS)
    #[arg(long, value_name = "ADDR", default_value = "[::]:9443")]
    pub control: SocketAddr,
    /// Where /livez, /readyz and /metrics are served
    #[arg(long, value_name = "ADDR", default_value = "[::]:8080")]
    pub health: SocketAddr,
    /// The form of the log
    #[arg(long, value_enum, default_value = "json")]
    pub log: LogForm,
    /// How much is logged: error, warn, info, debug, trace, or `target=level`, comma-separated
    #[arg(long, value_name = "LEVELS", default_value = "info")]
    pub log_levels: String,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    Json,
    Text,
}
