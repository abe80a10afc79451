//! What a run does; written by `cargo xtask soak`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Plan {
    /// Part of every mark, so that no two runs share one.
    pub(crate) run: String,
    pub(crate) seconds: u64,
    pub(crate) seed: u64,
    /// Only plain calls, which all must be answered.
    pub(crate) calm: bool,
    /// Guards go away meanwhile: lost calls and forgotten sessions are no surprise.
    pub(crate) outages: bool,
    pub(crate) targets: Vec<Target>,
}

/// One guard.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// The server behind is reached by one pipe a session, so that a fault may cost the session.
    pub(crate) linked: bool,
    /// Its state folder: key of the issuer, and socket on which approvals are decided.
    pub(crate) state: PathBuf,
    pub(crate) clients: u32,
}
