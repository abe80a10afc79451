//! The explanation that each verdict carries: which rules were looked at and why each matched or not.
//!
//! Small records made during the one evaluation; text is rendered on demand and nothing is judged twice. It
//! never holds a value of the call, only names out of the policy, so it may be recorded and shown.

use std::fmt;
use std::sync::Arc;

use super::verdict::{DenyReason, Verdict};
use crate::name::{Revision, RuleId};

/// How a verdict came about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// In order of evaluation. Rules about other tools, and of policies about other people, are skipped by
    /// the index and not listed.
    pub looked: Vec<Looked>,
    /// What Observe would have said, where it differs (law 6).
    pub shadow: Option<Shadow>,
    pub revision: Option<Revision>,
}

/// One rule that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    pub rule: Arc<RuleId>,
    pub outcome: Outcome,
    /// Of a policy in Observe: recorded, not enforced.
    pub observed: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Matched,
    NotMatched {
        why: Why,
    },
    CannotBeEvaluated {
        why: Why,
    },
    /// The policy is not about this caller or this time.
    NotApplicable {
        why: Why,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// No item of `subjects` fits the caller.
    Subject,
    /// `clients` does not list the agent.
    Client,
    /// Outside `validity`.
    Validity,
    /// The stored rule no longer compiles (law 7).
    Broken,
    /// A condition, in the words of the policy.
    Condition(Arc<str>),
    /// Scopes that the token lacks.
    Scopes(Vec<String>),
}

/// What would have been decided if Observe were Enforce.
#[derive(Clone, Debug, PartialEq)]
pub struct Shadow {
    pub verdict: Verdict,
    pub reason: Option<DenyReason>,
    pub rule: Option<Arc<RuleId>>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for looked in &self.looked {
            writeln!(f, "{looked}")?;
        }
        if let Some(shadow) = &self.shadow {
            writeln!(f, "{shadow}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let observed = if self.observed {
            " (observed only)"
        } else {
            ""
        };
        write!(f, "{}{observed}: {}", self.rule, self.outcome)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matched => f.write_str("matched"),
            Self::NotMatched { why } => write!(f, "not matched: {why}"),
            Self::CannotBeEvaluated { why } => write!(f, "cannot be evaluated: {why}"),
            Self::NotApplicable { why } => write!(f, "not applicable: {why}"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject => f.write_str("the policy is not about this caller"),
            Self::Client => f.write_str("the policy is not about this client"),
            Self::Validity => f.write_str("the policy is not valid now"),
            Self::Broken => f.write_str("the stored rule does not compile any more"),
            Self::Condition(text) => write!(f, "{text}"),
            Self::Scopes(missing) => {
                write!(f, "the token lacks the scope `{}`", missing.join("`, `"))
            }
        }
    }
}

impl fmt::Display for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Allow => "allow",
            Verdict::Hold => "hold",
            Verdict::Deny => "deny",
        };
        write!(f, "enforced, this would be: {verdict}")?;
        match (&self.rule, self.reason) {
            (Some(rule), _) => write!(f, " by {rule}"),
            (None, Some(reason)) => write!(f, " ({})", reason.code()),
            (None, None) => Ok(()),
        }
    }
}
