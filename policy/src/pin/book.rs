//! Which definitions are trusted: those that the gateway declares, those that somebody accepted, those seen first.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::name::Digest;
use crate::time::UnixMillis;

use super::{Definition, PinError};

/// Most tools that are trusted on first use, so that a server cannot fill the state folder with invented ones.
const MOST_TOOLS: usize = 10_000;

/// The pins of one gateway. Declared ones come from its policy each time; the others are this value's serialised state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PinBook {
    #[serde(skip)]
    declared: BTreeMap<String, BTreeSet<Digest>>,
    /// By tool, then by protocol revision, since a server may show another definition in each.
    trusted: BTreeMap<String, BTreeMap<String, TrustedPin>>,
}

/// A definition that was trusted on first use or accepted by a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredPin", into = "StoredPin")]
pub struct TrustedPin {
    stored: StoredPin,
    digest: Digest,
}

/// The digest is not stored: it could only repeat the definition, or contradict it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredPin {
    definition: String,
    since: UnixMillis,
    /// Set when a person accepted it: the pins that the gateway declared for the tool then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accepted_over: Option<BTreeSet<Digest>>,
}

/// What is to be thought of a definition. All but `Trusted` keep the tool from lists and calls, unless the gateway
/// only wants an alert; `FirstSeen` becomes `Trusted` by [`PinBook::trust`], where trust on first use is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinVerdict {
    Trusted,
    FirstSeen,
    /// It differs from its pin (where several are declared for the tool, one of them).
    Changed {
        pinned: Digest,
    },
    /// Several tools of one list share the name, so that nobody knows which one a call would reach.
    Duplicate,
}

impl PinBook {
    /// The same book under the pins that the gateway declares; several digests of one tool are alternatives.
    #[must_use]
    pub fn with_declared(mut self, pins: impl IntoIterator<Item = (String, Digest)>) -> Self {
        self.declared.clear();
        for (tool, digest) in pins {
            self.declared.entry(tool).or_default().insert(digest);
        }
        self
    }

    /// Judges a definition that a server showed in `revision`. Declared pins stand above what was seen first; what
    /// a person accepted stands beside them until they are declared anew.
    #[must_use]
    pub fn judge(&self, tool: &str, revision: &str, digest: Digest) -> PinVerdict {
        let trusted = self.trusted(tool, revision);
        let declared = self.declared.get(tool);
        if declared.is_some_and(|pins| pins.contains(&digest)) {
            return PinVerdict::Trusted;
        }
        let pinned = match (declared, trusted) {
            (Some(pins), Some(pin)) if pin.stored.accepted_over.as_ref() == Some(pins) => {
                Some(pin.digest)
            }
            (Some(pins), _) => pins.first().copied(),
            (None, pin) => pin.map(|pin| pin.digest),
        };
        match pinned {
            Some(pinned) if pinned == digest => PinVerdict::Trusted,
            Some(pinned) => PinVerdict::Changed { pinned },
            None => PinVerdict::FirstSeen,
        }
    }

    /// Judges all pages of one list together; by tool name.
    #[must_use]
    pub fn judge_list<'l>(
        &self,
        revision: &str,
        tools: impl IntoIterator<Item = &'l Definition>,
    ) -> BTreeMap<&'l str, PinVerdict> {
        let mut verdicts = BTreeMap::new();
        for tool in tools {
            verdicts
                .entry(tool.name())
                .and_modify(|verdict| *verdict = PinVerdict::Duplicate)
                .or_insert_with(|| self.judge(tool.name(), revision, tool.digest()));
        }
        verdicts
    }

    /// Trusts a definition on first use. Where one is trusted already it stays: only a person may replace it.
    pub fn trust(
        &mut self,
        definition: &Definition,
        revision: &str,
        now: UnixMillis,
    ) -> Result<(), PinError> {
        if self.trusted(definition.name(), revision).is_some() {
            return Ok(());
        }
        if !self.trusted.contains_key(definition.name()) && self.trusted.len() >= MOST_TOOLS {
            return Err(PinError::TooManyPins {
                tool: definition.name().to_owned(),
                limit: MOST_TOOLS,
            });
        }
        self.keep(definition, revision, now, None);
        Ok(())
    }

    /// Trusts a definition because a person says so, in the place of any other, until other pins are declared for the tool.
    pub fn accept(&mut self, definition: &Definition, revision: &str, now: UnixMillis) {
        let declared = self.declared.get(definition.name()).cloned();
        self.keep(
            definition,
            revision,
            now,
            Some(declared.unwrap_or_default()),
        );
    }

    /// Forgets what was trusted of a tool; tells whether anything was.
    pub fn forget(&mut self, tool: &str) -> bool {
        self.trusted.remove(tool).is_some()
    }

    /// What was trusted of a tool in a revision, for showing it and for diffs.
    #[must_use]
    pub fn trusted(&self, tool: &str, revision: &str) -> Option<&TrustedPin> {
        self.trusted.get(tool)?.get(revision)
    }

    /// All that is trusted: tool, revision, pin, in order.
    pub fn all_trusted(&self) -> impl Iterator<Item = (&str, &str, &TrustedPin)> {
        self.trusted.iter().flat_map(|(tool, revisions)| {
            let pins = revisions.iter();
            pins.map(move |(revision, pin)| (tool.as_str(), revision.as_str(), pin))
        })
    }

    fn keep(
        &mut self,
        definition: &Definition,
        revision: &str,
        since: UnixMillis,
        accepted_over: Option<BTreeSet<Digest>>,
    ) {
        let pin = TrustedPin::from(StoredPin {
            definition: definition.canonical().to_owned(),
            since,
            accepted_over,
        });
        let revisions = self
            .trusted
            .entry(definition.name().to_owned())
            .or_default();
        revisions.insert(revision.to_owned(), pin);
    }
}

impl TrustedPin {
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The canonical definition.
    #[must_use]
    pub fn definition(&self) -> &str {
        &self.stored.definition
    }

    #[must_use]
    pub fn since(&self) -> UnixMillis {
        self.stored.since
    }

    /// Whether a person accepted it; otherwise it was trusted on first use.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.stored.accepted_over.is_some()
    }
}

impl From<StoredPin> for TrustedPin {
    fn from(stored: StoredPin) -> Self {
        let digest = Digest::of(stored.definition.as_bytes());
        Self { stored, digest }
    }
}

impl From<TrustedPin> for StoredPin {
    fn from(pin: TrustedPin) -> Self {
        pin.stored
    }
}
