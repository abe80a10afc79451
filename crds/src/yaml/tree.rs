//! A document as a tree with places, from the parser's events.
//!
//! Anchors, aliases, merge keys, tags and duplicate keys are refused here, so nothing above ever sees a value that does
//! not stand where it seems to stand. Depth and size are bounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::mistake::Mistake;
use super::near::quoted;
use super::place::{Place, field_path, item_path};
use super::scalar::{Resolved, resolve};

/// Sections may be nested so deep; our kinds need about ten levels.
const DEEPEST: usize = 64;

/// What is expected of a plain word that readers take differently.
pub(super) const AMBIGUOUS: &str = "a value that every reader takes alike";

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) value: Node,
}

/// A text with its meaning. Wiped on drop, because the document may be a Secret.
pub(super) struct Scalar {
    pub(super) text: Zeroizing<String>,
    pub(super) meaning: Resolved,
}

impl std::fmt::Debug for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scalar")
    }
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(scalar) if scalar.meaning == Resolved::Null)
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Content::Scalar(_) | Content::List(_) => None,
        }
    }

    pub(super) fn field(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(scalar) if scalar.meaning == Resolved::Text => Some(&scalar.text),
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => None,
        }
    }

    pub(super) fn item(&self, index: usize) -> Option<&Self> {
        match &self.content {
            Content::List(items) => items.get(index),
            Content::Scalar(_) | Content::Map(_) => None,
        }
    }

    /// The node at a path such as `spec.rules[2]`, or the last one on the way to it.
    pub(super) fn nearest(&self, path: &str) -> &Self {
        let mut node = self;
        for step in path.split(['.', '[']) {
            let next = match step.strip_suffix(']') {
                Some(index) => index.parse().ok().and_then(|index| node.item(index)),
                None => node.field(step),
            };
            let Some(next) = next else {
                break;
            };
            node = next;
        }
        node
    }

    /// The same value without places.
    pub(super) fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(scalar) => match &scalar.meaning {
                Resolved::Null => Value::Null,
                Resolved::Boolean(value) => Value::Bool(*value),
                Resolved::Number(number) => Value::Number(number.clone()),
                Resolved::Text => Value::String(scalar.text.to_string()),
            },
            Content::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Map(entries) => {
                let fields = entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_json()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }
}

/// One document and what is wrong with its YAML.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) root: Node,
    pub(super) mistakes: Vec<Mistake>,
}

/// The documents of one text, and what ended it early. After a syntax error nothing more can be read.
pub(super) fn documents(file: &Arc<str>, text: &str) -> (Vec<Document>, Vec<Mistake>) {
    let mut builder = Builder {
        file: Arc::clone(file),
        parser: Parser::new_from_str(text),
        mistakes: Vec::new(),
    };
    let mut documents = Vec::new();
    while let Some((event, span)) = builder.next() {
        match event {
            Event::StreamStart | Event::Nothing | Event::DocumentStart(_) | Event::DocumentEnd => {}
            Event::StreamEnd => break,
            Event::Alias(_)
            | Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::SequenceEnd
            | Event::MappingStart(..)
            | Event::MappingEnd => {
                let Some(root) = builder.node(event, span, "", 0) else {
                    break;
                };
                let mistakes = std::mem::take(&mut builder.mistakes);
                documents.push(Document { root, mistakes });
            }
        }
    }
    (documents, builder.mistakes)
}

struct Builder<'a> {
    file: Arc<str>,
    parser: Parser<'a, StrInput<'a>>,
    mistakes: Vec<Mistake>,
}

