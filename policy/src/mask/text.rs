//! Masks one text until nothing is left to find.

use std::borrow::Cow;

use super::detector::beside::Beside;
use super::engine::{Engine, Hit, UNSETTLED};
use super::mark::mask;
use super::{MaskKey, MaskReport};

/// Taking out or shortening a hit can bring its neighbours together into another; after so many rounds the whole
/// text is given up.
const ROUNDS: usize = 4;

/// What stands round a text.
#[derive(Clone, Copy, Default)]
pub(super) struct Surroundings<'h> {
    /// What the name beside it says.
    pub(super) beside: Option<Beside>,
    /// Hits that only showed together with the neighbours of the text.
    pub(super) seam: &'h [Hit],
}

/// Masks a text; borrowed and nothing reported if it is clean.
pub(super) fn mask_text<'t>(
    engine: &Engine,
    key: &MaskKey,
    text: &'t str,
    around: Surroundings<'_>,
    report: &mut MaskReport,
) -> Cow<'t, str> {
    let mut hits = engine.scan_beside(text, around.beside);
    if !around.seam.is_empty() {
        hits.extend_from_slice(around.seam);
        hits = engine.settle(text, hits);
    }
    let mut masked = Cow::Borrowed(text);
    for _ in 0..ROUNDS {
        if hits.is_empty() {
            return masked;
        }
        masked = Cow::Owned(replace(engine, key, &masked, &hits, report));
        hits = engine.scan_beside(&masked, around.beside);
    }
    if hits.is_empty() {
        return masked;
    }
    report.count(UNSETTLED, 1);
    Cow::Owned(mask(
        "",
        UNSETTLED,
        crate::source::masking::MaskAction::Redact,
        0,
        key,
    ))
}

fn replace(
    engine: &Engine,
    key: &MaskKey,
    text: &str,
    hits: &[Hit],
    report: &mut MaskReport,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for hit in hits {
        let (Some(kind), Some(value)) = (engine.kind(hit), text.get(hit.span.clone())) else {
            continue;
        };
        out.push_str(text.get(at..hit.span.start).unwrap_or_default());
        out.push_str(&mask(value, &kind.name, kind.action, kind.keep_last, key));
        at = hit.span.end;
        report.count(&kind.name, 1);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}
