//! The pure core of Sallyport: bytes and facts in, decisions and bytes out.
//!
//! Nothing here waits, opens a file, reads a clock or draws a random number; all of these come in as
//! parameters. That is what lets the sidecar, the operator, the command line and the tests reach the same
//! verdict from the same input. The crate must never depend on an async runtime or on Kubernetes.

pub mod approval;
pub mod bundle;
pub mod compile;
pub mod condition;
pub mod control;
pub mod decide;
pub mod endpoint;
pub mod json;
pub mod mask;
pub mod mcp;
pub mod name;
pub mod near;
pub mod pin;
pub mod principal;
pub mod proof;
pub mod record;
pub mod source;
pub mod sse;
pub mod time;
