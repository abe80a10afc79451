//! Protocol revisions, and the two eras they fall into.
//!
//! Only revisions listed here are spoken: what a future one means, no policy here can know, so an unknown one is
//! refused wherever it is named.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A released revision of the protocol, in order of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Revision {
    #[serde(rename = "2024-11-05")]
    V2024_11_05,
    #[serde(rename = "2025-03-26")]
    V2025_03_26,
    #[serde(rename = "2025-06-18")]
    V2025_06_18,
    #[serde(rename = "2025-11-25")]
    V2025_11_25,
    #[serde(rename = "2026-07-28")]
    V2026_07_28,
}

/// How a revision keeps state: with sessions opened by `initialize`, or with metadata in each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    Legacy,
    Modern,
}

impl Revision {
    pub const ALL: [Self; 5] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];
    pub const OLDEST: Self = Self::V2024_11_05;
    pub const NEWEST: Self = Self::V2026_07_28;
    pub const NEWEST_LEGACY: Self = Self::V2025_11_25;
    /// What a legacy request without any version means (2025-11-25, Protocol Version Header).
    pub const UNSTATED: Self = Self::V2025_03_26;

    /// Exact text only; none for anything we do not speak.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    #[must_use]
    pub const fn era(self) -> Era {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 | Self::V2025_06_18 | Self::V2025_11_25 => {
                Era::Legacy
            }
            Self::V2026_07_28 => Era::Modern,
        }
    }

    #[must_use]
    pub const fn is_modern(self) -> bool {
        matches!(self.era(), Era::Modern)
    }

    /// Whether a POST may carry an array of messages: 2025-03-26 alone.
    #[must_use]
    pub const fn batches(self) -> bool {
        matches!(self, Self::V2025_03_26)
    }

    /// All revisions of one era, oldest first.
    pub fn of_era(era: Era) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |known| known.era() == era)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_revision_reads_back_and_they_are_in_order_of_age() {
        for known in Revision::ALL {
            assert_eq!(Revision::parse(known.as_str()), Some(known));
        }
        assert!(Revision::ALL.is_sorted());
        assert!(Revision::ALL.iter().map(|known| known.as_str()).is_sorted());
    }

    #[test]
    fn an_unknown_revision_is_not_guessed() {
        for text in ["", "2026-07-29", "2024-10-07", " 2025-11-25", "draft"] {
            assert_eq!(Revision::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_newest_is_modern_and_only_2025_03_26_batches() {
        let modern: Vec<_> = Revision::of_era(Era::Modern).collect();
        assert_eq!(modern, [Revision::V2026_07_28]);
        let batching: Vec<_> = Revision::ALL.into_iter().filter(|r| r.batches()).collect();
        assert_eq!(batching, [Revision::V2025_03_26]);
    }
}
