//! What a gateway, its policies and its guardrails ask to be masked, gathered for the engine.
//!
//! Sections add up: a policy or guardrail never takes away what another masks, and where two ask for different
//! actions the first in the order of [`MaskAction`] wins (law 26).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::source::masking::{MaskAction, Masking};

use super::detector::{Detector, Group, NotADetector, detectors_named};
use super::engine::compiled;
use super::field::fits;

/// How much `Partial` leaves where nobody says, in characters.
const KEEP_LAST: u8 = 4;

/// The masking in force on one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskingSettings {
    /// Detectors that run on everything the server says, and what happens to their hits.
    pub detectors: BTreeMap<Detector, MaskAction>,
    /// Detectors that guardrails ask for. Previews for approvers use no others beside the credentials, or an
    /// author could hide arguments from the approver (law 23).
    pub platform: BTreeSet<Detector>,
    pub patterns: Vec<Pattern>,
    pub fields: Vec<FieldRule>,
    /// What is withheld because nobody can say any more what of it must be masked.
    pub unreadable: Unreadable,
}

/// What stored masking that no longer compiles would have masked (law 7): nothing of it goes out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unreadable {
    /// A detector or pattern could have been about any text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub everything: bool,
    /// A field rule was about the answers of these tools; `*` matches any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
}

impl Unreadable {
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        !self.everything && self.tools.is_empty()
    }

    /// Adds what another section withholds.
    pub fn add(&mut self, other: Self) {
        self.everything |= other.everything;
        for tool in other.tools {
            if !self.tools.contains(&tool) {
                self.tools.push(tool);
            }
        }
    }

    /// Whether nothing that concerns this tool, or no tool, may go out.
    pub(super) fn withholds(&self, tool: Option<&str>) -> bool {
        let concerns = |tool: &str| self.tools.iter().any(|glob| fits(glob, tool));
        self.everything || tool.is_some_and(concerns)
    }
}

/// A user's own pattern. The first capture group is the secret where there is one, else the whole match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Stands in marks and reports: a letter or digit, then at most 62 of letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// Linear-time syntax, without look-around and back-references.
    pub regex: String,
    pub action: MaskAction,
    /// How many characters `Partial` leaves at the end.
    pub keep_last: u8,
}

/// Masks what a path names in the answers of a tool (law 26).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRule {
    /// A tool's name; `*` matches any characters (law 5).
    pub tool: String,
    /// A path whose root is `structuredContent`, and equally any text that parses as JSON.
    pub path: String,
    pub action: MaskAction,
    /// How many characters `Partial` leaves at the end.
    pub keep_last: u8,
}

impl Default for MaskingSettings {
    /// Credentials, redacted (law 25).
    fn default() -> Self {
        let detectors = Group::Credentials.detectors();
        Self {
            detectors: detectors
                .map(|detector| (detector, MaskAction::Redact))
                .collect(),
            platform: BTreeSet::new(),
            patterns: Vec::new(),
            fields: Vec::new(),
            unreadable: Unreadable::default(),
        }
    }
}

impl MaskingSettings {
    /// Adds up the sections in force on one gateway. Only the gateway's own `detectors` can replace the default.
    pub fn gather(
        gateway: &Masking,
        policies: &[&Masking],
        guardrails: &[&Masking],
    ) -> Result<Self, MaskError> {
        let mut settings = Self::default();
        if let Some(action) = gateway.action {
            settings
                .detectors
                .values_mut()
                .for_each(|own| *own = action);
        }
        if gateway.detectors.is_some() {
            settings.detectors.clear();
        }
        for section in [gateway].iter().chain(policies).chain(guardrails) {
            settings.add(section)?;
        }
        for word in guardrails
            .iter()
            .flat_map(|section| section.detectors.iter().flatten())
        {
            settings.platform.extend(detectors_named(word)?);
        }
        Ok(settings)
    }

    fn add(&mut self, section: &Masking) -> Result<(), MaskError> {
        let action = section.action.unwrap_or(MaskAction::Redact);
        for word in section.detectors.iter().flatten() {
            for detector in detectors_named(word)? {
                let strictest = self.detectors.entry(detector).or_insert(action);
                *strictest = action.min(*strictest);
            }
        }
        self.patterns
            .extend(section.patterns.iter().map(|pattern| Pattern {
                name: pattern.name.clone(),
                regex: pattern.regex.clone(),
                action: pattern.action.unwrap_or(action),
                keep_last: pattern.keep_last.unwrap_or(KEEP_LAST),
            }));
        self.fields
            .extend(section.fields.iter().map(|field| FieldRule {
                tool: field.tool.clone(),
                path: field.path.clone(),
                action: field.action.unwrap_or(action),
                keep_last: field.keep_last.unwrap_or(KEEP_LAST),
            }));
        Ok(())
    }
}

/// Whether a pattern could be put in force, for those who judge settings before there is an engine.
///
/// # Errors
/// The name cannot stand in marks, or the expression cannot be run or matches the empty text.
pub fn check_pattern(name: &str, regex: &str) -> Result<(), MaskError> {
    compiled(name, regex).map(drop)
}

/// Settings that cannot be put in force; the author's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    #[error(transparent)]
    Detector(#[from] NotADetector),
    #[error(
        "`{0}` is not a name for a pattern; use a letter or digit, then at most 62 letters, digits, `.`, `_` or `-`"
    )]
    PatternName(String),
    #[error("`{name}` is the name of a detector; choose another for the pattern")]
    PatternShadows { name: String },
    #[error(
        "the regular expression of masking pattern `{name}` cannot be used: {why}; look-around and back-references are not supported"
    )]
    Regex { name: String, why: String },
    #[error(
        "masking pattern `{name}` matches the empty text, so it would match everywhere; make it match at least one character"
    )]
    RegexEmpty { name: String },
    #[error("the masking field for tool `{tool}` is wrong: {why}")]
    Path { tool: String, why: String },
    #[error(
        "an injected credential of {length} bytes is too short to be told from ordinary text; use at least {least}"
    )]
    ShortLiteral { length: usize, least: usize },
    #[error("the masking automaton cannot be built: {0}; use fewer or shorter patterns")]
    Automaton(String),
}
