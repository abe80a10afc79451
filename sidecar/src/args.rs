//! The command line of the pod's binary: what injection writes, and nothing from the environment, so that the pod's
//! author cannot steer the guard by a variable.
//!
//! Everything is text here. `config` makes meaning of it, and tells all mistakes at once.

use std::path::PathBuf;

use clap::Parser;

/// The guard in front of one MCP server, in its pod.
#[derive(Debug, Parser)]
#[command(name = "sallyport-sidecar", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Folder of the signed policy, as the kubelet mounts it
    #[arg(long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// The root's verifying key: 64 hex digits, or a file that holds them
    #[arg(long, value_name = "FILE|HEX")]
    pub(crate) root_key: Option<String>,
    /// Which gateway this pod belongs to
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) gateway: Option<String>,
    /// Uid of the gateway object
    #[arg(long, value_name = "UID")]
    pub(crate) gateway_uid: Option<String>,
    /// The lowest generation of the policy that may ever be put in force
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    pub(crate) minimum_generation: String,
    /// The operator's control endpoint; without it nobody is told what is enforced
    #[arg(long, value_name = "HOST:PORT", requires = "control_token")]
    pub(crate) control: Option<String>,
    /// File of this pod's token for the control endpoint
    #[arg(long, value_name = "FILE", requires = "control")]
    pub(crate) control_token: Option<PathBuf>,
    /// Where callers connect
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Where /livez, /readyz and /metrics are served; nowhere by default
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<String>,
    /// Where the kubelet's probes are answered: /livez, /startz, /readyz and the recorded ones; nowhere by default
    #[arg(long, value_name = "ADDR")]
    pub(crate) probes: Option<String>,
    /// A probe of another container, performed for the kubelet when it asks for PATH; may be repeated
    #[arg(long = "probe", value_name = "PATH=JSON")]
    pub(crate) recorded: Vec<String>,
    /// Socket at which the validator reports; with it nothing is served before it did
    #[arg(long, value_name = "FILE")]
    pub(crate) proof: Option<PathBuf>,
    /// User id of the validator
    #[arg(long, value_name = "UID", default_value_t = 60102)]
    pub(crate) validator_uid: u32,
    /// Folder of our own for recordings, pins and what was seen of the policy
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Most bytes that recordings may take; without it the whole disk
    #[arg(long, value_name = "BYTES")]
    pub(crate) recordings: Option<String>,
    /// Path of the MCP endpoint, as callers see it
    #[arg(long, value_name = "PATH", default_value = "/mcp")]
    pub(crate) path: String,
    /// The server's URL, where it speaks HTTP
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// The server speaks the older HTTP+SSE transport
    #[arg(long)]
    pub(crate) sse: bool,
    /// A credential of the server: header:NAME=FILE or env:NAME=FILE; may be repeated. Values never stand in arguments
    #[arg(long = "credential", value_name = "KIND:NAME=FILE")]
    pub(crate) credentials: Vec<String>,
    /// What stands before a credential's value: NAME=TEXT, such as `Authorization=Bearer `; may be repeated
    #[arg(long = "credential-prefix", value_name = "NAME=TEXT")]
    pub(crate) prefixes: Vec<String>,
    /// Certificate chain of the listener (PEM); reloaded when it changes
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of the listener (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Further CA certificates (PEM) for the server and identity providers
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// How much is logged to stderr: error, warn, info, debug, trace, or `target=level`, comma-separated
    #[arg(long, value_name = "LEVELS", default_value = "info")]
    pub(crate) log: String,
    /// The server's command, where it speaks stdio
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

const EXIT_CODES: &str = "stdout carries one JSON object for each call and each refusal; the log goes to stderr, JSON too.\n\n\
Exit codes: 0 asked to stop, and drained; 1 cannot start, or the last events could not be stored; 64 wrong arguments";
