//! One spelling for each meaning (law 19).

use proptest::prelude::*;
use serde_json::Value;

use super::super::{Decimal, JsonError, canonical, quote};
use super::oracle::{any_value, respelled};
use super::parsed;

fn canonical_text(text: &str) -> String {
    let bytes = canonical(parsed(text).root()).unwrap_or_else(|error| panic!("{text}: {error}"));
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn law_19_numbers_that_are_equal_have_one_spelling() {
    let rows: &[(&str, &[&str])] = &[
        ("0", &["0", "-0", "0.0", "0e5", "-0.000e-99999999999"]),
        (
            "1",
            &["1", "1.0", "1e0", "10e-1", "0.1e1", "1E+0", "0.00000001e8"],
        ),
        ("-15", &["-15", "-1.5e1", "-150E-1"]),
        ("1.5", &["1.5", "1.50", "15e-1"]),
        ("0.000001", &["0.000001", "1e-6"]),
        ("1e-7", &["0.0000001", "1e-7", "10e-8"]),
        ("100000000000000000000", &["1e20", "100000000000000000000"]),
        ("1e+21", &["1e21", "1000000000000000000000"]),
        ("1.25e+25", &["12.5e24"]),
        ("1e-400", &["1e-400", "0.1e-399"]),
    ];
    for (expected, spellings) in rows {
        for spelling in *spellings {
            assert_eq!(&canonical_text(spelling), expected, "{spelling}");
        }
    }
}

#[test]
fn law_19_numbers_that_doubles_confuse_stay_apart() {
    assert_eq!(canonical_text("9007199254740993"), "9007199254740993");
    assert_eq!(canonical_text("9007199254740993.25"), "9007199254740993.25");
    assert_ne!(
        canonical_text("0.1"),
        canonical_text("0.1000000000000000055")
    );
}

#[test]
fn law_19_exponents_are_bounded() {
    for text in ["[1e-401]", "[0.1e-400]", "[1e-99999999999]"] {
        let refused = canonical(parsed(text).root());
        assert_eq!(refused, Err(JsonError::NumberRange { at: 1 }), "{text}");
    }
}

#[test]
fn law_19_keys_are_in_the_order_of_rfc_8785() {
    // The example of its section 3.2.3, where UTF-16 and UTF-8 order differ.
    let text = "{\"\u{20ac}\":1,\"\\r\":2,\"\u{fb33}\":3,\"1\":4,\"\u{1f600}\":5,\"\u{80}\":6,\"\u{f6}\":7}";
    let expected = "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}";
    assert_eq!(canonical_text(text), expected);
}

#[test]
fn law_19_strings_are_in_the_form_of_rfc_8785() {
    let text = r#""\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/\u0008\f\u007f""#;
    assert_eq!(
        canonical_text(text),
        "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\\b\\f\u{7f}\""
    );
}

#[test]
fn blanks_and_key_order_do_not_matter_but_element_order_does() {
    assert_eq!(
        canonical_text(r#" { "b" : [ 1 , 2 ] , "a" : null } "#),
        r#"{"a":null,"b":[1,2]}"#
    );
    assert_ne!(canonical_text("[1,2]"), canonical_text("[2,1]"));
}

#[test]
fn decimals_are_ordered_by_their_exact_values() {
    let ascending = [
        "-1e300",
        "-2",
        "-1.5",
        "-1",
        "-0.5",
        "-1e-9",
        "0",
        "1e-400",
        "1e-9",
        "0.5",
        "0.51",
        "0.9",
        "1",
        "1.5",
        "9",
        "10",
        "10.000000000000000000001",
        "99",
        "100",
        "9007199254740992",
        "9007199254740993",
        "1e300",
    ];
    let decimal = |text| Decimal::parse(text).expect(text);
    for (i, a) in ascending.iter().enumerate() {
        for (j, b) in ascending.iter().enumerate() {
            assert_eq!(decimal(a).cmp(&decimal(b)), i.cmp(&j), "{a} {b}");
        }
    }
    assert_eq!(decimal("-0"), decimal("0.0"));
    assert_eq!(decimal("1.20e1"), decimal("12"));
}

#[test]
fn a_decimal_knows_whether_it_is_an_integer() {
    let rows = [
        ("0", true),
        ("-0.0", true),
        ("1", true),
        ("1.0", true),
        ("1.5", false),
        ("1e3", true),
        ("15e-1", false),
        ("150e-1", true),
        ("1e-1", false),
    ];
    for (text, integer) in rows {
        assert_eq!(
            Decimal::parse(text).map(|value| value.is_integer()),
            Some(integer),
            "{text}"
        );
    }
    for text in ["", "1 ", "01", "1e", "a", "-"] {
        assert!(Decimal::parse(text).is_none(), "{text}");
    }
}

proptest! {
    #[test]
    fn every_spelling_of_a_value_has_the_same_canonical_form((value, spelling) in any_value().prop_flat_map(|value| (Just(value.clone()), respelled(value)))) {
        prop_assert_eq!(canonical_text(&spelling), canonical_text(&value.to_string()));
    }

    #[test]
    fn the_canonical_form_is_its_own_canonical_form(value in any_value()) {
        let once = canonical_text(&value.to_string());
        prop_assert_eq!(canonical_text(&once), once);
    }

    #[test]
    fn different_values_have_different_canonical_forms(a in any_value(), b in any_value()) {
        prop_assert_eq!(a == b, canonical_text(&a.to_string()) == canonical_text(&b.to_string()));
    }

    #[test]
    fn a_canonical_double_reads_back(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
        let text = canonical_text(&serde_json::to_string(&value).expect("a number"));
        prop_assert_eq!(text.parse::<f64>().expect("a number"), value);
    }

    #[test]
    fn a_quoted_text_reads_back(text in any::<String>()) {
        let literal = quote(&text);
        prop_assert_eq!(&literal, &Value::from(text.as_str()).to_string());
        let document = parsed(&literal);
        let reread = document.root().as_str();
        prop_assert_eq!(reread.as_deref(), Some(text.as_str()));
    }
}
