//! What a gateway, its policies and its guardrails ask to be masked, resolved and readable by the engine.
//!
//! These are plain values: everything that can be wrong with them is told by [`Masker::new`](super::Masker::new).

use std::collections::BTreeSet;

use super::detector::Detector;
use super::detector::Group;

/// The masking in force on one gateway: the gateway's own, its policies' and its guardrails' added together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskingSettings {
    /// Detectors that run on everything the server says.
    pub detectors: BTreeSet<Detector>,
    /// Detectors that guardrails ask for. They run too, and previews for approvers use no others beside the
    /// credentials, or an author could hide arguments from the approver (law 23).
    pub platform: BTreeSet<Detector>,
    /// Patterns of the user.
    pub patterns: Vec<Pattern>,
    /// Field rules by tool.
    pub fields: Vec<FieldRule>,
    /// What happens to a hit of a detector or pattern.
    pub action: Action,
    /// How much [`Action::Partial`] leaves of a hit of a detector or pattern, in characters.
    pub keep_last: usize,
}

impl Default for MaskingSettings {
    /// Credentials, redacted (law 25).
    fn default() -> Self {
        Self {
            detectors: Group::Credentials.detectors().collect(),
            platform: BTreeSet::new(),
            patterns: Vec::new(),
            fields: Vec::new(),
            action: Action::Redact,
            keep_last: 4,
        }
    }
}

/// A user's own pattern. The first capture group is the secret where there is one, else the whole match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Stands in marks and reports: a letter, then at most 63 of letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// Linear-time syntax, without look-around and back-references.
    pub regex: String,
}

/// Masks what a path names in the answers of a tool (law 26).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRule {
    /// A tool's name; `*` matches any characters (law 5).
    pub tool: String,
    /// A path whose root is `structuredContent`, and equally any text that parses as JSON.
    pub path: String,
    pub action: Action,
    /// How many characters [`Action::Partial`] leaves at the end.
    pub keep_last: usize,
}

/// What happens to what was found. Ordered by precedence where several match one value: the first wins (law 26).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The member, element or span is taken out.
    Drop,
    /// A mark that names the kind takes its place.
    Redact,
    /// A mark with a keyed HMAC takes its place, so that equal values stay equal.
    Hash,
    /// Only the last characters stay.
    Partial,
}

/// Settings that cannot be put in force; the author's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    #[error(
        "`{0}` is not a name for a pattern; use a letter, then at most 63 letters, digits, `.`, `_` or `-`"
    )]
    PatternName(String),
    #[error("two masking patterns are named `{0}`; rename one")]
    PatternTwice(String),
    #[error("`{name}` takes the name of a detector; choose another name for the pattern")]
    PatternShadows { name: String },
    #[error(
        "the regular expression of masking pattern `{name}` cannot be used: {why}; look-around and back-references are not supported"
    )]
    Regex { name: String, why: String },
    #[error(
        "masking pattern `{name}` matches the empty text, so it would match everywhere; make it match at least one character"
    )]
    RegexEmpty { name: String },
    #[error("the masking field for tool `{tool}` has a wrong path: {why}")]
    Path { tool: String, why: String },
    #[error(
        "an injected credential of {length} bytes is too short to be told from ordinary text; use at least {least}"
    )]
    ShortLiteral { length: usize, least: usize },
    #[error("the masking automaton cannot be built: {0}; use fewer or shorter patterns")]
    Automaton(String),
}
