//! Operators on single values, and the mistakes of conditions.

#![expect(clippy::too_many_lines, reason = "a table is one row after another")]

use serde_json::{Value, json};

use super::*;
use crate::decide::no_header;
use crate::json::{Document, Limits};
use crate::name::{Issuer, Subject};
use crate::principal::Principal;
use crate::source::{Condition, Effect};
use crate::time::UnixMillis;

fn compile(condition: &Value, effect: Effect) -> Result<Predicate, Vec<Problem>> {
    Predicate::compile(&read(condition), effect)
}

fn read(condition: &Value) -> Condition {
    serde_json::from_value(condition.clone()).unwrap()
}

fn nobody() -> Principal {
    Principal {
        issuer: Issuer::new("i"),
        subject: Subject::new("s"),
        email: None,
        groups: std::collections::BTreeSet::new(),
        client: None,
        actor: None,
        scopes: std::collections::BTreeSet::new(),
        service_account: None,
        claims: serde_json::Map::new(),
        expires_at: None,
        anonymous: false,
    }
}

/// The truth of `$.a <operator> values` on `{"a": value}`.
fn truth(operator: &str, values: &Value, value: &str) -> Truth {
    let condition = json!({ "argument": "$.a", "operator": operator, "values": values });
    let predicate = compile(&condition, Effect::Deny).unwrap();
    let text = format!("{{\"a\":{value}}}");
    let document = Document::parse(text.into(), Limits::REQUEST).unwrap();
    let principal = nobody();
    let facts = Facts {
        principal: &principal,
        now: UnixMillis(0),
        source: None,
        header: &no_header,
        tool: None,
    };
    predicate.judge(Some(document.root()), &facts, Reading::Restricting)
}

