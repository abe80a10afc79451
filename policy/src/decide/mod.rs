//! Deciding: one bundle, one operation, its facts; one verdict with its explanation.
//!
//! Precedence stands in one place (`precedence.rs`): deny beats hold beats allow, and nothing matched is deny.
//! Evaluation is total and has no side effect but charging budgets. This module is the only maker of [`Permit`].

mod budget;
mod explanation;
mod operation;
mod verdict;

pub use budget::{Budgets, Slot};
pub use explanation::{Explanation, Looked, Outcome, Shadow, Why};
pub use operation::{Facts, Listed, Operation, ToolFacts, no_header};
pub use verdict::{
    ApprovalNeeded, Decision, Denial, DenyReason, GrantScope, GrantSpec, GrantUse, HoldRule,
    Permit, Preview, Verdict,
};