impl<'a> Builder<'a> {
    /// The next event; a syntax error ends the text.
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        match self.parser.next_event()? {
            Ok(next) => Some(next),
            Err(error) => {
                let place = self.place(*error.marker());
                self.mistakes
                    .push(Mistake::at(&place, "valid YAML", "").with_hint(error.info()));
                None
            }
        }
    }

    fn place(&self, marker: Marker) -> Place {
        Place {
            file: Arc::clone(&self.file),
            line: marker.line(),
            column: marker.col() + 1,
        }
    }

    /// The value that begins with this event; nothing if the text ends in it.
    fn node(&mut self, event: Event<'a>, span: Span, path: &str, depth: usize) -> Option<Node> {
        let place = self.place(span.start);
        if depth > DEEPEST {
            let expected = format!("at most {DEEPEST} levels");
            self.mistakes
                .push(Mistake::at(&place, expected, "more").with_path(path));
            return None;
        }
        let content = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_extras(anchor, tag.is_some(), &place, path);
                Content::Scalar(self.scalar(&text, style, &place, path))
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_extras(anchor, tag.is_some(), &place, path);
                Content::List(self.items(path, depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_extras(anchor, tag.is_some(), &place, path);
                Content::Map(self.entries(path, depth)?)
            }
            Event::Alias(_) => {
                self.refuse(
                    &place,
                    path,
                    "the value itself",
                    "an alias (`*name`)",
                    "readers copy it differently; write it out",
                );
                Content::Scalar(null())
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return None,
        };
        Some(Node { place, content })
    }

    fn items(&mut self, path: &str, depth: usize) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Some(items);
            }
            let path = item_path(path, items.len());
            items.push(self.node(event, span, &path, depth + 1)?);
        }
    }

    fn entries(&mut self, path: &str, depth: usize) -> Option<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut seen = BTreeMap::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Some(entries);
            }
            let place = self.place(span.start);
            let key = self.key(event, span, &place, path, depth)?;
            let child = field_path(path, &key);
            let (event, span) = self.next()?;
            let value = self.node(event, span, &child, depth + 1)?;
            if let Some(first) = seen.insert(key.clone(), place.line) {
                let hint = format!("it stands already in line {first}");
                let found = format!("{} again", quoted(&key));
                self.refuse(&place, &child, "each key once", &found, &hint);
                continue;
            }
            entries.push(Entry { key, place, value });
        }
    }

    /// The text of a key. A key that is no text is told, and read over.
    fn key(
        &mut self,
        event: Event<'a>,
        span: Span,
        place: &Place,
        path: &str,
        depth: usize,
    ) -> Option<String> {
        let Event::Scalar(text, style, anchor, tag) = event else {
            self.node(event, span, path, depth + 1)?;
            self.refuse(
                place,
                path,
                "a key that is a text",
                "a list, a map or an alias",
                "write the key out",
            );
            return Some(String::new());
        };
        let path = &field_path(path, &text);
        self.refuse_extras(anchor, tag.is_some(), place, path);
        if text == "<<" && style == ScalarStyle::Plain {
            self.refuse(
                place,
                path,
                "the fields themselves",
                "a merge key (`<<`)",
                "readers merge differently; write them out",
            );
        } else if style == ScalarStyle::Plain
            && let Err(ambiguous) = resolve(&text)
        {
            self.refuse(
                place,
                path,
                "a key that is a text",
                &quoted(&text),
                ambiguous.0,
            );
        }
        Some(text.into_owned())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, place: &Place, path: &str) -> Scalar {
        let meaning = if style == ScalarStyle::Plain {
            resolve(text).unwrap_or_else(|ambiguous| {
                let shown = if may_be_secret(path) {
                    "another".to_owned()
                } else {
                    quoted(text)
                };
                self.refuse(place, path, AMBIGUOUS, &shown, ambiguous.0);
                Resolved::Text
            })
        } else {
            Resolved::Text
        };
        Scalar {
            text: Zeroizing::new(text.to_owned()),
            meaning,
        }
    }

    fn refuse_extras(&mut self, anchor: usize, tagged: bool, place: &Place, path: &str) {
        if anchor != 0 {
            self.refuse(
                place,
                path,
                "a plain value",
                "an anchor (`&name`)",
                "readers copy it differently; write the value out",
            );
        }
        if tagged {
            self.refuse(
                place,
                path,
                "a plain value",
                "a tag (`!name`)",
                "leave the tag out; put texts in quotes",
            );
        }
    }

    fn refuse(&mut self, place: &Place, path: &str, expected: &str, found: &str, hint: &str) {
        let mistake = Mistake::at(place, expected, found)
            .with_path(path)
            .with_hint(hint);
        self.mistakes.push(mistake);
    }
}

/// Whether a value of a `kind: Secret` may stand there; the kind may come after it.
fn may_be_secret(path: &str) -> bool {
    path.split(['.', '['])
        .any(|step| matches!(step, "data" | "stringData"))
}

fn null() -> Scalar {
    Scalar {
        text: Zeroizing::new(String::new()),
        meaning: Resolved::Null,
    }
}
