//! Checkpoints: signed statements over the heads of all chains.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::Digest;

/// What one has to keep elsewhere to prove later that a recording is complete up to here (law 33).
/// Written `<number>:sha256:<hex>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Head {
    /// Number of the checkpoint, from 1.
    pub checkpoint: u64,
    /// SHA-256 of its JSON.
    pub digest: Digest,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.checkpoint, self.digest)
    }
}

#[derive(Clone, Debug)]
pub struct Checkpoint {}
#[derive(Debug)]
pub struct SigningKey {}
#[derive(Clone, Debug)]
pub struct VerifyingKey {}
