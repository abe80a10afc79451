//! `McpGateway`: one MCP server and how it is guarded.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::authentication::Authentication;
use super::consistency;
use super::masking::Masking;
use super::scalar::GoDuration;
use super::selector::LabelSelector;
use super::settings::{Approvals, Capture, Enforcement, Limits, Recording, ToolPins};

/// One MCP server and how it is guarded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewaySpec {
    /// The pods of the server. A pod may instead name its gateway by the annotation `sallyport.dev/gateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// The server itself. A change needs a restart of its pods.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub server: Server,
    /// What callers dial.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub listener: Listener,
    /// The OAuth resource identifier of the server (RFC 9728, RFC 8707), and the default audience of tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://"), extend("x-sallyport-expected" = "an http or https URL"))]
    pub public_url: Option<String>,
    /// Other names of the same resource, each with its own metadata and audience.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 2048), regex(pattern = "^https?://"))
    )]
    pub additional_urls: Vec<String>,
    /// Whose tokens are accepted.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub authentication: Authentication,
    /// The server's own credentials, added by the sidecar and never seen by a caller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["header", "env"]))]
    pub credentials: Vec<Credential>,
    /// What is masked in what the server says.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub masking: Masking,
    /// How sessions are recorded.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub recording: Recording,
    /// How long held calls and grants live.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub approvals: Approvals,
    /// Bounds on sizes, numbers and rates.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub limits: Limits,
    /// Reviewed digests of tool definitions.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub tool_pins: ToolPins,
    /// Whether verdicts of policies are carried out. Default: `Enforce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<Enforcement>,
    /// How traffic is made to pass the sidecar. Default: `Auto`; the effective one is in status. A change needs a restart of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Capture>,
    /// How long the last good policy stays in force without the operator. Default: `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_max_age: Option<GoDuration>,
    /// Where the server itself may connect to.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub egress: Egress,
    /// The sidecar's own container. A change needs a restart of the pods.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub sidecar: SidecarContainer,
}

/// The MCP server behind the sidecar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "(has(self.transport) && self.transport == 'Stdio') == (has(self.command) && size(self.command) > 0)",
        "message": consistency::STDIO_COMMAND
    },
    {
        "rule": "!(has(self.socketPath) && has(self.port))",
        "message": consistency::PORT_OR_SOCKET
    }
]))]
pub struct Server {
    /// Which container is the MCP server. Default: the one that declares the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub container: Option<String>,
    /// Where it listens; nobody but the sidecar reaches it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// The path of its MCP endpoint. Default: `/mcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/"))]
    pub path: Option<String>,
    /// What it speaks. Default: `StreamableHttp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// The command of a stdio server and its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(max = 4096)))]
    pub command: Vec<String>,
    /// A Unix socket on which the server listens instead of a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 107), regex(pattern = "^/"))]
    pub socket_path: Option<String>,
    /// The server's user id, where image and pod say none. Must differ from every other container's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub run_as_user: Option<u32>,
    /// Headers of the caller that the server may see, beyond MCP's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub forward_headers: Vec<String>,
    /// Paths beside MCP's that callers may use. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"]))]
    pub passthrough: Vec<Passthrough>,
    /// Volumes that another container may write beside the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63)))]
    pub shared_volumes: Vec<String>,
}

/// What the server speaks.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Transport {
    /// One endpoint for POST and GET, since 2025-03-26.
    StreamableHttp,
    /// The older HTTP with server-sent events, 2024-11-05.
    Sse,
    /// Lines on standard input and output of a command that the sidecar's shim runs.
    Stdio,
}

/// A path beside MCP's that callers may use; not inspected, but authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Passthrough {
    /// The exact path, or a prefix that ends in `/*`.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/"))]
    pub path: String,
    /// The methods. Default: `GET` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub methods: Vec<HttpMethod>,
}

/// HTTP methods of paths that are passed through.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

