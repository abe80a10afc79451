//! What changes is spliced; every other byte stays (law 14).

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::super::{Document, Node, Splice};
use super::oracle::{any_value, respelled};
use super::parsed;

type Change = fn(&mut Splice, Node<'_>);

fn at<'d>(node: Node<'d>, key: &str) -> Node<'d> {
    node.get(key).expect(key)
}

/// Name, document, change of its root, document afterwards.
const CHANGES: &[(&str, &str, Change, &str)] = &[
    (
        "a replaced value",
        r#"{ "a" : 1.50 , "b" : 1e2 }"#,
        |s, o| s.replace(at(o, "a"), "2"),
        r#"{ "a" : 2 , "b" : 1e2 }"#,
    ),
    (
        "a replaced root",
        " [1] ",
        |s, o| s.replace(o, "null"),
        " null ",
    ),
    (
        "a replaced text",
        r#"["\u0041"]"#,
        |s, o| s.replace_with_str(o.elements().next().expect("one"), "a\"\n"),
        r#"["a\"\n"]"#,
    ),
    (
        "a set member that is there",
        r#"{"a": 1}"#,
        |s, o| s.set_member(o, "a", "2"),
        r#"{"a": 2}"#,
    ),
    (
        "a set member whose key is escaped",
        r#"{"\u0061": 1}"#,
        |s, o| s.set_member(o, "a", "2"),
        r#"{"\u0061": 2}"#,
    ),
    (
        "a new member",
        r#"{"a": 1 }"#,
        |s, o| s.set_member(o, "b\"", "[]"),
        r#"{"a": 1,"b\"":[] }"#,
    ),
    (
        "a new member of an empty object",
        "{ }",
        |s, o| s.set_member(o, "a", "1"),
        r#"{"a":1 }"#,
    ),
    (
        "two new members",
        "{}",
        |s, o| {
            s.set_member(o, "a", "1");
            s.set_member(o, "b", "2");
        },
        r#"{"a":1,"b":2}"#,
    ),
    (
        "a new member set twice",
        "{}",
        |s, o| {
            s.set_member(o, "a", "1");
            s.set_member(o, "a", "2");
        },
        r#"{"a":2}"#,
    ),
    (
        "the first member removed",
        r#"{ "a":1 , "b":2 }"#,
        |s, o| s.remove_member(o, "a"),
        r#"{ "b":2 }"#,
    ),
    (
        "the last member removed",
        r#"{ "a":1 , "b":2 }"#,
        |s, o| s.remove_member(o, "b"),
        r#"{ "a":1 }"#,
    ),
    (
        "a middle member removed",
        r#"{"a":1, "b":2, "c":3}"#,
        |s, o| s.remove_member(o, "b"),
        r#"{"a":1, "c":3}"#,
    ),
    (
        "the only member removed",
        r#"{ "a":1 }"#,
        |s, o| s.remove_member(o, "a"),
        "{  }",
    ),
    (
        "an absent member removed",
        r#"{"a":1}"#,
        |s, o| s.remove_member(o, "b"),
        r#"{"a":1}"#,
    ),
    (
        "all members removed, one new",
        r#"{"a":1,"b":2}"#,
        |s, o| {
            s.remove_member(o, "b");
            s.remove_member(o, "a");
            s.set_member(o, "c", "3");
        },
        r#"{"c":3}"#,
    ),
    (
        "the last member removed, one new",
        r#"{"a":1,"b":2}"#,
        |s, o| {
            s.remove_member(o, "b");
            s.set_member(o, "c", "3");
        },
        r#"{"a":1,"c":3}"#,
    ),
    (
        "removed, then set",
        r#"{"a":1}"#,
        |s, o| {
            s.remove_member(o, "a");
            s.set_member(o, "a", "2");
        },
        r#"{"a":2}"#,
    ),
    (
        "set, then removed",
        r#"{"a":1}"#,
        |s, o| {
            s.set_member(o, "b", "2");
            s.remove_member(o, "b");
            s.set_member(o, "a", "3");
            s.remove_member(o, "a");
        },
        "{}",
    ),
    (
        "odd elements kept",
        "[1, 2, 3, 4, 5]",
        |s, o| s.retain_elements(o, |n| n.as_i64().is_some_and(|n| n % 2 == 1)),
        "[1, 3, 5]",
    ),
    (
        "even elements kept",
        "[1, 2, 3, 4, 5]",
        |s, o| s.retain_elements(o, |n| n.as_i64().is_some_and(|n| n % 2 == 0)),
        "[2, 4]",
    ),
    (
        "no elements kept",
        "[ 1, 2 ]",
        |s, o| s.retain_elements(o, |_| false),
        "[  ]",
    ),
    (
        "all elements kept",
        "[1,\n2]",
        |s, o| s.retain_elements(o, |_| true),
        "[1,\n2]",
    ),
    (
        "retained twice",
        "[1,2,3]",
        |s, o| {
            s.retain_elements(o, |n| n.as_i64() != Some(1));
            s.retain_elements(o, |n| n.as_i64() != Some(3));
        },
        "[2]",
    ),
    (
        "an edit inside a replaced value",
        r#"{"a":{"b":1},"c":1}"#,
        |s, o| {
            s.replace(at(at(o, "a"), "b"), "2");
            s.replace(at(o, "a"), "{}");
            s.replace(at(o, "c"), "3");
        },
        r#"{"a":{},"c":3}"#,
    ),
    (
        "a new member of a removed value",
        r#"{"a":{},"c":1}"#,
        |s, o| {
            s.remove_member(o, "a");
            s.set_member(at(o, "a"), "b", "2");
        },
        r#"{"c":1}"#,
    ),
    (
        "an edit inside what stays beside what goes",
        r#"[{"a":1},{"a":2}]"#,
        |s, o| {
            s.retain_elements(o, |n| n.get("a").and_then(|n| n.as_i64()) == Some(2));
            for n in o.elements() {
                s.set_member(n, "b", "0");
            }
        },
        r#"[{"a":2,"b":0}]"#,
    ),
    (
        "a member of something that is no object",
        "[1]",
        |s, o| s.set_member(o, "a", "1"),
        "[1]",
    ),
];

