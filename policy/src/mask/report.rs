//! What was masked: kinds, counts and places, never values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Kind (a detector, a pattern's name, `Field` or `InjectedCredential`) and count, with the places that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaskReport {
    pub counts: BTreeMap<String, u64>,
    /// JSON pointers from the result, error or params; at most [`MaskReport::POINTERS`] of them.
    pub pointers: Vec<String>,
}

impl MaskReport {
    /// More places than these are counted, not listed: a report must stay small beside what it tells about.
    pub const POINTERS: usize = 64;

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many spans were masked.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    pub fn count(&mut self, kind: &str, times: u64) {
        if let Some(seen) = self.counts.get_mut(kind) {
            *seen = seen.saturating_add(times);
        } else {
            self.counts.insert(kind.to_owned(), times);
        }
    }

    pub fn place(&mut self, pointer: &str) {
        if self.pointers.len() < Self::POINTERS && !self.pointers.iter().any(|p| p == pointer) {
            self.pointers.push(pointer.to_owned());
        }
    }

    /// Adds the counts and places of another report.
    pub fn absorb(&mut self, other: &Self) {
        for (kind, times) in &other.counts {
            self.count(kind, *times);
        }
        for pointer in &other.pointers {
            self.place(pointer);
        }
    }
}
