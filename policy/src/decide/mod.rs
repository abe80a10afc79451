//! Deciding: one bundle, one operation, its facts; one verdict with its explanation.
//!
//! Precedence stands in one place (`precedence.rs`): deny beats hold beats allow, and nothing matched is deny.
//! Evaluation is total and has no side effect but charging budgets. This module is the only maker of [`Permit`].

mod ahead;
mod budget;
mod engine;
mod explanation;
mod index;
mod lists;
mod operation;
mod precedence;
mod rule;
#[cfg(test)]
mod tests;
mod twins;
mod verdict;

pub use ahead::{Asker, NoWindow};
pub(crate) use budget::ActiveBudget;
pub use budget::{Budgets, Slot};
pub use explanation::{Explanation, Looked, Outcome, Shadow, Why};
pub(crate) use index::{Entry, Index, Key, Keys, Posting, RuleIndex, Targets};
pub use operation::{Facts, Listed, Operation, ToolFacts, no_header};
pub(crate) use rule::{ActiveObject, ActiveRule};
pub use verdict::{
    ApprovalNeeded, Decision, Denial, DenyReason, GrantTerms, GrantUse, HoldRule, Permit, Verdict,
};

pub use crate::source::rule::{GrantScope, Preview};
