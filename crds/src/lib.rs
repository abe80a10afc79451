//! The kinds of `sallyport.dev/v1alpha1` around the specs of `policy::source`.
//!
//! Two readers share those specs: the API server, for which `generate` prints custom resource definitions, and files,
//! which `yaml` reads with a place for every mistake. Nothing here decides anything, and nothing talks to a cluster.

pub mod conditions;
pub mod generate;
pub mod kinds;
pub mod reference;
mod shape;
pub mod yaml;

pub use kinds::{McpAccessPolicy, McpAccessRequest, McpAccessReview, McpGateway, McpGuardrail};
