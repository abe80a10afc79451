//! Goes through one document, only where something may be found, and collects the splices.

mod fields;
mod payload;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use crate::json::{Document, Kind, Node, Splice};

use super::Withheld;
use super::detector::beside::{Beside, meaning_of};
use super::engine::{FIELD, Hit, INJECTED};
use super::field::{Act, named_by};
use super::mark::marks_in;
use super::place::Place;
use super::schema::{Schema, Step, fit_number, fit_text};
use super::session::{Blob, Session};

pub(super) use payload::texts_in;

/// Where a value stands.
#[derive(Clone)]
pub(super) struct At<'v> {
    pub(super) place: Place,
    /// What the name beside it says.
    pub(super) beside: Option<Beside>,
    /// What the names of a table's columns say, for its rows.
    pub(super) columns: Option<Columns>,
    /// The parts of the output schema that bear on it.
    pub(super) schemas: Vec<Schema<'v>>,
}

/// What the name of each column says.
type Meanings = Rc<[Option<Beside>]>;

/// The columns of a table and whether the value is one row or all of them.
#[derive(Clone)]
pub(super) struct Columns {
    meanings: Meanings,
    row: bool,
}

/// What becomes of a value in its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Keep,
    /// Taken out of its container.
    Remove,
    /// The list entry that it belongs to is taken out.
    Drop,
}

impl At<'_> {
    pub(super) fn of(place: Place) -> Self {
        Self {
            place,
            beside: None,
            columns: None,
            schemas: Vec::new(),
        }
    }
}

/// The walk through one document.
pub(super) struct Walk<'s, 'm, 'v, 'd> {
    session: &'s mut Session<'m, 'v>,
    document: &'d Document,
    /// Offsets at which something may be found; none means anywhere.
    leads: Option<Vec<usize>>,
    fields: BTreeMap<usize, Act>,
    /// Hits that only showed across texts, by where the string begins.
    seams: BTreeMap<usize, Vec<Hit>>,
    splice: Splice,
}

impl<'s, 'm, 'v, 'd> Walk<'s, 'm, 'v, 'd> {
    pub(super) fn new(
        session: &'s mut Session<'m, 'v>,
        document: &'d Document,
        by_field: bool,
    ) -> Self {
        let leads = match session.looks_at_all() {
            true => None,
            false => session.engine().leads_in(document.bytes()),
        };
        let fields = match by_field {
            true => named_by(&session.rules, document.root()),
            false => BTreeMap::new(),
        };
        Self {
            session,
            document,
            leads,
            fields,
            seams: BTreeMap::new(),
            splice: Splice::new(),
        }
    }

    pub(super) fn is_clean(&self, at: &At<'_>) -> bool {
        let quiet = self.leads.as_ref().is_some_and(Vec::is_empty);
        quiet && self.fields.is_empty() && self.seams.is_empty() && at.beside.is_none()
    }

    pub(super) fn into_splice(self) -> Splice {
        self.splice
    }

    pub(super) fn splice(&mut self) -> &mut Splice {
        &mut self.splice
    }

    pub(super) fn session(&mut self) -> &mut Session<'m, 'v> {
        self.session
    }

    fn touched(&self, node: Node<'_>) -> bool {
        let Some(leads) = &self.leads else {
            return true;
        };
        let span = node.span();
        let first = leads.partition_point(|lead| *lead < span.start);
        leads.get(first).is_some_and(|lead| *lead < span.end)
    }

