//! One automaton over every lead, then the checks. Finds; changes nothing.

mod parts;

use std::ops::Range;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use regex::Regex;
use zeroize::Zeroizing;

use crate::source::masking::MaskAction;

use super::detector::beside::Beside;
use super::detector::{Body, Check, Detector, Token, run};
use super::literal::Form;
use super::mark::{is_mask, marks_in};
use super::settings::{MaskError, Pattern};
use super::skim::Skim;
use super::view::View;
use parts::Parts;

pub(super) use parts::compiled;

/// Kinds that belong to no detector and no pattern.
pub(super) const FIELD: &str = "Field";
pub(super) const INJECTED: &str = "InjectedCredential";
pub(super) const UNSETTLED: &str = "Unsettled";

/// How many levels of escapes are undone; JSON inside JSON inside JSON has three.
const VIEWS: usize = 4;

/// What a hit is of. The first in order names a span that several found.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) action: MaskAction,
    pub(super) keep_last: u8,
    rank: u8,
}

/// A span of a text that is masked, and the kind, by its place in the engine's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) span: Range<usize>,
    pub(super) kind: usize,
}

/// What the automaton's words lead to.
#[derive(Clone, Copy)]
enum Lead {
    Token(usize, &'static Token),
    Word(usize, Check),
    Literal(usize),
    /// `;base64,` of a `data:` address.
    Data,
    /// An escape behind which a lead may hide in raw JSON, or a member that may hold base64.
    Raw,
}

/// Every detector, pattern and literal of one gateway, compiled.
pub(super) struct Engine {
    kinds: Vec<Kind>,
    automaton: AhoCorasick,
    skim: Skim,
    leads: Vec<Lead>,
    shapes: Vec<(usize, Regex, Check)>,
    any_shape: Option<regex::bytes::Regex>,
    patterns: Vec<(usize, Regex)>,
    literals: Vec<Form>,
}

impl Engine {
    pub(super) fn new(
        detectors: impl IntoIterator<Item = (Detector, MaskAction)>,
        patterns: &[Pattern],
        literals: &[Zeroizing<Vec<u8>>],
    ) -> Result<Self, MaskError> {
        let mut parts = Parts::new(literals);
        for (detector, action) in detectors {
            parts.detector(detector, action)?;
        }
        for pattern in patterns {
            parts.pattern(pattern)?;
        }
        parts.build()
    }

    pub(super) fn kind(&self, hit: &Hit) -> Option<&Kind> {
        self.kinds.get(hit.kind)
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        [FIELD, UNSETTLED].contains(&name) || self.kinds.iter().any(|kind| kind.name == name)
    }

    /// The kind of a name, for hits that the engine did not make itself.
    pub(super) fn kind_named(&self, name: &str) -> Option<usize> {
        self.kinds.iter().position(|kind| kind.name == name)
    }

    /// Where in raw JSON bytes something may be found: everything else is clean. None means anywhere.
    pub(super) fn leads_in(&self, raw: &[u8]) -> Option<Vec<usize>> {
        if !self.patterns.is_empty() {
            return None;
        }
        let mut places = self.skim.places(raw);
        if let Some(shape) = &self.any_shape {
            places.extend(shape.find_iter(raw).map(|found| found.start()));
            places.sort_unstable();
        }
        Some(places)
    }

    /// Every hit in a text, in order, none overlapping another.
    pub(super) fn scan(&self, text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        self.scan_views(text, VIEWS, &mut hits);
        self.settle(text, hits)
    }

    /// A text that stands beside a name of that meaning: the whole of it may be a secret.
    pub(super) fn scan_beside(&self, text: &str, beside: Option<Beside>) -> Vec<Hit> {
        let mut hits = Vec::new();
        self.scan_views(text, VIEWS, &mut hits);
        if let Some(beside) = beside
            && super::detector::beside::is_secret(beside, text)
            && let Some(kind) = self.kind_beside(beside)
        {
            hits.push(Hit {
                span: 0..text.len(),
                kind,
            });
        }
        self.settle(text, hits)
    }

    /// Whether an injected credential stands in a text, in any form.
    pub(super) fn holds_literal(&self, text: &str) -> bool {
        self.scan(text).iter().any(|hit| hit.kind == 0)
    }

    fn kind_beside(&self, beside: Beside) -> Option<usize> {
        let wanted = match beside {
            Beside::Password | Beside::Secret => Detector::PasswordBeside,
            Beside::AwsSecretKey => Detector::AwsSecretKey,
            Beside::CardSecurityCode => Detector::CardSecurityCode,
        };
        self.kind_named(wanted.name())
    }

