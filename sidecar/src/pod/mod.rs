//! What the guard does because it stands in a pod: it proves itself, serves nothing before it was proven, and performs
//! the probes that the kubelet would have put to the containers beside it.
//!
//! Nothing here looks at MCP, and nothing here is told by anybody who could be the server.

pub mod door;
mod health;
pub mod probes;
pub mod proven;
pub mod report;