#[test]
fn each_operator_judges_values_of_its_kind_and_no_other() {
    use Truth::{CannotBeEvaluated as Unknown, False, True};
    let rows = [
        ("Equals", json!(["x"]), r#""x""#, True),
        ("Equals", json!(["x"]), r#""X""#, False),
        ("Equals", json!([true]), "true", True),
        ("Equals", json!([true]), r#""true""#, Unknown),
        ("Equals", json!([0.1]), "1e-1", True),
        ("NotEquals", json!(["x"]), r#""y""#, True),
        ("NotEquals", json!(["x"]), "1", Unknown),
        ("In", json!(["x", 1]), "1.0", True),
        ("In", json!(["x", 1]), "2", False),
        ("In", json!(["x", 1]), "true", Unknown),
        ("NotIn", json!(["x", "y"]), r#""z""#, True),
        ("Matches", json!(["^a+$", "^b$"]), r#""b""#, True),
        ("Matches", json!(["^a+$"]), r#""aab""#, False),
        (
            "Matches",
            json!([r"(?i)^\s*select\b"]),
            r#""\n SeLeCt 1""#,
            True,
        ),
        ("Matches", json!(["^a$"]), "1", Unknown),
        ("NotMatches", json!(["a", "b"]), r#""c""#, True),
        ("NotMatches", json!(["a", "b"]), r#""xb""#, False),
        ("StartsWith", json!(["ab", "cd"]), r#""cde""#, True),
        ("StartsWith", json!(["ab"]), r#""a""#, False),
        ("EndsWith", json!([".txt"]), r#""a.txt""#, True),
        ("EndsWith", json!([".txt"]), "[]", Unknown),
        ("LessThan", json!([1000]), "999.99999999999999999999", True),
        ("LessThan", json!([1000]), "1000", False),
        ("LessThanOrEqual", json!([1000]), "1e3", True),
        (
            "LessThanOrEqual",
            json!([1000]),
            "1000.00000000000000000001",
            False,
        ),
        ("GreaterThan", json!([-1]), "-0.5", True),
        ("GreaterThanOrEqual", json!([0.3]), "0.3", True),
        ("GreaterThan", json!([1]), r#""2""#, Unknown),
        ("Within", json!(["/srv/data"]), r#""/srv/data/x""#, True),
        ("Within", json!(["/srv/data"]), r#""/srv/data/../x""#, False),
        (
            "Within",
            json!(["/srv/data"]),
            r#""/srv/%2e%2e/x""#,
            Unknown,
        ),
        (
            "Within",
            json!(["10.0.0.0/8", "2001:db8::/32"]),
            r#""2001:db8::1""#,
            True,
        ),
        ("Within", json!(["10.0.0.0/8"]), r#""11.0.0.1""#, False),
        ("Within", json!(["10.0.0.0/8"]), r#""host""#, Unknown),
    ];
    for (operator, values, value, expected) in rows {
        assert_eq!(
            truth(operator, &values, value),
            expected,
            "{operator} {values} {value}"
        );
    }
}

#[test]
fn every_mistake_of_a_condition_is_told_with_its_place() {
    let rows = [
        (
            json!({ "argument": "$.a[", "operator": "Exists" }),
            "argument",
        ),
        (
            json!({ "argument": "$.a", "operator": "Equals", "values": ["x", "y"] }),
            "values",
        ),
        (json!({ "argument": "$.a", "operator": "Equals" }), "values"),
        (
            json!({ "argument": "$.a", "operator": "Exists", "values": ["x"] }),
            "values",
        ),
        (
            json!({ "argument": "$.a", "operator": "Matches", "values": ["a", "("] }),
            "values[1]",
        ),
        (
            json!({ "argument": "$.a", "operator": "Matches", "values": ["(?=x)"] }),
            "values[0]",
        ),
        (
            json!({ "argument": "$.a", "operator": "Matches", "values": [r"(a)\1"] }),
            "values[0]",
        ),
        (
            json!({ "argument": "$.a", "operator": "Matches", "values": [r"(\w{100}){100}"] }),
            "values[0]",
        ),
        (
            json!({ "argument": "$.a", "operator": "LessThan", "values": ["10"] }),
            "values[0]",
        ),
        (
            json!({ "argument": "$.a", "operator": "StartsWith", "values": [""] }),
            "values[0]",
        ),
        (
            json!({ "argument": "$.a", "operator": "Within", "values": ["/srv", "10.0.0.0/8"] }),
            "values[1]",
        ),
        (
            json!({ "source": "address", "operator": "Within", "values": ["10.0.0"] }),
            "values[0]",
        ),
        (
            json!({ "source": "address", "operator": "Matches", "values": ["10"] }),
            "operator",
        ),
        (
            json!({ "tool": "annotations.readonly", "operator": "Exists" }),
            "tool",
        ),
        (
            json!({ "principal": "a..b", "operator": "Exists" }),
            "principal",
        ),
        (
            json!({ "header": "bad name", "operator": "Exists" }),
            "header",
        ),
        (
            json!({ "header": "x", "operator": "NotEquals", "values": ["y"] }),
            "operator",
        ),
        (
            json!({ "header": "x", "operator": "DoesNotExist" }),
            "operator",
        ),
        (
            json!({ "argument": "$.a", "header": "x", "operator": "Exists" }),
            "",
        ),
        (json!({ "operator": "Exists" }), ""),
    ];
    for (condition, path) in rows {
        let problems = compile(&condition, Effect::Deny).unwrap_err();
        let paths: Vec<_> = problems
            .iter()
            .map(|problem| problem.path.as_str())
            .collect();
        assert_eq!(paths, [path], "{condition}");
    }
}

#[test]
fn law_12_a_header_never_allows_and_never_exempts() {
    let positive = json!({ "header": "x", "operator": "Equals", "values": ["y"] });
    assert!(compile(&positive, Effect::Allow).is_err());
    assert!(compile(&positive, Effect::Deny).is_ok());
    let negative = json!({ "header": "x", "operator": "NotIn", "values": ["y"] });
    assert!(compile(&negative, Effect::Deny).is_err());
}

#[test]
fn a_near_hint_is_suggested() {
    let condition = json!({ "tool": "annotations.readOnly", "operator": "Exists" });
    let problems = compile(&condition, Effect::Deny).unwrap_err();
    assert_eq!(
        problems[0].hint.as_deref(),
        Some("did you mean `annotations.readOnlyHint`?")
    );
}

#[test]
fn three_valued_logic_is_kleenes() {
    use Truth::{CannotBeEvaluated as U, False as F, True as T};
    for (a, b, and, or) in [
        (T, T, T, T),
        (T, F, F, T),
        (F, F, F, F),
        (T, U, U, T),
        (F, U, F, U),
        (U, U, U, U),
    ] {
        assert_eq!(
            (a.and(b), b.and(a), a.or(b), b.or(a)),
            (and, and, or, or),
            "{a:?} {b:?}"
        );
    }
}
