//! One message on its way through the masks: what is known of it, and what was found so far.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;

use crate::json::{Document, Kind, Limits, Node};

use super::engine::{Engine, FIELD, Hit};
use super::field::{Act, Rule, leaves};
use super::mark::{is_mask, mask};
use super::place::Place;
use super::schema::Schema;
use super::text::{Surroundings, mask_text};
use super::walk::{At, Fate, Walk};
use super::{MaskReport, Masker, Scope, Withheld};

/// How deep JSON inside texts inside JSON is parsed. Deeper texts are scanned as texts, through their escapes.
const NESTING: u8 = 6;
/// How many masked values are looked for in the rest of an answer.
const ECHOES: usize = 1024;
/// A shorter value stands in too many texts by chance.
const SHORTEST_ECHO: usize = 4;

/// The state of masking one message.
pub(super) struct Session<'m, 'v> {
    pub(super) masker: &'m Masker,
    engine: &'m Engine,
    /// Names of members are masked too, for nobody looks anything up in a recording.
    keys_too: bool,
    /// How many names were masked so far.
    keys: u32,
    pub(super) method: &'v str,
    /// Field rules of the tool.
    pub(super) rules: Vec<&'m Rule>,
    pub(super) schema: Option<Schema<'v>>,
    /// `structuredContent` as masked, to take the place of texts that cannot be masked by field.
    pub(super) payload: Option<String>,
    /// Values that field rules mask: a server often repeats them elsewhere in the answer.
    echoes: Vec<(String, Act)>,
    pub(super) report: MaskReport,
    pub(super) withheld: Option<Withheld>,
    pub(super) pointer: Pointer,
    nesting: u8,
}

/// What became of a document inside the message.
pub(super) enum Inner {
    Same,
    Changed(Bytes),
    Gone,
}

impl<'m, 'v> Session<'m, 'v> {
    pub(super) fn new(masker: &'m Masker, scope: &Scope<'v>) -> Self {
        let (method, tool, schema) = match *scope {
            Scope::ResultOf {
                method,
                tool,
                output_schema,
            } => (method, tool, output_schema),
            Scope::ErrorOf { method, tool } | Scope::Notification { method, tool } => {
                (method, tool, None)
            }
            Scope::ServerRequest { method } => (method, None, None),
        };
        let rules = match tool {
            Some(tool) => masker
                .fields
                .iter()
                .filter(|rule| rule.applies_to(tool))
                .collect(),
            None => Vec::new(),
        };
        Self {
            schema: schema.map(Schema::new),
            rules,
            ..Self::plain_of(masker, &masker.engine, method)
        }
    }

    /// For a message that is only kept.
    pub(super) fn for_keeping(masker: &'m Masker) -> Self {
        let engine = masker.kept.as_ref().unwrap_or(&masker.engine);
        Self {
            keys_too: true,
            ..Self::plain_of(masker, engine, "")
        }
    }

    fn plain_of(masker: &'m Masker, engine: &'m Engine, method: &'v str) -> Self {
        Self {
            masker,
            engine,
            keys_too: false,
            keys: 0,
            method,
            rules: Vec::new(),
            schema: None,
            payload: None,
            echoes: Vec::new(),
            report: MaskReport::default(),
            withheld: None,
            pointer: Pointer::default(),
            nesting: 0,
        }
    }

