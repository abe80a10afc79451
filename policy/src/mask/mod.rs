//! Masking: secrets leave no answer (laws 25 to 27).
//!
//! A [`Masker`] is built once from the settings in force and is immutable afterwards. It takes a whole JSON-RPC
//! message that comes from the server and says one of three things: it is clean and its bytes go on untouched,
//! it was changed by splices, or it must be withheld because no honest mask exists. Kind and count of what was
//! masked are reported, never values.
//!
//! The way of a message: `skim` over its raw bytes says where anything could be, `walk` goes there and knows
//! from `place` what may change, `engine` finds in the decoded text, `text` replaces until nothing is left.
//! Known limits: nothing is joined across messages; inside `structuredContent` the elements of an array are joined
//! only where one of them leads to something; encodings other than base64, hex and percent are not undone.

mod detector;
mod engine;
mod field;
mod kept;
mod literal;
mod mark;
mod message;
mod place;
mod preview;
mod report;
mod schema;
mod session;
mod settings;
mod skim;
mod text;
mod view;
mod walk;

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::hmac;
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::json::{Document, Node};
use crate::source::masking::MaskAction;

use engine::Engine;
use field::Rule;

pub use detector::{
    Definition, Detector, Example, Group, NotADetector, definitions, detectors_named,
    reference_table,
};
pub use report::MaskReport;
pub use schema::unmaskable;
pub use settings::{FieldRule, MaskError, MaskingSettings, Pattern, Unreadable, check_pattern};

/// What stands for a text of which nothing may be shown.
const NOTHING: &str = "[redacted:Unsettled]";

/// The gateway's secret (law 19) that keys hashes and previews.
#[derive(Clone)]
pub struct MaskKey(hmac::Key);

impl MaskKey {
    /// At least 32 bytes of entropy are expected; law 19 says where they come from.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey")
    }
}

/// What a message is, so that the engine knows which strings must not change and which rules apply.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// A response with `result`. For tasks, `method` is the request's own (`tasks/result`) and `tool` the tool that began it.
    ResultOf {
        method: &'a str,
        tool: Option<&'a str>,
        /// The `outputSchema` that the client was shown for the tool.
        output_schema: Option<&'a serde_json::Value>,
    },
    /// A response with `error`.
    ErrorOf {
        method: &'a str,
        tool: Option<&'a str>,
    },
    /// A notification of the server; `tool` where it belongs to a call of one.
    Notification {
        method: &'a str,
        tool: Option<&'a str>,
    },
    /// A request of the server to the client.
    ServerRequest { method: &'a str },
}

impl<'a> Scope<'a> {
    fn tool(&self) -> Option<&'a str> {
        match *self {
            Self::ResultOf { tool, .. }
            | Self::ErrorOf { tool, .. }
            | Self::Notification { tool, .. } => tool,
            Self::ServerRequest { .. } => None,
        }
    }
}

/// What became of a message.
#[derive(Debug)]
pub enum Masked {
    /// Nothing was found; the bytes go on as they came.
    Clean,
    /// These bytes take the place of the document's.
    Changed { bytes: Bytes, report: MaskReport },
    /// Nothing of the message may go on; the caller answers in its place (law 27).
    Withheld { report: MaskReport, why: Withheld },
}

/// Why no honest mask exists. The texts are for the client and name no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    #[error("a masked value would break the tool's output schema")]
    Schema,
    #[error("the name of a field holds a secret")]
    Key,
    #[error("a text that is not JSON cannot be masked by field")]
    Field,
    #[error("an address or name that cannot be left out holds a secret")]
    Address,
    #[error("a value that must not be changed holds a credential of the gateway")]
    Opaque,
    #[error("the message is not a JSON-RPC message")]
    Shape,
    #[error("a part of the masking in force cannot be read")]
    Unreadable,
}

/// What an approver sees of a call's arguments (law 23).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// JSON text; each masked span shows kind, length and a short HMAC.
    pub json: String,
    pub report: MaskReport,
}

/// The compiled masking of one gateway.
pub struct Masker {
    engine: Engine,
    /// The platform's detectors alone.
    shown: Engine,
    /// The same as `engine` with every hit redacted; none where `engine` does just that.
    kept: Option<Engine>,
    fields: Vec<Rule>,
    unreadable: Unreadable,
    key: MaskKey,
}

