//! The proxy on the data path of every MCP call.

pub mod clock;
pub mod hold;
pub mod identity;
pub mod tls;