    pub(super) fn engine(&self) -> &'m Engine {
        self.engine
    }

    /// The name of a member as it is kept, if names are masked at all; none is given twice, or the recording would not
    /// be strict JSON.
    pub(super) fn masked_key(&mut self, name: &str) -> Option<String> {
        if !self.keys_too {
            return None;
        }
        self.keys += 1;
        let around = Surroundings::default();
        let (engine, key) = (self.engine, &self.masker.key);
        let masked = mask_text(engine, key, name, around, &mut self.report);
        Some(match self.keys {
            1 => masked.into_owned(),
            more => format!("{masked} ({more})"),
        })
    }

    /// The first reason stays.
    pub(super) fn withhold(&mut self, why: Withheld) {
        self.withheld.get_or_insert(why);
    }

    /// Whether every value must be looked at, leads or not.
    pub(super) fn looks_at_all(&self) -> bool {
        !self.rules.is_empty() || !self.echoes.is_empty()
    }

    pub(super) fn found(&mut self, kind: &str) {
        self.report.count(kind, 1);
        self.report.place(self.pointer.as_str());
    }

    pub(super) fn found_all(&mut self, hits: &[Hit]) {
        let engine = self.engine();
        for kind in hits.iter().filter_map(|hit| engine.kind(hit)) {
            self.found(&kind.name);
        }
    }

    /// Remembers the values that field rules mask in a document.
    pub(super) fn remember(&mut self, root: Node<'_>) {
        for (node, act) in leaves(&self.rules, root) {
            let value = match node.as_str() {
                Some(text) => text.into_owned(),
                None => String::from_utf8_lossy(node.raw()).into_owned(),
            };
            let masked = is_mask(&value, act.action, act.keep_last, |name| {
                self.engine().knows(name)
            });
            if value.chars().count() >= SHORTEST_ECHO && !masked && self.echoes.len() < ECHOES {
                self.echoes.push((value, act));
            }
        }
        // Longer ones first, or a part would be masked and the rest stay.
        self.echoes
            .sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        self.echoes.dedup();
    }

    pub(super) fn echo_of(&self, text: &str) -> Option<Act> {
        self.echoes
            .iter()
            .find(|(value, _)| value == text)
            .map(|(_, act)| *act)
    }

    /// Masks a document inside the message under its own spans.
    pub(super) fn inner(&mut self, document: &Document, at: &At<'v>, by_field: bool) -> Inner {
        let mut walk = Walk::new(self, document, by_field);
        if walk.is_clean(at) {
            return Inner::Same;
        }
        let fate = walk.value(document.root(), at);
        let splice = walk.into_splice();
        match fate {
            Fate::Remove | Fate::Drop => Inner::Gone,
            Fate::Keep if splice.is_empty() => Inner::Same,
            Fate::Keep => Inner::Changed(splice.apply(document)),
        }
    }

    /// Masks a text, as JSON if it is JSON; none if nothing changes.
    pub(super) fn text(&mut self, text: &str, at: &At<'v>, seam: &[Hit]) -> Option<String> {
        let by_field = at.place == Place::Text && !self.rules.is_empty();
        if let Some(document) = self.parsed(text, seam) {
            let container = matches!(document.root().kind(), Kind::Array | Kind::Object);
            if container || !by_field {
                return self.json_text(&document, at, by_field);
            }
        }
        if by_field {
            return self.instead(text);
        }
        self.plain(text, at, seam)
    }

    fn parsed(&self, text: &str, seam: &[Hit]) -> Option<Document> {
        let opens = text
            .trim_start_matches([' ', '\t', '\r', '\n'])
            .starts_with(['{', '[', '"']);
        if !opens || !seam.is_empty() || self.nesting >= NESTING {
            return None;
        }
        Document::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::RESPONSE).ok()
    }

    fn json_text(&mut self, document: &Document, at: &At<'v>, by_field: bool) -> Option<String> {
        let schemas = match by_field || at.place == Place::Text {
            true => self.schema.into_iter().collect(),
            false => Vec::new(),
        };
        let inside = At {
            place: Place::Free,
            beside: at.beside,
            columns: None,
            schemas,
        };
        self.nesting += 1;
        self.pointer.quiet += 1;
        let inner = self.inner(document, &inside, by_field);
        self.pointer.quiet -= 1;
        self.nesting -= 1;
        match inner {
            Inner::Same => None,
            Inner::Gone => Some(String::new()),
            Inner::Changed(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Law 26: a text that no path can reach is replaced by what paths did reach, else nothing goes out.
    fn instead(&mut self, text: &str) -> Option<String> {
        match self.payload.clone() {
            Some(payload) if payload == text => None,
            Some(payload) => {
                self.found(FIELD);
                Some(payload)
            }
            None => {
                self.withhold(Withheld::Field);
                None
            }
        }
    }

    fn plain(&mut self, text: &str, at: &At<'v>, seam: &[Hit]) -> Option<String> {
        let mut own = Cow::Borrowed(text);
        for (value, act) in &self.echoes {
            if own.contains(value.as_str()) {
                let mark = mask(value, FIELD, act.action, act.keep_last, &self.masker.key);
                own = Cow::Owned(own.replace(value.as_str(), &mark));
                self.report.count(FIELD, 1);
            }
        }
        // Spans of a seam belong to the text as it came.
        let seam = if matches!(own, Cow::Borrowed(_)) {
            seam
        } else {
            &[]
        };
        let around = Surroundings {
            beside: at.beside,
            seam,
        };
        let mut report = MaskReport::default();
        let masked = mask_text(self.engine, &self.masker.key, &own, around, &mut report);
        self.report.absorb(&report);
        (masked != text).then(|| {
            self.report.place(self.pointer.as_str());
            masked.into_owned()
        })
    }

    /// Masks base64: what decodes to text is masked as text. None if nothing changes.
    pub(super) fn blob(&mut self, encoded: &str, at: &At<'v>) -> Blob {
        let bytes = STANDARD
            .decode(encoded)
            .or_else(|_| URL_SAFE.decode(encoded));
        let Ok(bytes) = bytes else {
            return self
                .text(encoded, at, &[])
                .map_or(Blob::Same, Blob::Changed);
        };
        match String::from_utf8(bytes) {
            Ok(text) => {
                let inside = At {
                    place: Place::Text,
                    ..at.clone()
                };
                let masked = self.text(&text, &inside, &[]);
                masked.map_or(Blob::Same, |text| Blob::Changed(STANDARD.encode(text)))
            }
            // A picture: by chance anything may stand in its base64 but a credential of ours.
            Err(_) if self.engine().holds_literal(encoded) => Blob::Tainted,
            Err(_) => Blob::Same,
        }
    }
}

/// What became of base64.
pub(super) enum Blob {
    Same,
    Changed(String),
    /// Not text, and it holds a credential.
    Tainted,
}

/// Where the walk stands, as a JSON pointer from the result, error or params.
#[derive(Default)]
pub(super) struct Pointer {
    text: String,
    /// Inside texts the place is the text's.
    quiet: u8,
}

impl Pointer {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Goes down; the length is for [`Self::leave`].
    pub(super) fn enter(&mut self, segment: &str) -> usize {
        let length = self.text.len();
        if self.quiet == 0 {
            self.text.push('/');
            self.text
                .push_str(&segment.replace('~', "~0").replace('/', "~1"));
        }
        length
    }

    pub(super) fn leave(&mut self, length: usize) {
        self.text.truncate(length);
    }
}
