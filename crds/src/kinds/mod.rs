//! One file a kind: the spec of `policy::source` in a Kubernetes object, its status, and how `kubectl get` shows it.

#![expect(
    clippy::duplicated_attributes,
    reason = "the lint takes the same type of two printer columns for one attribute given twice"
)]

mod access_policy;
mod access_request;
mod access_review;
mod gateway;
mod guardrail;
mod schema;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

pub use access_policy::{Attachments, McpAccessPolicy, McpAccessPolicySpec, McpAccessPolicyStatus};
pub use access_request::{McpAccessRequest, McpAccessRequestSpec};
pub use access_review::{McpAccessReview, McpAccessReviewSpec};
pub use gateway::{McpGateway, McpGatewaySpec, McpGatewayStatus, PodCounts};
pub use guardrail::{McpGuardrail, McpGuardrailSpec, McpGuardrailStatus};

/// The definitions of every kind of ours, in the order in which they are printed.
#[must_use]
pub fn definitions() -> [CustomResourceDefinition; 5] {
    [
        schema::definition::<McpAccessPolicy>(),
        schema::definition::<McpAccessRequest>(),
        schema::definition::<McpAccessReview>(),
        schema::definition::<McpGateway>(),
        schema::definition::<McpGuardrail>(),
    ]
}

/// Whether a section says nothing, so that it is left out where it would be printed.
fn says_nothing<T: Default + PartialEq>(section: &T) -> bool {
    *section == T::default()
}
