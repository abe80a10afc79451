//! The outermost round: which members of a JSON-RPC message are looked at, and the mark that a changed one gets.

use serde_json::json;

use crate::json::{Document, Kind, Node};

use super::place::Place;
use super::session::Session;
use super::walk::{At, Fate, Walk, texts_in};
use super::{MaskReport, Masked, Masker, Scope, Withheld};

/// Our mark (law 18): JSON pointers of what was masked.
const MARK: &str = "dev.sallyport/redacted";

pub(super) fn mask_message(masker: &Masker, document: &Document, scope: &Scope<'_>) -> Masked {
    if masker.unreadable.withholds(scope.tool()) {
        return Masked::Withheld {
            report: MaskReport::default(),
            why: Withheld::Unreadable,
        };
    }
    let mut session = Session::new(masker, scope);
    let mut walk = Walk::new(&mut session, document, false);
    let messages = match document.root().kind() {
        Kind::Array => document.root().elements().collect(),
        Kind::Null | Kind::Bool | Kind::Number | Kind::String | Kind::Object => {
            vec![document.root()]
        }
    };
    for message in &messages {
        look_across_texts(&mut walk, *message);
    }
    if walk.is_clean(&At::of(Place::Free)) {
        return Masked::Clean;
    }
    for message in &messages {
        mask_one(&mut walk, *message);
    }
    let changed = !walk.splice().is_empty();
    if changed && walk.session().withheld.is_none() {
        messages
            .iter()
            .for_each(|message| mark(masker, &mut walk, *message));
    }
    let splice = walk.into_splice();
    let report = session.report;
    match session.withheld {
        Some(why) => Masked::Withheld { report, why },
        None if changed => Masked::Changed {
            bytes: splice.apply(document),
            report,
        },
        None => Masked::Clean,
    }
}

/// A secret may be split over the blocks of a result so that no part of it shows alone.
fn look_across_texts<'d>(walk: &mut Walk<'_, '_, '_, 'd>, message: Node<'d>) {
    for body in ["result", "params"]
        .into_iter()
        .filter_map(|key| message.get(key))
    {
        walk.look_across(&texts_in(body));
        // A task's result carries the result of the tool.
        body.get("result")
            .into_iter()
            .for_each(|inner| walk.look_across(&texts_in(inner)));
    }
}

fn mask_one<'d>(walk: &mut Walk<'_, '_, '_, 'd>, message: Node<'d>) {
    if message.kind() != Kind::Object {
        walk.session().withhold(Withheld::Shape);
        return;
    }
    for (key, value) in message.members() {
        let place = match &*key.as_str().unwrap_or_default() {
            "jsonrpc" | "id" | "method" => continue,
            "result" => Place::Result,
            "error" => Place::Error,
            "params" => Place::Params,
            _ => Place::Free,
        };
        if walk.value(value, &At::of(place)) != Fate::Keep {
            walk.session().withhold(Withheld::Address);
        }
    }
}

/// A JSON pointer in which names keep letters, digits and a few signs; whatever else ASCII has stands as `*`, because
/// detectors see through every way to write it.
fn plain(pointer: &str) -> String {
    let is_plain = |character: char| {
        !character.is_ascii() || character.is_ascii_alphanumeric() || "/~-_.$@".contains(character)
    };
    pointer
        .chars()
        .map(|character| if is_plain(character) { character } else { '*' })
        .collect()
}

/// Marks stand in a result's `_meta` or an error's `data` (law 18). A pointer repeats names, and names beside each other
/// may read like a secret: what could set a word apart from its value is left out, and the rest is masked as any text, or
/// masking twice would not be masking once.
fn mark(masker: &Masker, walk: &mut Walk<'_, '_, '_, '_>, message: Node<'_>) {
    let found = &walk.session().report.pointers;
    let told: Vec<_> = found
        .iter()
        .map(|at| masker.mask_text(&plain(at)).0.into_owned())
        .collect();
    let pointers = json!(told).to_string();
    let alone = format!("{{\"{MARK}\":{pointers}}}");
    let (holder, member) = match (message.get("result"), message.get("error")) {
        (Some(result), _) => (result, "_meta"),
        (None, Some(error)) => (error, "data"),
        (None, None) => return,
    };
    match holder.get(member).map(|own| (own, own.kind())) {
        Some((own, Kind::Object)) => walk.splice().set_member(own, MARK, pointers),
        Some((own, Kind::Null)) => walk.splice().replace(own, alone),
        // Something of the server's own stands there, as data may be anything.
        Some((_, Kind::Bool | Kind::Number | Kind::String | Kind::Array)) => {}
        None => walk.splice().set_member(holder, member, alone),
    }
}
