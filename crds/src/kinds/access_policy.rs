//! `McpAccessPolicy`: who may do what on which gateways.

use kube::CustomResource;
use sallyport_policy::source::AccessPolicySpec;
use sallyport_policy::source::access::StatusCondition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may do what on which gateways.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[kube(
    group = "sallyport.dev",
    version = "v1alpha1",
    kind = "McpAccessPolicy",
    plural = "mcpaccesspolicies",
    shortname = "mcpap",
    category = "sallyport",
    namespaced,
    status = "McpAccessPolicyStatus",
    derive = "PartialEq",
    doc = "Who may do what on which gateways.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Tests",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='TestsPassed')].status"
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
        name = "Enforcement",
        type_ = "string",
        json_path = ".spec.enforcement",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
pub struct McpAccessPolicySpec(pub AccessPolicySpec);

/// What is true of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpAccessPolicyStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Programmed`, `TestsPassed` and `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<StatusCondition>,
    /// The gateways that it attaches to.
    #[serde(default, skip_serializing_if = "super::says_nothing")]
    pub gateways: Attachments,
}

/// How many gateways are how far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attachments {
    /// Gateways that the policy names.
    #[serde(default)]
    pub total: u32,
    /// Those whose pods all enforce it.
    #[serde(default)]
    pub current: u32,
    /// Gateways that need attention, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub attention: Vec<String>,
}
