//! The proxy on the data path of every MCP call.

pub mod record;
