//! The strict parser: total, never laxer than RFC 8259, true spans, splices that change nothing else.

use bytes::Bytes;
use sallyport_policy::json::{
    Document, JsonError, Kind, Limits, Node, Splice, canonical, folded, folding_siblings,
    folds_to_same,
};
use serde_json::Value;

use super::Target;
use crate::corpus;

pub(super) const TARGET: Target = Target {
    name: "json",
    law: "the strict parser is total, reads what serde_json reads or refuses by name, keeps spans, splices and canonical form",
    property,
    seeds,
    longest: 4096,
    words: &[
        "\\u",
        "\\ud83d",
        "\\ude00",
        "\\u0000",
        "1e400",
        "-0",
        "9007199254740993",
        "e-",
        "true",
        "false",
        "null",
        "\u{feff}",
        "\u{212a}",
        "\u{17f}",
        "\":",
        "{\"",
        "[[",
        "]]",
        "}}",
        ",",
        "\\/",
        "\\\"",
    ],
};

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = corpus::messages();
    seeds.extend(corpus::attacks());
    seeds
}

fn property(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let theirs = serde_json::from_slice::<Value>(data).ok();
    let request = Document::parse(bytes.clone(), Limits::REQUEST);
    let response = Document::parse(bytes, Limits::RESPONSE);
    assert!(
        request.is_err() || response.is_ok(),
        "what a request may hold a response may hold"
    );
    match (&response, &theirs) {
        (Ok(document), theirs) => accepted(document, theirs.as_ref(), Limits::RESPONSE),
        (Err(error), Some(_)) => assert!(
            !matches!(
                error,
                JsonError::Syntax { .. } | JsonError::Utf8 { .. } | JsonError::Trailing { .. }
            ),
            "good JSON is refused as bad: {error}"
        ),
        (Err(_), None) => {}
    }
    if let Ok(document) = &request {
        accepted(document, theirs.as_ref(), Limits::REQUEST);
    }
}

fn accepted(document: &Document, theirs: Option<&Value>, limits: Limits) {
    assert_eq!(
        Some(&document.root().to_value()),
        theirs,
        "read as serde_json reads it"
    );
    let mut nodes = Vec::new();
    walk(document.root(), &mut nodes);
    identical_splice(document, &nodes);
    emptied(document, &nodes, limits);
    extended(document, limits);
    spelled_once(document, limits);
}

/// Every value lies inside its container, after its elder sibling, and reads alone what it reads in place.
fn walk<'d>(node: Node<'d>, nodes: &mut Vec<Node<'d>>) {
    nodes.push(node);
    let alone = Document::parse(Bytes::copy_from_slice(node.raw()), Limits::RESPONSE)
        .expect("a value of a good document is a good document");
    assert_eq!(alone.root().kind(), node.kind());
    let mut at = node.span().start;
    let mut inside = |child: Node<'_>| {
        assert!(at < child.span().start && child.span().end < node.span().end);
        at = child.span().end - 1;
    };
    for element in node.elements() {
        inside(element);
        walk(element, nodes);
    }
    let mut keys: Vec<String> = Vec::new();
    for (key, value) in node.members() {
        inside(key);
        inside(value);
        let name = key.as_str().expect("a key is a text").into_owned();
        let found = node.get(&name).expect("a member is found by its key");
        assert_eq!(found.span(), value.span(), "no two members have one key");
        for other in &keys {
            assert_eq!(folds_to_same(other, &name), folded(other) == folded(&name));
        }
        if keys.len() < 8 {
            keys.push(name);
        }
        walk(value, nodes);
    }
    assert_eq!(
        folding_siblings(node).is_some(),
        has_twins(node),
        "twins are found however many members there are"
    );
}

fn has_twins(node: Node<'_>) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    node.members()
        .filter_map(|(key, _)| key.as_str())
        .any(|key| !seen.insert(folded(&key)))
}

/// Law 14: putting each scalar where it already is changes nothing.
fn identical_splice(document: &Document, nodes: &[Node<'_>]) {
    let mut splice = Splice::new();
    for node in nodes {
        if !matches!(node.kind(), Kind::Array | Kind::Object) {
            splice.replace(*node, node.raw());
        }
    }
    assert_eq!(
        splice.apply(document),
        document.bytes(),
        "a splice of the same"
    );
}

/// Every second child of every container is taken out; what is left is what serde makes of the rest.
fn emptied(document: &Document, nodes: &[Node<'_>], limits: Limits) {
    let mut splice = Splice::new();
    for node in nodes {
        let mut place = 0;
        splice.retain_elements(*node, |_| {
            place += 1;
            place % 2 == 0
        });
        for (key, _) in node.members().step_by(2) {
            splice.remove_member(*node, &key.as_str().expect("a key is a text"));
        }
    }
    let mut expected = document.root().to_value();
    empty(&mut expected, document.root());
    let spliced = Document::parse(splice.apply(document), limits).expect("still a document");
    assert_eq!(
        spliced.root().to_value(),
        expected,
        "exactly these are gone"
    );
}

fn empty(value: &mut Value, node: Node<'_>) {
    match value {
        Value::Array(elements) => {
            let kept = elements.iter().zip(node.elements()).skip(1).step_by(2);
            let kept: Vec<Value> = kept
                .map(|(value, node)| emptied_value(value, node))
                .collect();
            *elements = kept;
        }
        Value::Object(members) => {
            for (place, (key, inner)) in node.members().enumerate() {
                let name = key.as_str().expect("a key is a text");
                if place % 2 == 0 {
                    members.remove(name.as_ref());
                } else if let Some(value) = members.get_mut(name.as_ref()) {
                    empty(value, inner);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn emptied_value(value: &Value, node: Node<'_>) -> Value {
    let mut value = value.clone();
    empty(&mut value, node);
    value
}

/// A member that is added is there, once, and everything else is as it was.
fn extended(document: &Document, limits: Limits) {
    let root = document.root();
    if root.kind() != Kind::Object {
        return;
    }
    let key = "added \" \u{1} \u{212a}";
    let mut splice = Splice::new();
    splice.set_member(root, key, "[1]");
    let Ok(spliced) = Document::parse(splice.apply(document), limits) else {
        // The one thing that may refuse it: no room left.
        return;
    };
    let mut expected = root.to_value();
    expected[key] = serde_json::json!([1]);
    assert_eq!(spliced.root().to_value(), expected);
}

/// Law 19: the canonical form reads the same and is its own canonical form.
fn spelled_once(document: &Document, limits: Limits) {
    let Ok(once) = canonical(document.root()) else {
        return;
    };
    let reread =
        Document::parse(Bytes::from(once.clone()), limits).expect("a canonical form is a document");
    let twice = canonical(reread.root()).expect("and has a canonical form");
    assert_eq!(once, twice, "the canonical form is its own");
}