    fn scan_views(&self, text: &str, depth: usize, hits: &mut Vec<Hit>) {
        self.scan_plain(text, hits);
        if depth == 0 {
            return;
        }
        for view in [View::unescaped(text), View::unquoted(text)]
            .into_iter()
            .flatten()
        {
            let mut seen = Vec::new();
            self.scan_views(&view.text, depth - 1, &mut seen);
            hits.extend(seen.into_iter().filter_map(|hit| {
                Some(Hit {
                    span: view.origin(&hit.span)?,
                    kind: hit.kind,
                })
            }));
        }
    }

    fn scan_plain(&self, text: &str, hits: &mut Vec<Hit>) {
        // Leads inside what the same kind already masks are passed over, or repeated prefixes would cost
        // quadratic time.
        let mut covered: Vec<usize> = Vec::new();
        for found in self.automaton.find_overlapping_iter(text) {
            let Some(lead) = self.leads.get(found.pattern().as_usize()) else {
                continue;
            };
            let kind = lead.kind();
            if covered.get(kind).is_some_and(|end| found.start() < *end) {
                continue;
            }
            if let Some(hit) = self.look(*lead, text, &found.range()) {
                covered.resize(self.kinds.len(), 0);
                if let Some(end) = covered.get_mut(kind) {
                    *end = hit.span.end;
                }
                hits.push(hit);
            }
        }
        for shaped in &self.shapes {
            scan_shape(shaped, text, hits);
        }
        for (kind, pattern) in &self.patterns {
            let spans = pattern
                .captures_iter(text)
                .filter_map(|found| found.get(1).or_else(|| found.get(0)));
            hits.extend(spans.map(|span| Hit {
                span: span.range(),
                kind: *kind,
            }));
        }
    }

    fn look(&self, lead: Lead, text: &str, place: &Range<usize>) -> Option<Hit> {
        let (span, kind) = match lead {
            Lead::Token(kind, token) => (token.at(text, place)?, kind),
            Lead::Word(kind, check) => (check(text, place.clone())?, kind),
            Lead::Literal(form) => (self.literals.get(form)?.at(text, place.start)?, 0),
            Lead::Data => return self.data_address(text, place),
            Lead::Raw => return None,
        };
        Some(Hit { span, kind })
    }

    /// A `data:` address whose decoded text holds something is masked whole.
    fn data_address(&self, text: &str, place: &Range<usize>) -> Option<Hit> {
        let end = run(text.as_bytes(), place.end, |byte| Body::Base64.has(byte));
        let body = text.get(place.end..end)?;
        let bytes = STANDARD_NO_PAD.decode(body.trim_end_matches('=')).ok()?;
        let inner = String::from_utf8(bytes).ok()?;
        let mut hits = Vec::new();
        self.scan_plain(&inner, &mut hits);
        hits.first().map(|hit| Hit {
            span: place.end..end,
            kind: hit.kind,
        })
    }

    /// Takes out what is masked already and joins what overlaps.
    pub(super) fn settle(&self, text: &str, mut hits: Vec<Hit>) -> Vec<Hit> {
        if hits.is_empty() {
            return hits;
        }
        let known = |name: &str| self.knows(name);
        let marks = marks_in(text, known);
        hits.retain(|hit| {
            let behind = marks.partition_point(|mark| mark.end < hit.span.end);
            let inside = marks
                .get(behind)
                .is_some_and(|mark| mark.start <= hit.span.start);
            let masked = self.kinds.get(hit.kind).zip(text.get(hit.span.clone()));
            let masked = masked
                .is_none_or(|(kind, value)| is_mask(value, kind.action, kind.keep_last, known));
            !hit.span.is_empty() && !inside && !masked
        });
        hits.sort_by_key(|hit| (hit.span.start, hit.span.end));
        let mut joined: Vec<Hit> = Vec::with_capacity(hits.len());
        for hit in hits {
            match joined.last_mut() {
                Some(last) if hit.span.start < last.span.end => {
                    last.span.end = last.span.end.max(hit.span.end);
                    last.kind = self.first(last.kind, hit.kind);
                }
                Some(_) | None => joined.push(hit),
            }
        }
        joined
    }

    /// Drop, Redact, Hash, Partial (law 26); then what tells more.
    fn first(&self, a: usize, b: usize) -> usize {
        let order = |kind: usize| self.kinds.get(kind).map(|kind| (kind.action, kind.rank));
        if order(b) < order(a) { b } else { a }
    }
}

/// One match may hold several hits: the search goes on behind each of them.
fn scan_shape((kind, shape, check): &(usize, Regex, Check), text: &str, hits: &mut Vec<Hit>) {
    let mut from = 0;
    while let Some(found) = shape.find_at(text, from) {
        from = found.end();
        if let Some(span) = check(text, found.range()) {
            from = if span.end > found.start() {
                span.end
            } else {
                from
            };
            hits.push(Hit { span, kind: *kind });
        }
    }
}

impl Lead {
    fn kind(self) -> usize {
        match self {
            Self::Token(kind, _) | Self::Word(kind, _) => kind,
            Self::Literal(_) | Self::Data | Self::Raw => 0,
        }
    }
}
