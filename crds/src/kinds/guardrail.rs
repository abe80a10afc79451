//! `McpGuardrail`: the platform's floor under the gateways of many namespaces.

use kube::CustomResource;
use sallyport_policy::source::GuardrailSpec;
use sallyport_policy::source::access::StatusCondition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access_policy::Attachments;

/// The platform's floor under the gateways of many namespaces; it can only narrow.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[kube(
    group = "sallyport.dev",
    version = "v1alpha1",
    kind = "McpGuardrail",
    plural = "mcpguardrails",
    shortname = "mcpgr",
    category = "sallyport",
    status = "McpGuardrailStatus",
    derive = "PartialEq",
    doc = "The platform's floor under the gateways of many namespaces; it can only narrow.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Gateways",
        type_ = "integer",
        json_path = ".status.gateways.total"
    ),
    printcolumn(
        name = "Current",
        type_ = "integer",
        json_path = ".status.gateways.current"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
pub struct McpGuardrailSpec(pub GuardrailSpec);

/// What is true of a guardrail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpGuardrailStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Programmed` and `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<StatusCondition>,
    /// The gateways under it; those below the floor need attention.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub gateways: Attachments,
}
