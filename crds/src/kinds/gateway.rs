//! `McpGateway`: one MCP server and how it is guarded.

use kube::CustomResource;
use sallyport_policy::source::GatewaySpec;
use sallyport_policy::source::access::StatusCondition;
use sallyport_policy::source::settings::Capture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One MCP server and how it is guarded.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[kube(
    group = "sallyport.dev",
    version = "v1alpha1",
    kind = "McpGateway",
    plural = "mcpgateways",
    shortname = "mcpgw",
    category = "sallyport",
    namespaced,
    status = "McpGatewayStatus",
    derive = "PartialEq",
    doc = "One MCP server and how it is guarded.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Protected",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='BypassProtected')].status"
    ),
    printcolumn(name = "Capture", type_ = "string", json_path = ".status.capture"),
    printcolumn(
        name = "Current",
        type_ = "integer",
        json_path = ".status.pods.current"
    ),
    printcolumn(
        name = "Matched",
        type_ = "integer",
        json_path = ".status.pods.matched"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        priority = 1
    ),
    printcolumn(
        name = "Revision",
        type_ = "string",
        json_path = ".status.revision",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
pub struct McpGatewaySpec(pub GatewaySpec);

/// What is true of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpGatewayStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Programmed`, `BypassProtected`, `Recording`, `ToolsPinned` and `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<StatusCondition>,
    /// The digest of the policy's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71))]
    pub revision: Option<String>,
    /// How traffic is in effect made to pass the sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Capture>,
    /// The pods of the server.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub pods: PodCounts,
}

/// How many pods are how far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodCounts {
    /// Pods that the gateway selects.
    #[serde(default)]
    pub matched: u32,
    /// Those that have a sidecar.
    #[serde(default)]
    pub injected: u32,
    /// Those that enforce the current revision.
    #[serde(default)]
    pub current: u32,
    /// Those that need a restart, because a field changed that is fixed at injection.
    #[serde(default)]
    pub outdated: u32,
    /// Pods that need attention, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub attention: Vec<String>,
}
