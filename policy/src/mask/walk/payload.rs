//! `structuredContent`: masked before the rest of its result, since texts may have to be replaced by it (law 26).

use bytes::Bytes;

use crate::json::{Document, Kind, Limits, Node};

use super::{At, Fate, Walk};
use crate::mask::Withheld;
use crate::mask::place::Place;
use crate::mask::schema::Schema;
use crate::mask::session::Inner;

impl<'m, 'v, 'd> Walk<'_, 'm, 'v, 'd> {
    /// Masks `structuredContent` before anything else of the result, since texts may have to be replaced by it.
    pub(super) fn payload(&mut self, result: Node<'d>) -> Inner {
        let Some(node) = result.get("structuredContent") else {
            return Inner::Same;
        };
        let by_field = !self.session.rules.is_empty();
        if by_field {
            self.session.remember(node);
            self.remember_texts(result);
        }
        if !by_field && !self.touched(node) {
            return Inner::Same;
        }
        // An error's content is not validated by clients.
        let checked = result.get("isError").and_then(Node::as_bool) != Some(true);
        let schema = self.session.schema.filter(|_| checked);
        let span = node.span();
        let Ok(document) = Document::parse(self.document.bytes().slice(span), Limits::RESPONSE)
        else {
            self.session.withhold(Withheld::Shape);
            return Inner::Same;
        };
        let at = At {
            schemas: schema.into_iter().collect(),
            ..At::of(Place::Payload)
        };
        let entered = self.session.pointer.enter("structuredContent");
        let inner = self.session.inner(&document, &at, by_field);
        self.session.pointer.leave(entered);
        self.session.payload = match &inner {
            Inner::Same => Some(String::from_utf8_lossy(document.bytes()).into_owned()),
            Inner::Changed(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Inner::Gone => None,
        };
        if schema.is_some_and(|schema| breaks(schema, node, &inner)) {
            self.session.withhold(Withheld::Schema);
        }
        inner
    }

    fn remember_texts(&mut self, result: Node<'d>) {
        for node in texts_in(result) {
            let text = node.as_str().unwrap_or_default();
            let bytes = Bytes::copy_from_slice(text.as_bytes());
            if let Ok(document) = Document::parse(bytes, Limits::RESPONSE) {
                self.session.remember(document.root());
            }
        }
    }

    pub(super) fn place_payload(&mut self, node: Node<'d>, inner: &Inner) -> Fate {
        match inner {
            Inner::Same => Fate::Keep,
            Inner::Changed(bytes) => {
                self.splice.replace(node, bytes.to_vec());
                Fate::Keep
            }
            Inner::Gone => Fate::Remove,
        }
    }
}

/// Whether a payload that its schema accepted is no longer accepted.
fn breaks(schema: Schema<'_>, original: Node<'_>, masked: &Inner) -> bool {
    let accepted = match masked {
        Inner::Same => true,
        Inner::Gone => false,
        Inner::Changed(bytes) => {
            serde_json::from_slice(bytes).is_ok_and(|value| schema.accepts(&value))
        }
    };
    !accepted && schema.accepts(&original.to_value())
}

/// The texts of a result's content blocks, messages or contents, in order.
pub(in crate::mask) fn texts_in(result: Node<'_>) -> Vec<Node<'_>> {
    let mut texts = Vec::new();
    for list in ["content", "contents", "messages"]
        .into_iter()
        .filter_map(|key| result.get(key))
    {
        gather(list, 6, &mut texts);
    }
    texts
}

fn gather<'d>(node: Node<'d>, depth: u8, texts: &mut Vec<Node<'d>>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    match node.kind() {
        Kind::Array => node
            .elements()
            .for_each(|element| gather(element, depth, texts)),
        Kind::Object => {
            texts.extend(node.get("text").filter(|text| text.kind() == Kind::String));
            for key in ["resource", "content"] {
                node.get(key)
                    .into_iter()
                    .for_each(|inner| gather(inner, depth, texts));
            }
        }
        Kind::Null | Kind::Bool | Kind::Number | Kind::String => {}
    }
}