/// What callers dial.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// The port. Default: `server.port`. A change needs a restart of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Accepted Host names. Default: of `publicUrl`, `additionalUrls` and the Services in front.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 261)))]
    pub hosts: Vec<String>,
    /// Networks (CIDR) whose forwarded client address is believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 49)))]
    pub trusted_proxies: Vec<String>,
    /// Serves TLS. Default: plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
}

/// The listener's certificate; read again when the Secret changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListenerTls {
    /// A Secret of type `kubernetes.io/tls` in the gateway's namespace.
    pub secret_ref: ObjectRef,
}

/// An object of the same namespace, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// One key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKeyRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

// `header` and `env` are texts that may be empty, not options, because both are keys of the list and the API server gives
// such keys a value.
/// A credential of the server's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "(self.header != '') != (self.env != '')",
        "message": consistency::ONE_TARGET
    },
    {
        "rule": "has(self.secretKeyRef) != has(self.platformSecretRef)",
        "message": consistency::ONE_ORIGIN
    }
]))]
pub struct Credential {
    /// The request header that carries it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128), extend("default" = ""))]
    pub header: String,
    /// The environment variable that carries it, for a stdio server.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128), extend("default" = ""))]
    pub env: String,
    /// What stands before the value, such as `Bearer ` with its space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub prefix: Option<String>,
    /// The value, in a Secret of the gateway's namespace: readable by whoever may read Secrets there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// The value, in a Secret of the operator's namespace, released to the sidecar alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_secret_ref: Option<SecretKeyRef>,
}

/// Where a credential goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialTarget<'a> {
    Header(&'a str),
    Env(&'a str),
}

/// Where a credential comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialOrigin<'a> {
    Namespace(&'a SecretKeyRef),
    Platform(&'a SecretKeyRef),
}

impl Credential {
    /// Where it goes; nothing if not exactly one of `header` and `env` is given.
    #[must_use]
    pub fn target(&self) -> Option<CredentialTarget<'_>> {
        match (self.header.as_str(), self.env.as_str()) {
            ("", "") => None,
            (header, "") => Some(CredentialTarget::Header(header)),
            ("", env) => Some(CredentialTarget::Env(env)),
            _ => None,
        }
    }

    /// Where it comes from; nothing if not exactly one reference is given.
    #[must_use]
    pub fn origin(&self) -> Option<CredentialOrigin<'_>> {
        match (&self.secret_key_ref, &self.platform_secret_ref) {
            (Some(own), None) => Some(CredentialOrigin::Namespace(own)),
            (None, Some(platform)) => Some(CredentialOrigin::Platform(platform)),
            (None, None) | (Some(_), Some(_)) => None,
        }
    }
}

/// Where the server itself may connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Egress {
    /// Whether that is looked at. Default: `Disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<EgressMode>,
    /// Where to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub allow: Vec<Destination>,
}

/// Whether connections of the server are looked at.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum EgressMode {
    /// Not looked at.
    Disabled,
    /// What is not allowed is only recorded.
    Audit,
    /// What is not allowed is refused.
    Enforce,
}

/// A destination of the server: a host name or a network, and ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.host) != has(self.cidr)",
    "message": consistency::HOST_OR_CIDR
}]))]
pub struct Destination {
    /// A host name; `*.` in front takes any one label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub host: Option<String>,
    /// A network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 49))]
    pub cidr: Option<String>,
    /// TCP ports. Default: 443.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(range(min = 1, max = 65535)))]
    pub ports: Vec<u16>,
}

/// The sidecar's own container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarContainer {
    /// Its CPU and memory.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub resources: Resources,
    /// Secrets with which its image is pulled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub image_pull_secrets: Vec<ObjectRef>,
}

/// CPU and memory of a container, as in a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// What it is given at least.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub requests: BTreeMap<String, String>,
    /// What it is given at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub limits: BTreeMap<String, String>,
}
