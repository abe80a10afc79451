//! `McpAccessReview`: one approver's word. It has no status: nothing about it ever changes.

use kube::CustomResource;
use sallyport_policy::source::AccessReviewSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One approver's word on one access request.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[kube(
    group = "sallyport.dev",
    version = "v1alpha1",
    kind = "McpAccessReview",
    plural = "mcpaccessreviews",
    shortname = "mcprev",
    category = "sallyport",
    namespaced,
    derive = "PartialEq",
    doc = "One approver's word on one access request.",
    selectable = ".spec.gatewayName",
    selectable = ".spec.requestRef.name",
    printcolumn(
        name = "Request",
        type_ = "string",
        json_path = ".spec.requestRef.name"
    ),
    printcolumn(name = "Gateway", type_ = "string", json_path = ".spec.gatewayName"),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".spec.verdict"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.by.username"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
pub struct McpAccessReviewSpec(pub AccessReviewSpec);
