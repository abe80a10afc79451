//! How each gateway came out, for the status of policies and guardrails above it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sallyport_policy::compile::{Mistake, ObjectId};

use crate::index::ObjectName;

/// How one gateway came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub programmed: bool,
    pub below: bool,
    /// What of its policies and guardrails no longer compiles.
    pub mistakes: Vec<Mistake>,
}

/// The last outcome of each gateway.
#[derive(Debug, Default)]
pub struct Outcomes(Mutex<BTreeMap<ObjectName, Outcome>>);

impl Outcomes {
    /// Remembers an outcome; true where it is news.
    pub fn put(&self, gateway: &ObjectName, outcome: Outcome) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(gateway.clone(), outcome.clone()) != Some(outcome)
    }

    pub fn forget(&self, gateway: &ObjectName) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(gateway);
    }

    #[must_use]
    pub fn of(&self, gateway: &ObjectName) -> Outcome {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(gateway).cloned().unwrap_or_default()
    }

    /// What of an object no longer compiles, under any of these gateways.
    #[must_use]
    pub fn mistakes(&self, gateways: &[ObjectName], object: &ObjectId) -> Vec<String> {
        let mut found: Vec<String> = gateways
            .iter()
            .flat_map(|gateway| self.of(gateway).mistakes)
            .filter(|mistake| mistake.object == *object)
            .map(|mistake| mistake.to_string())
            .collect();
        found.sort();
        found.dedup();
        found
    }
}