impl Masker {
    /// Shortest injected credential that can be masked wherever it occurs, in bytes.
    pub const SHORTEST_LITERAL: usize = 4;

    /// Compiles settings. `literals` are the values of injected credentials, masked always (law 25).
    ///
    /// # Errors
    /// The author's mistakes in patterns and paths, and credentials too short to be masked.
    pub fn new(
        settings: &MaskingSettings,
        literals: &[Zeroizing<Vec<u8>>],
        key: &MaskKey,
    ) -> Result<Self, MaskError> {
        if let Some(short) = literals
            .iter()
            .find(|literal| literal.len() < Self::SHORTEST_LITERAL)
        {
            return Err(MaskError::ShortLiteral {
                length: short.len(),
                least: Self::SHORTEST_LITERAL,
            });
        }
        let detectors = settings
            .detectors
            .iter()
            .map(|(detector, action)| (*detector, *action));
        let credentials = Group::Credentials.detectors();
        let shown: std::collections::BTreeSet<_> = credentials
            .chain(settings.platform.iter().copied())
            .collect();
        let shown = shown
            .into_iter()
            .map(|detector| (detector, MaskAction::Redact));
        Ok(Self {
            kept: redacting(settings, literals)?,
            engine: Engine::new(detectors, &settings.patterns, literals)?,
            shown: Engine::new(shown, &[], literals)?,
            fields: settings
                .fields
                .iter()
                .map(Rule::new)
                .collect::<Result<_, _>>()?,
            unreadable: settings.unreadable.clone(),
            key: key.clone(),
        })
    }

    /// Masks a message of the server. A batch is masked whole under one scope; split it where scopes differ.
    #[must_use]
    pub fn mask(&self, document: &Document, scope: &Scope<'_>) -> Masked {
        message::mask_message(self, document, scope)
    }

    /// The client's message as a recording may keep it: whatever detectors and patterns find in its strings, and every
    /// credential of the gateway, is `[redacted:Kind]`. The document's own bytes where there is nothing to find.
    #[must_use]
    pub fn mask_request(&self, document: &Document) -> Bytes {
        kept::kept(self, document)
    }

    /// Masks a text outside of any message: a line of the server's stderr, an error's text.
    #[must_use]
    pub fn mask_text<'t>(&self, text: &'t str) -> (Cow<'t, str>, MaskReport) {
        let mut report = MaskReport::default();
        if self.unreadable.everything {
            return (Cow::Borrowed(NOTHING), report);
        }
        let masked = text::mask_text(
            &self.engine,
            &self.key,
            text,
            text::Surroundings::default(),
            &mut report,
        );
        (masked, report)
    }

    /// What an approver may see of a value, by the platform's detectors alone (law 23).
    #[must_use]
    pub fn preview(&self, node: Node<'_>) -> Preview {
        preview::preview(&self.shown, &self.key, preview::Values::Shown, node)
    }

    /// The same without any value: names, kinds and lengths, for rules with `preview: Metadata`.
    #[must_use]
    pub fn outline(&self, node: Node<'_>) -> Preview {
        preview::preview(&self.shown, &self.key, preview::Values::Outlined, node)
    }
}

/// An engine for recordings where the one for answers does anything but redact.
fn redacting(
    settings: &MaskingSettings,
    literals: &[Zeroizing<Vec<u8>>],
) -> Result<Option<Engine>, MaskError> {
    let detected = settings.detectors.values();
    let matched = settings.patterns.iter().map(|pattern| &pattern.action);
    if detected
        .chain(matched)
        .all(|action| *action == MaskAction::Redact)
    {
        return Ok(None);
    }
    let detectors = settings
        .detectors
        .keys()
        .map(|detector| (*detector, MaskAction::Redact));
    let redacted = |pattern: &Pattern| Pattern {
        action: MaskAction::Redact,
        ..pattern.clone()
    };
    let patterns: Vec<_> = settings.patterns.iter().map(redacted).collect();
    Engine::new(detectors, &patterns, literals).map(Some)
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Literals are secrets, and so may patterns be.
        f.write_str("Masker")
    }
}

#[cfg(test)]
mod tests;
