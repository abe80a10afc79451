//! What an approver sees of a call's arguments: everything but secrets, and of those kind, length and a short
//! HMAC, so that equal secrets can be told to be equal (law 23).

use bytes::Bytes;

use crate::json::{Document, Kind, Limits, Node, Splice, quote};

use super::detector::beside::{Beside, meaning_of};
use super::engine::Engine;
use super::mark::preview as mark;
use super::{MaskKey, MaskReport, Preview};

/// What is shown of values that are no secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    Shown,
    /// Their kind and length only; member names are shown.
    Outlined,
}

pub(super) fn preview(engine: &Engine, key: &MaskKey, values: Values, node: Node<'_>) -> Preview {
    let mut report = MaskReport::default();
    // The node's own document may be the whole request; the preview is of this value alone.
    let Ok(document) = Document::parse(Bytes::copy_from_slice(node.raw()), Limits::RESPONSE) else {
        return Preview {
            json: quote("[cannot be shown]"),
            report,
        };
    };
    let mut drawing = Drawing {
        engine,
        key,
        values,
        splice: Splice::new(),
        report: &mut report,
    };
    drawing.value(document.root(), None);
    let json = String::from_utf8_lossy(&drawing.splice.apply(&document)).into_owned();
    Preview { json, report }
}

struct Drawing<'a> {
    engine: &'a Engine,
    key: &'a MaskKey,
    values: Values,
    splice: Splice,
    report: &'a mut MaskReport,
}

impl Drawing<'_> {
    fn value(&mut self, node: Node<'_>, beside: Option<Beside>) {
        match node.kind() {
            Kind::Object => {
                for (key, value) in node.members() {
                    let name = key.as_str().unwrap_or_default();
                    self.text(key, &name, None);
                    self.value(value, meaning_of(&name));
                }
            }
            Kind::Array => node
                .elements()
                .for_each(|element| self.value(element, beside)),
            Kind::String => self.leaf(node, &node.as_str().unwrap_or_default(), "text", beside),
            Kind::Number => self.leaf(node, node.number().unwrap_or_default(), "number", beside),
            Kind::Null | Kind::Bool if self.values == Values::Shown => {}
            Kind::Null => self.splice.replace_with_str(node, "[null]"),
            Kind::Bool => self.splice.replace_with_str(node, "[boolean]"),
        }
    }

    fn leaf(&mut self, node: Node<'_>, text: &str, kind: &str, beside: Option<Beside>) {
        match self.values {
            Values::Shown => self.text(node, text, beside),
            Values::Outlined => {
                let outline = format!("[{kind}, {} characters]", text.chars().count());
                self.splice.replace_with_str(node, &outline);
            }
        }
    }

    fn text(&mut self, node: Node<'_>, text: &str, beside: Option<Beside>) {
        let hits = self.engine.scan_beside(text, beside);
        if hits.is_empty() {
            return;
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for hit in &hits {
            let (Some(kind), Some(value)) = (self.engine.kind(hit), text.get(hit.span.clone()))
            else {
                continue;
            };
            out.push_str(text.get(at..hit.span.start).unwrap_or_default());
            out.push_str(&mark(value, &kind.name, self.key));
            at = hit.span.end;
            self.report.count(&kind.name, 1);
        }
        out.push_str(text.get(at..).unwrap_or_default());
        self.splice.replace_with_str(node, &out);
    }
}
