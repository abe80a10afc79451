//! The proxy on the data path of every MCP call.
//!
//! The way of a call: `listen` -> `inbound` -> `identity` -> `policy::mcp` -> `guard` -> (`hold`) -> `upstream` ->
//! `answer` -> `record` -> client. This crate never talks to Kubernetes and never decides by itself.

pub mod admin;
pub mod answer;
pub mod body;
pub mod bundle;
pub mod clock;
pub mod control;
pub mod credential;
pub mod gateway;
pub mod guard;
pub mod hold;
pub mod identity;
pub mod idle;
pub mod inbound;
pub mod journal;
pub mod listen;
pub mod memory;
pub mod metrics;
pub mod pod;
pub mod ready;
pub mod record;
pub mod run;
pub mod tls;
pub mod trail;
pub mod upstream;
pub mod watch;
