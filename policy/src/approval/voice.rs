//! What an approver said, and whether it counts (law 23).

use std::collections::BTreeSet;

use crate::approval::person::{Names, account_of};
use crate::name::{Digest, Issuer};
use crate::time::UnixMillis;

/// One approver's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    Approve,
    Deny,
    /// Takes back what was approved.
    Revoke,
}

/// How far the platform vouches for the approver's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assurance {
    /// The approver said so (standalone, law 24).
    Asserted,
    /// The Kubernetes API server authenticated the approver.
    Authenticated,
}

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    pub username: String,
    pub groups: BTreeSet<String>,
    /// The issuer that the name belongs to; standalone, the gateway's first one (law 10).
    pub issuer: Option<Issuer>,
    /// Other names of the same person, from `identityMap`.
    pub aliases: BTreeSet<String>,
    pub assurance: Assurance,
    /// The OS account at the other end of the approval socket.
    pub uid: Option<u32>,
}

impl Approver {
    #[must_use]
    pub fn names(&self) -> Names {
        let aliases = self.aliases.iter().map(String::as_str);
        Names::new(aliases.chain([self.username.as_str()]))
    }

    #[must_use]
    pub fn is_service_account(&self) -> bool {
        account_of(&self.username).is_some()
    }
}

/// A review as it counts: who, what, when, and what they saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voice {
    pub by: Approver,
    pub verdict: Verdict,
    pub reason: Option<String>,
    /// Digest of the preview that the approver saw.
    pub preview: Option<Digest>,
    pub at: UnixMillis,
}

/// Why a review does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("`{0}` made this request or acts for whoever did; ask somebody else to review it")]
    SelfReview(String),
    #[error("`{0}` has already reviewed this request; each person has one voice")]
    SecondVoice(String),
    #[error("`{name}` is not an approver of any rule of this request; approvers: {wanted}")]
    NotAnApprover { name: String, wanted: String },
    #[error("rule `{0}` names no approvers, so nobody can approve; name them in the policy")]
    NoApprovers(String),
    #[error("this review needs a reason; give one with `--reason`")]
    ReasonMissing,
    #[error("the preview of this request is not the one that was reviewed; look at it again")]
    PreviewDiffers,
    #[error("a reviewer needs a name")]
    NoName,
    #[error("this request is {0}, so it cannot be reviewed any more")]
    Closed(&'static str),
    #[error("this request is pending; deny it instead of revoking it")]
    NothingToRevoke,
}
