//! Events about the recording itself: its writers, its gaps, its readers, and what was deleted.

use serde::{Deserialize, Serialize};

use crate::name::{Digest, GatewayName, Revision, SessionId};
use crate::record::checkpoint::Head;
use crate::time::UnixMillis;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WriterBegan {
    /// Version of the program that writes.
    pub version: String,
    pub pid: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovered {
    /// The segment that the former writer was in.
    pub segment: u64,
    /// Bytes of an unfinished last line, set aside in a `.torn` file; they were never acknowledged.
    pub torn_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torn_digest: Option<Digest>,
    /// Unreadable lines before readable ones, which a crash does not explain; left where they are.
    pub damaged_lines: u64,
    /// Sessions that were open, each ended in its own chain.
    pub sessions: u64,
    /// Calls that were open, each ended as answered where its answer was on record, else as `Unknown`.
    pub calls: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyChanged {
    pub gateway: GatewayName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Revision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Revision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GapCause {
    /// No room on the disk, or the quota was used up.
    NoSpace,
    /// More came than the disk could take.
    QueueFull,
    /// An event was larger than a line may be.
    TooLarge,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gap {
    /// How many events were lost since `since`.
    pub lost: u64,
    pub cause: GapCause,
    pub since: UnixMillis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ViewKind {
    List,
    Replay,
    Export,
    Watch,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Viewed {
    /// Name of the account that read, and its uid.
    pub user: String,
    pub uid: u32,
    pub kind: ViewKind,
    /// The session read; none for a search over all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The search, as typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PurgeCause {
    /// Older than the gateway's retention.
    Retention,
    /// Somebody's data had to go.
    Erasure,
}

/// What was deleted. Together with the signed checkpoint after it, this is the tombstone that `verify` accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Purged {
    pub user: String,
    pub uid: u32,
    pub cause: PurgeCause,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub what: PurgedThing,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum PurgedThing {
    /// The payloads of one session up to and including event `through`; its events stay.
    #[serde(rename_all = "camelCase")]
    Payloads {
        session: SessionId,
        through: u64,
        payloads: u64,
        bytes: u64,
    },
    /// One whole segment with its payloads.
    #[serde(rename_all = "camelCase")]
    Segment {
        segment: u64,
        /// SHA-256 of the file as it was, which the next segment's head names too.
        digest: Digest,
        /// Of its events and payloads.
        bytes: u64,
        /// The last checkpoint in it, which the next one names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkpoint: Option<Head>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LegalHold {
    pub session: SessionId,
    pub held: bool,
    pub user: String,
    pub uid: u32,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WriterEnded {
    /// Events that this writer wrote, this one included.
    pub events: u64,
    /// Events that it had to drop.
    pub lost: u64,
}