#[test]
fn law_14_every_byte_that_is_not_changed_stays() {
    for (name, before, change, after) in CHANGES {
        let document = parsed(before);
        let mut splice = Splice::new();
        change(&mut splice, document.root());
        let spliced = splice.apply(&document);
        assert_eq!(std::str::from_utf8(&spliced), Ok(*after), "{name}");
    }
}

#[test]
fn law_14_what_is_unchanged_is_the_same_bytes_not_a_copy() {
    let document = parsed(r#"{"a": 1}"#);
    let spliced = Splice::new().apply(&document);
    assert_eq!(spliced.as_ptr(), document.bytes().as_ptr());
}

/// One edit of a random container: what to do with its children, and what to add.
#[derive(Clone, Debug)]
struct Plan {
    fates: Vec<u8>,
    added: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    (prop::collection::vec(0_u8..4, 1..8), any::<bool>())
        .prop_map(|(fates, added)| Plan { fates, added })
}

const NEW_KEY: &str = "a key that no generated object has, since it is longer than any of them";

/// Changes `node` by the plan in the splice and, in the same way, the value that it stands for.
fn change(node: Node<'_>, plan: &Plan, splice: &mut Splice) -> Value {
    let fate = |place: usize| plan.fates[place % plan.fates.len()];
    if node.elements().next().is_some() {
        return change_array(node, plan, splice, fate);
    }
    let mut members = serde_json::Map::new();
    for (place, (key, value)) in node.members().enumerate() {
        let name = key.as_str().expect("a key").into_owned();
        match fate(place) {
            0 => splice.remove_member(node, &name),
            1 => {
                splice.set_member(node, &name, r#"["new"]"#);
                members.insert(name, serde_json::json!(["new"]));
            }
            _ => {
                let inner = change(value, plan, splice);
                members.insert(name, inner);
            }
        }
    }
    if node.kind() != super::super::Kind::Object {
        return node.to_value();
    }
    if plan.added {
        splice.set_member(node, NEW_KEY, "1");
        members.insert(NEW_KEY.to_owned(), Value::from(1));
    }
    Value::Object(members)
}

fn change_array(
    node: Node<'_>,
    plan: &Plan,
    splice: &mut Splice,
    fate: impl Fn(usize) -> u8,
) -> Value {
    let mut place = 0;
    splice.retain_elements(node, |_| {
        place += 1;
        fate(place - 1) != 0
    });
    let kept = node
        .elements()
        .enumerate()
        .filter(|(place, _)| fate(*place) != 0);
    let kept: Vec<_> = kept.collect();
    let mut changed = Vec::new();
    for (place, element) in kept {
        if fate(place) == 1 {
            splice.replace_with_str(element, "new");
            changed.push(Value::from("new"));
        } else {
            changed.push(change(element, plan, splice));
        }
    }
    Value::Array(changed)
}

proptest! {
    #[test]
    fn law_14_edits_compose_into_the_document_that_they_describe(spelling in any_value().prop_flat_map(respelled), plan in plan()) {
        let document = parsed(&spelling);
        let mut splice = Splice::new();
        let expected = change(document.root(), &plan, &mut splice);
        let spliced = splice.apply(&document);
        let reread = Document::parse(spliced, super::Limits::RESPONSE).expect("still strict JSON");
        prop_assert_eq!(reread.root().to_value(), expected);
    }

    #[test]
    fn law_14_replacing_a_value_by_itself_changes_no_byte(spelling in any_value().prop_flat_map(respelled)) {
        let document = parsed(&spelling);
        let mut splice = Splice::new();
        for (_, value) in document.root().members() {
            splice.replace(value, value.raw());
        }
        prop_assert_eq!(splice.apply(&document), Bytes::from(spelling));
    }
}
