//! What of a tool is pinned: all that tells a model what the tool does, nothing that a server may change at will.

use crate::json::{JsonError, Kind, Node, canonical, quote, twins};
use crate::name::Digest;

use super::PinError;

/// The pinned members of a tool beside `_meta.ui`, in canonical order; `_meta` sorts before all of them.
const MEMBERS: [&str; 7] = [
    "annotations",
    "description",
    "execution",
    "inputSchema",
    "name",
    "outputSchema",
    "title",
];

/// A tool's definition in canonical form, and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    name: String,
    canonical: String,
    digest: Digest,
}

impl Definition {
    /// Reads an entry of `tools/list`, before any masking. Absent members stay absent; other members, other keys
    /// of `_meta` and icons do not count.
    pub fn of(tool: Node<'_>) -> Result<Self, PinError> {
        if tool.kind() != Kind::Object {
            return Err(PinError::NotAnObject);
        }
        let name = tool.get("name").and_then(|name| name.as_str());
        let name = name.ok_or(PinError::NoName)?.into_owned();
        if let Some(key) = imitation(tool) {
            return Err(PinError::Twin { tool: name, key });
        }
        let canonical = canonical_form(tool).map_err(|error| PinError::NotCanonical {
            tool: name.clone(),
            error,
        })?;
        let digest = Digest::of(canonical.as_bytes());
        Ok(Self {
            name,
            canonical,
            digest,
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The canonical JSON that the digest is made of; what [`super::diff`] compares.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// A client in another language might take such a key for the pinned one.
fn imitation(tool: Node<'_>) -> Option<String> {
    let known: Vec<_> = MEMBERS.into_iter().chain(["_meta"]).collect();
    let in_meta = || twins(tool.get("_meta")?, &["ui"]);
    twins(tool, &known).or_else(in_meta)
}

fn canonical_form(tool: Node<'_>) -> Result<String, JsonError> {
    let mut members = Vec::new();
    if let Some(ui) = tool.get("_meta").and_then(|meta| meta.get("ui")) {
        members.push(format!(r#""_meta":{{"ui":{}}}"#, canonical_text(ui)?));
    }
    for key in MEMBERS {
        if let Some(value) = tool.get(key) {
            members.push(format!("{}:{}", quote(key), canonical_text(value)?));
        }
    }
    Ok(format!("{{{}}}", members.join(",")))
}

fn canonical_text(node: Node<'_>) -> Result<String, JsonError> {
    // Canonical bytes are UTF-8 as the document was; a copy with marks in it would only be another definition.
    canonical(node).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
