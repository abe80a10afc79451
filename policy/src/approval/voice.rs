//! What an approver said, and whether it counts (law 23).

use std::collections::BTreeSet;

use crate::approval::person::Names;
use crate::approval::terms::Terms;
use crate::name::{Digest, Issuer};
use crate::time::UnixMillis;

pub use crate::source::access::{Assurance, Verdict};

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    pub username: String,
    pub groups: BTreeSet<String>,
    /// The issuers that the name belongs to. Standalone: its own, and the gateway's first one, for which it stands
    /// in (law 10).
    pub issuers: BTreeSet<Issuer>,
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

impl Voice {
    /// Whether this voice counts on `terms`, after those that count `already`.
    pub fn counts(&self, terms: &Terms, already: &[Self]) -> Result<(), Refusal> {
        if self.by.username.trim().is_empty() {
            return Err(Refusal::NoName);
        }
        let names = self.by.names();
        let own = terms.requester.names.may_be(&names);
        match self.verdict {
            Verdict::Approve | Verdict::Deny => {
                if own {
                    return Err(Refusal::SelfReview(self.by.username.clone()));
                }
                self.is_first(&names, already)?;
                self.is_admitted(terms)?;
            }
            // Taking back only narrows, so the requester may do it as well.
            Verdict::Revoke if own => {}
            Verdict::Revoke => self.is_admitted(terms)?,
        }
        if self.verdict == Verdict::Approve {
            self.is_informed(terms)?;
        }
        Ok(())
    }

    fn is_first(&self, names: &Names, already: &[Self]) -> Result<(), Refusal> {
        let spoke = already
            .iter()
            .any(|voice| voice.verdict != Verdict::Revoke && voice.by.names().may_be(names));
        if spoke {
            return Err(Refusal::SecondVoice(self.by.username.clone()));
        }
        Ok(())
    }

    fn is_admitted(&self, terms: &Terms) -> Result<(), Refusal> {
        if let Some(rule) = terms.rules.iter().find(|rule| rule.approvers.is_empty()) {
            return Err(Refusal::NoApprovers(rule.id.to_string()));
        }
        if terms.rules.iter().any(|rule| rule.admits(&self.by)) {
            return Ok(());
        }
        Err(Refusal::NotAnApprover {
            name: self.by.username.clone(),
            wanted: terms.wanted(),
        })
    }

    fn is_informed(&self, terms: &Terms) -> Result<(), Refusal> {
        let reason = self
            .reason
            .as_ref()
            .is_some_and(|text| !text.trim().is_empty());
        if !reason && terms.rules.iter().any(|rule| rule.reason_required) {
            return Err(Refusal::ReasonMissing);
        }
        if self.preview != terms.preview_digest() {
            return Err(Refusal::PreviewDiffers);
        }
        Ok(())
    }
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
