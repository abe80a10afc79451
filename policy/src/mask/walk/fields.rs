//! Values that field rules name (law 26), masked so that their schema still accepts them (law 27).

use serde_json::json;

use crate::json::{Kind, Node};
use crate::source::masking::MaskAction;

use super::{At, Fate, Walk, below};
use crate::mask::Withheld;
use crate::mask::engine::FIELD;
use crate::mask::field::Act;
use crate::mask::mark::{is_mask, mask};
use crate::mask::place::Place;
use crate::mask::schema::{Step, fit_bool, fit_container, fit_text};

impl<'m, 'v, 'd> Walk<'_, 'm, 'v, 'd> {
    /// Masks a value that a field rule names.
    pub(super) fn field(&mut self, node: Node<'d>, act: Act, at: &At<'v>) -> Fate {
        if act.action == MaskAction::Drop {
            self.session.found(FIELD);
            return Fate::Remove;
        }
        let changed = match node.kind() {
            Kind::Null => false,
            Kind::Bool => self.field_bool(node, at),
            Kind::Number => self.put_number(node, at),
            Kind::String => self.field_text(node, act, at),
            Kind::Array | Kind::Object => self.field_container(node, act, at),
        };
        if changed {
            self.session.found(FIELD);
        }
        Fate::Keep
    }

    fn field_bool(&mut self, node: Node<'d>, at: &At<'v>) -> bool {
        let Some(masked) = fit_bool(&at.schemas) else {
            self.session.withhold(Withheld::Schema);
            return false;
        };
        if node.as_bool() == Some(masked) {
            return false;
        }
        self.splice.replace(node, masked.to_string());
        true
    }

    fn field_text(&mut self, node: Node<'d>, act: Act, at: &At<'v>) -> bool {
        let text = node.as_str().unwrap_or_default();
        let engine = self.session.engine();
        if text.is_empty() || is_mask(&text, act.action, act.keep_last, |name| engine.knows(name)) {
            return false;
        }
        let masked = mask(
            &text,
            FIELD,
            act.action,
            act.keep_last,
            &self.session.masker.key,
        );
        let fitting = fit_text(&at.schemas, &masked, &text);
        let changed = fitting.as_deref().is_some_and(|fitting| fitting != text);
        self.put(node, &text, &masked, at);
        changed
    }

    /// Nothing is left of a container, unless its schema wants something in it.
    fn field_container(&mut self, node: Node<'d>, act: Act, at: &At<'v>) -> bool {
        let empty = if node.kind() == Kind::Array {
            json!([])
        } else {
            json!({})
        };
        let children = node.elements().count() + node.members().count();
        if children == 0 {
            return false;
        }
        if fit_container(&at.schemas, &empty) {
            self.splice.replace(node, empty.to_string());
            return true;
        }
        let members = node.members().map(|(key, value)| {
            let name = key.as_str().unwrap_or_default();
            (below(&at.schemas, Step::Member(&name)), value)
        });
        let elements = node.elements().enumerate();
        let elements =
            elements.map(|(place, element)| (below(&at.schemas, Step::Element(place)), element));
        for (schemas, child) in members.chain(elements).collect::<Vec<_>>() {
            let inside = At {
                schemas,
                ..At::of(Place::Free)
            };
            self.field(child, act, &inside);
        }
        false
    }
}
