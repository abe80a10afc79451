//! Twin keys at the protocol's own levels (law 4, traps 7.1).

use proptest::prelude::*;

use super::super::{folded, folding_siblings, folds_to_same, twins};
use super::parsed;

#[test]
fn law_04_keys_that_lenient_parsers_confuse_fold_to_the_same() {
    let rows = [
        ("case", "name", "NAME", true),
        ("mixed case", "inputSchema", "inputschema", true),
        ("the long s", "params", "param\u{17f}", true),
        ("the kelvin sign", "task", "tas\u{212a}", true),
        (
            "the dotless i, which upper-cases to I",
            "id",
            "\u{131}d",
            true,
        ),
        (
            "the sharp s and its expansion",
            "stra\u{df}e",
            "STRASSE",
            true,
        ),
        ("the capital sharp s", "stra\u{1e9e}e", "strasse", true),
        ("final sigma", "\u{3c2}", "\u{3a3}", true),
        (
            "a letter newer than the folding tables",
            "\u{10d0}",
            "\u{1c90}",
            true,
        ),
        ("one NUL behind", "name", "name\0", true),
        ("several NULs and case", "name", "Name\0\0", true),
        ("a NUL inside", "name", "na\0me", false),
        ("a NUL before", "name", "\0name", false),
        ("a blank behind", "name", "name ", false),
        ("another key", "name", "names", false),
        ("an accent", "name", "nam\u{e9}", false),
    ];
    for (name, a, b, same) in rows {
        assert_eq!(folds_to_same(a, b), same, "{name}");
        assert_eq!(folds_to_same(b, a), same, "{name}, the other way");
        assert_eq!(folded(a) == folded(b), same, "{name}, as sets see it");
    }
}

#[test]
fn law_04_a_key_that_imitates_a_known_one_is_named() {
    let known = ["name", "arguments", "_meta", "ID", "id"];
    let rows = [
        (
            "only known keys",
            r#"{"name":1,"arguments":2,"other":3}"#,
            None,
        ),
        ("two known keys that fold alike", r#"{"id":1,"ID":2}"#, None),
        (
            "a capital",
            r#"{"name":1,"Arguments":2}"#,
            Some("Arguments"),
        ),
        ("an escaped capital", r#"{"\u004eame":1}"#, Some("Name")),
        ("a NUL behind", r#"{"name\u0000":1}"#, Some("name\0")),
        ("a third spelling", r#"{"Id":1}"#, Some("Id")),
        ("not an object", r#"["Name"]"#, None),
    ];
    for (name, text, expected) in rows {
        assert_eq!(
            twins(parsed(text).root(), &known).as_deref(),
            expected,
            "{name}"
        );
    }
}

#[test]
fn law_04_siblings_that_fold_alike_are_named() {
    let many: Vec<_> = (0..20).map(|n| format!(r#""key{n}":0"#)).collect();
    let many = format!("{{{},\"KEY7\":1}}", many.join(","));
    let rows = [
        ("distinct keys", r#"{"a":1,"b":2}"#, None),
        ("case", r#"{"a":1,"b":2,"A":3}"#, Some("A")),
        ("a NUL behind", r#"{"a":1,"a\u0000":3}"#, Some("a\0")),
        ("in a large object", &many, Some("KEY7")),
        ("only inside a member", r#"{"x":{"a":1,"A":2}}"#, None),
    ];
    for (name, text, expected) in rows {
        assert_eq!(
            folding_siblings(parsed(text).root()).as_deref(),
            expected,
            "{name}"
        );
    }
}

/// Beyond the first two planes no character has cases.
const LAST: char = '\u{20000}';

#[test]
fn folding_is_idempotent_for_every_character() {
    for c in '\0'..LAST {
        let once = folded(&c.to_string());
        assert_eq!(folded(&once), once, "{c:?}");
    }
}

#[test]
fn both_cases_of_every_character_fold_alike() {
    for c in '\u{1}'..LAST {
        let (upper, lower) = (c.to_uppercase().to_string(), c.to_lowercase().to_string());
        assert!(folds_to_same(&c.to_string(), &upper), "{c:?} {upper:?}");
        assert!(folds_to_same(&c.to_string(), &lower), "{c:?} {lower:?}");
    }
}

proptest! {
    #[test]
    fn comparing_and_folding_agree(a in "[aAkK\u{212a}sS\u{17f}\u{df}iI\u{131}\0]{0,4}", b in "[aAkK\u{212a}sS\u{17f}\u{df}iI\u{131}\0]{0,4}") {
        prop_assert_eq!(folds_to_same(&a, &b), folded(&a) == folded(&b));
    }
}
