//! `McpAccessRequest`: somebody asks for one held call, or for a window of time.

use kube::CustomResource;
use sallyport_policy::source::{AccessRequestSpec, AccessRequestStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Somebody asks for one held call, or for a window of time.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[kube(
    group = "sallyport.dev",
    version = "v1alpha1",
    kind = "McpAccessRequest",
    plural = "mcpaccessrequests",
    shortname = "mcpreq",
    category = "sallyport",
    namespaced,
    status = "AccessRequestStatus",
    derive = "PartialEq",
    doc = "Somebody asks for one held call, or for a window of time.",
    selectable = ".spec.gatewayName",
    printcolumn(name = "Gateway", type_ = "string", json_path = ".spec.gatewayName"),
    printcolumn(
        name = "Requester",
        type_ = "string",
        json_path = ".spec.requester.subject"
    ),
    printcolumn(name = "Client", type_ = "string", json_path = ".spec.client"),
    printcolumn(name = "Call", type_ = "string", json_path = ".spec.call.tool"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Waiting",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expiresAt"),
    printcolumn(
        name = "Outcome",
        type_ = "string",
        json_path = ".status.outcome",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".spec.reason",
        priority = 1
    )
)]
pub struct McpAccessRequestSpec(pub AccessRequestSpec);