    /// Looks at texts as if they were one; what crosses from one into another is masked in each (law 27).
    pub(super) fn look_across(&mut self, texts: &[Node<'d>]) {
        if texts.len() < 2 {
            return;
        }
        let mut joined = String::new();
        let mut bounds: Vec<(Range<usize>, Node<'d>)> = Vec::with_capacity(texts.len());
        for node in texts {
            let start = joined.len();
            joined.push_str(&node.as_str().unwrap_or_default());
            bounds.push((start..joined.len(), *node));
        }
        let mut own: Option<(usize, Vec<Hit>)> = None;
        for hit in self.session.engine().scan(&joined) {
            let first = bounds.partition_point(|(bound, _)| bound.end <= hit.span.start);
            let inside = |bound: &&(Range<usize>, Node<'d>)| bound.0.start < hit.span.end;
            let crossed: Vec<_> = bounds.iter().skip(first).take_while(inside).collect();
            // A hit inside one text may still owe its lead to the text before.
            if let [(bound, node)] = crossed.as_slice() {
                if own.as_ref().is_none_or(|(start, _)| *start != bound.start) {
                    let alone = self
                        .session
                        .engine()
                        .scan(&node.as_str().unwrap_or_default());
                    own = Some((bound.start, alone));
                }
                let span = hit.span.start - bound.start..hit.span.end - bound.start;
                let alone = own.iter().flat_map(|(_, alone)| alone);
                if alone
                    .clone()
                    .any(|own| own.span.start <= span.start && span.end <= own.span.end)
                {
                    continue;
                }
            }
            for (bound, node) in crossed {
                let start = hit.span.start.max(bound.start) - bound.start;
                let end = hit.span.end.min(bound.end) - bound.start;
                self.seam(*node, start..end, hit.kind);
            }
        }
    }

    fn seam(&mut self, node: Node<'_>, span: Range<usize>, kind: usize) {
        let start = node.span().start;
        if span.is_empty() {
            return;
        }
        self.seams
            .entry(start)
            .or_default()
            .push(Hit { span, kind });
        if let Some(leads) = &mut self.leads {
            let place = leads.partition_point(|lead| *lead < start);
            leads.insert(place, start);
        }
    }

    pub(super) fn value(&mut self, node: Node<'d>, at: &At<'v>) -> Fate {
        if self.session.withheld.is_some() {
            return Fate::Keep;
        }
        if let Some(act) = self.fields.get(&node.span().start) {
            return self.field(node, *act, at);
        }
        let forced = at.beside.is_some() || at.columns.is_some() || at.place == Place::Blob;
        if !forced && !self.touched(node) {
            return Fate::Keep;
        }
        match node.kind() {
            Kind::Object => self.object(node, at),
            Kind::Array => self.array(node, at),
            Kind::String => self.string(node, at),
            Kind::Number => self.number(node, at),
            Kind::Null | Kind::Bool => Fate::Keep,
        }
    }

    fn object(&mut self, node: Node<'d>, at: &At<'v>) -> Fate {
        let payload = (at.place == Place::Result).then(|| self.payload(node));
        let named = named_value(node);
        let columns = columns_of(node);
        for (key, value) in node.members() {
            let watched = named.is_some() || columns.is_some() || payload.is_some();
            if !watched && !self.touched(key) && !self.touched(value) {
                continue;
            }
            let name = key.as_str().unwrap_or_default();
            let entered = self.session.pointer.enter(&name);
            self.key(key, &name);
            let child = self.member(&name, value, at, (named, &columns), self.touched(key));
            let fate = match (&payload, child.place) {
                (Some(inner), Place::Payload) => self.place_payload(value, inner),
                _ => self.value(value, &child),
            };
            self.session.pointer.leave(entered);
            match fate {
                Fate::Keep => {}
                Fate::Remove => self.splice.remove_member(node, &name),
                Fate::Drop => return Fate::Drop,
            }
        }
        Fate::Keep
    }

    /// Where a member stands.
    fn member(
        &self,
        name: &str,
        value: Node<'d>,
        at: &At<'v>,
        (named, columns): (Option<Beside>, &Option<Meanings>),
        key_touched: bool,
    ) -> At<'v> {
        let beside = match (name, named) {
            _ if value.kind() == Kind::Object => None,
            ("value", Some(meaning)) => Some(meaning),
            (_, _) if key_touched => meaning_of(name),
            (_, _) => None,
        };
        let table = matches!(name, "rows" | "data" | "values" | "records");
        let columns = columns.as_ref().filter(|_| table).map(|meanings| Columns {
            meanings: Rc::clone(meanings),
            row: false,
        });
        At {
            place: at.place.member(name, self.session.method),
            beside,
            columns,
            schemas: below(&at.schemas, Step::Member(name)),
        }
    }

    /// A name cannot be masked: whoever reads the answer looks for it.
    fn key(&mut self, key: Node<'d>, name: &str) {
        if !self.touched(key) {
            return;
        }
        let hits = self.session.engine().scan(name);
        if hits.is_empty() {
            return;
        }
        match self.session.masked_key(name) {
            Some(masked) => self.splice.replace_with_str(key, &masked),
            None => {
                self.session.found_all(&hits);
                self.session.withhold(Withheld::Key);
            }
        }
    }

    fn array(&mut self, node: Node<'d>, at: &At<'v>) -> Fate {
        if matches!(at.place, Place::Free | Place::Payload) {
            let texts: Vec<_> = node
                .elements()
                .filter(|element| element.kind() == Kind::String)
                .collect();
            self.look_across(&texts);
        }
        let mut gone = Vec::new();
        for (place, element) in node.elements().enumerate() {
            let child = At {
                place: at.place.element(),
                beside: beside_element(at, place, element),
                columns: at
                    .columns
                    .as_ref()
                    .filter(|columns| !columns.row)
                    .map(|columns| Columns {
                        meanings: Rc::clone(&columns.meanings),
                        row: true,
                    }),
                schemas: below(&at.schemas, Step::Element(place)),
            };
            let entered = self.session.pointer.enter(&place.to_string());
            let fate = self.value(element, &child);
            self.session.pointer.leave(entered);
            match fate {
                Fate::Keep => {}
                Fate::Remove => gone.push(element.span().start),
                Fate::Drop if matches!(at.place, Place::List(_)) => gone.push(element.span().start),
                Fate::Drop => return Fate::Drop,
            }
        }
        if !gone.is_empty() {
            self.splice
                .retain_elements(node, |element| !gone.contains(&element.span().start));
        }
        Fate::Keep
    }

    fn string(&mut self, node: Node<'d>, at: &At<'v>) -> Fate {
        let text = node.as_str().unwrap_or_default();
        match at.place {
            Place::Opaque => {
                if self.session.engine().holds_literal(&text) {
                    self.session.found(INJECTED);
                    self.session.withhold(Withheld::Opaque);
                }
                Fate::Keep
            }
            Place::Address => {
                let hits = self.session.engine().scan(&text);
                self.session.found_all(&hits);
                if hits.is_empty() {
                    Fate::Keep
                } else {
                    Fate::Drop
                }
            }
            Place::Blob => self.blob(node, &text, at),
            Place::Result
            | Place::Error
            | Place::Params
            | Place::Payload
            | Place::Meta
            | Place::Task
            | Place::Inputs
            | Place::Input
            | Place::List(_)
            | Place::Entry(_)
            | Place::Text
            | Place::Free => {
                let seam = self.seams.remove(&node.span().start).unwrap_or_default();
                if let Some(masked) = self.session.text(&text, at, &seam) {
                    self.put(node, &text, &masked, at);
                }
                Fate::Keep
            }
        }
    }

    fn blob(&mut self, node: Node<'d>, text: &str, at: &At<'v>) -> Fate {
        match self.session.blob(text, at) {
            Blob::Same => Fate::Keep,
            Blob::Changed(masked) => {
                self.splice.replace_with_str(node, &masked);
                Fate::Keep
            }
            Blob::Tainted => {
                self.session.found(INJECTED);
                Fate::Drop
            }
        }
    }

    /// Puts a masked text in place, or one that its schema accepts.
    fn put(&mut self, node: Node<'d>, text: &str, masked: &str, at: &At<'v>) {
        match fit_text(&at.schemas, masked, text) {
            Some(fitting) if fitting == text => {}
            Some(fitting) => self.splice.replace_with_str(node, &fitting),
            None => self.session.withhold(Withheld::Schema),
        }
    }

    fn number(&mut self, node: Node<'d>, at: &At<'v>) -> Fate {
        let lexeme = node.number().unwrap_or_default();
        let hits = self.session.engine().scan_beside(lexeme, at.beside);
        let echo = self.session.echo_of(lexeme).is_some();
        if hits.is_empty() && !echo {
            return Fate::Keep;
        }
        if self.put_number(node, at) {
            self.session.found_all(&hits);
            if hits.is_empty() {
                self.session.found(FIELD);
            }
        }
        Fate::Keep
    }

    /// Whether the number changed.
    fn put_number(&mut self, node: Node<'d>, at: &At<'v>) -> bool {
        match fit_number(&at.schemas) {
            Some(masked) if masked.as_bytes() == node.raw() => false,
            Some(masked) => {
                self.splice.replace(node, masked);
                true
            }
            None => {
                self.session.withhold(Withheld::Schema);
                false
            }
        }
    }
}

fn below<'v>(schemas: &[Schema<'v>], step: Step<'_>) -> Vec<Schema<'v>> {
    schemas
        .iter()
        .flat_map(|schema| schema.below(step))
        .collect()
}

fn beside_element(at: &At<'_>, place: usize, element: Node<'_>) -> Option<Beside> {
    match (element.kind(), &at.columns) {
        (Kind::Object | Kind::Array, _) => None,
        (_, Some(columns)) if columns.row => columns.meanings.get(place).copied().flatten(),
        _ => at.beside,
    }
}

/// `{"name": "DB_PASSWORD", "value": ...}`: what the name says about the value.
fn named_value(object: Node<'_>) -> Option<Beside> {
    object.get("value")?;
    let names = ["name", "key", "variable", "header"]
        .into_iter()
        .filter_map(|key| object.get(key));
    names
        .filter_map(Node::as_str)
        .find_map(|name| meaning_of(&without_marks(&name)))
}

/// A mark's kind, as in `[redacted:AwsAccessKey]`, says nothing about what stands beside it.
fn without_marks(name: &str) -> Cow<'_, str> {
    let marks = marks_in(name, |_| true);
    if marks.is_empty() {
        return Cow::Borrowed(name);
    }
    let mut rest = String::new();
    let mut at = 0;
    for mark in marks {
        rest.push_str(name.get(at..mark.start).unwrap_or_default());
        at = mark.end;
    }
    rest.push_str(name.get(at..).unwrap_or_default());
    Cow::Owned(rest)
}

/// `{"columns": ["id", "password"], "rows": [[1, ...]]}`: what the columns say about the rows.
fn columns_of(object: Node<'_>) -> Option<Meanings> {
    let columns = object.get("columns").or_else(|| object.get("fields"))?;
    let name = |column: Node<'_>| -> Option<Beside> {
        let named: Option<Cow<'_, str>> = column.as_str().or_else(|| column.get("name")?.as_str());
        meaning_of(&without_marks(&named?))
    };
    let meanings: Meanings = columns.elements().map(name).collect();
    meanings.iter().any(Option::is_some).then_some(meanings)
}
