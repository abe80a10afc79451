//! Approvals (laws 19 to 24): what a human's word is bound to, whose word counts, and what it gives.
//!
//! The files follow the life of an access request. [`binding`] makes the digest that ties an approval to one
//! exact call. [`person`] says who is who, [`terms`] what was asked, [`voice`] what an approver said and whether
//! it counts, [`case`] what follows from it all: a state machine whose steps consume it. Time comes in as a
//! parameter and nothing is written here, so the sidecar's files and the operator's objects reach the same
//! verdict from the same facts. A `phase` that somebody wrote down is never read back.

pub mod binding;
pub mod case;
pub mod object;
pub mod person;
pub mod terms;
pub mod voice;

pub use binding::{Binding, BindingError, BindingKey};
pub use case::{Approved, Case, Closed, Closing, ConsumeRefusal, Outcome, Pending, Use};
pub use person::{Names, Requester};
pub use terms::{Claim, Misfit, RuleTerms, Scope, Terms, Window};
pub use voice::{Approver, Assurance, Refusal, Verdict, Voice};

#[cfg(test)]
mod tests;
