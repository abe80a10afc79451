//! Chains: one per session, each event naming the hash of the one before.

use serde::{Deserialize, Serialize};

use crate::name::{Digest, SessionId};
use crate::time::UnixMillis;

use super::event::{Event, PayloadKind};

/// Where in a chain an event stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventRef {
    pub session: SessionId,
    /// From 0, without holes.
    pub seq: u64,
    /// SHA-256 of the event's JSON as it stands in the segment.
    pub hash: Digest,
}

/// The last event of one chain.
pub type ChainHead = EventRef;

/// An event as it stands in a segment. Its hash is the SHA-256 of its JSON, so it covers `prev` and all payload digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventRecord {
    pub session: SessionId,
    pub seq: u64,
    /// Hash of the session's event before this one; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Digest>,
    pub at: UnixMillis,
    pub event: Event,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<PayloadRef>,
}

/// A payload that lies apart: what it is, where it is, and its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PayloadRef {
    pub kind: PayloadKind,
    pub digest: Digest,
    pub length: u64,
    /// Number of the payload file, the same as its segment's.
    pub file: u64,
    pub offset: u64,
}
