//! What is masked in everything that a server says, laws 25 to 27.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is masked, and how. Sections of several objects add up; none takes away what another masks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Masking {
    /// Detector groups (`Credentials`, `Financial`, `Personal`) or single detectors. Default: `Credentials`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 64)))]
    pub detectors: Option<Vec<String>>,
    /// Patterns of your own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub patterns: Vec<MaskPattern>,
    /// Fields of structured results that are masked whatever they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["tool", "path"]))]
    pub fields: Vec<FieldMask>,
    /// What happens to a hit of a detector or pattern. Default: `Redact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<MaskAction>,
}

/// A named regular expression whose matches are masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaskPattern {
    /// What a hit is called in marks and recordings.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// A regular expression, RE2-like: linear time, no look-around, no back-references.
    #[schemars(length(min = 1, max = 1024))]
    pub regex: String,
    /// What happens to a hit; default: the section's `action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<MaskAction>,
    /// How many characters at the end stay readable under `Partial`. Default: 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 16))]
    pub keep_last: Option<u8>,
}

/// A field of a tool's structured result that is always masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldMask {
    /// The tool, or a glob over tool names.
    #[schemars(length(min = 1, max = 256))]
    pub tool: String,
    /// Path from the root of `structuredContent`, and equally of any text that parses as JSON.
    #[schemars(length(min = 1, max = 512), extend("x-sallyport-expected" = "a path such as `$.card.number`"))]
    pub path: String,
    /// What happens to the value. Default: the section's `action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<MaskAction>,
    /// How many characters at the end stay readable under `Partial`. Default: 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 16))]
    pub keep_last: Option<u8>,
}

/// What happens to a value that is masked.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum MaskAction {
    /// The field or entry is taken out.
    Drop,
    /// The value is replaced by a mark that names its kind.
    Redact,
    /// The value is replaced by a keyed hash, so that equal values stay equal.
    Hash,
    /// The value is replaced but for its last characters.
    Partial,
}
