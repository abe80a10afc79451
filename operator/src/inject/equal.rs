//! Whether a pod is the one that injection makes. Two things may differ without meaning anything: how a quantity is
//! written, and amounts of further resources that a LimitRange gives to every container.

use serde_json::{Map, Value};

use super::names::is_ours;

/// Where a pod differs from what it should be; nothing where it does not.
#[must_use]
pub fn differs(found: &Value, expected: &Value) -> Option<String> {
    first("", found, expected)
}

fn first(path: &str, found: &Value, expected: &Value) -> Option<String> {
    match (found, expected) {
        (found, expected) if found == expected => None,
        (Value::Object(found), Value::Object(expected)) => fields(path, found, expected),
        (Value::Array(found), Value::Array(expected)) => items(path, found, expected),
        (_, _) => Some(path.to_owned()),
    }
}

fn fields(path: &str, found: &Map<String, Value>, expected: &Map<String, Value>) -> Option<String> {
    let ours = found
        .get("name")
        .and_then(Value::as_str)
        .is_some_and(is_ours);
    for (key, value) in expected {
        let below = format!("{path}/{key}");
        let Some(there) = found.get(key) else {
            return Some(below);
        };
        let differs = if ours && key == "resources" {
            (!are_amounts(there, value)).then_some(below)
        } else {
            first(&below, there, value)
        };
        if differs.is_some() {
            return differs;
        }
    }
    let more = found.keys().find(|key| !expected.contains_key(*key));
    more.map(|key| format!("{path}/{key}"))
}

fn items(path: &str, found: &[Value], expected: &[Value]) -> Option<String> {
    let pairs = found.iter().zip(expected).enumerate();
    let differing = pairs
        .filter_map(|(index, (found, expected))| first(&format!("{path}/{index}"), found, expected))
        .next();
    let longer = || {
        let shorter = found.len().min(expected.len());
        (found.len() != expected.len()).then(|| format!("{path}/{shorter}"))
    };
    differing.or_else(longer)
}

/// Whether what was found gives at least every expected amount.
fn are_amounts(found: &Value, expected: &Value) -> bool {
    let Some(expected) = expected.as_object() else {
        return false;
    };
    expected.iter().all(|(kind, amounts)| {
        amounts.as_object().is_some_and(|amounts| {
            amounts.iter().all(|(resource, amount)| {
                let there = found.get(kind).and_then(|found| found.get(resource));
                there.is_some_and(|there| same_amount(there, amount))
            })
        })
    })
}

fn same_amount(found: &Value, expected: &Value) -> bool {
    let amount = |value: &Value| value.as_str().and_then(nano);
    found == expected || (amount(found).is_some() && amount(found) == amount(expected))
}

/// A quantity of Kubernetes in billionths of its unit.
fn nano(text: &str) -> Option<i128> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(digits)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let billionths: i128 = format!("{whole}{fraction}").parse().ok()?;
    match suffix {
        "n" => Some(billionths / 1_000_000_000),
        "u" => Some(billionths / 1_000_000),
        "m" => Some(billionths / 1_000),
        _ => billionths.checked_mul(factor(suffix)?),
    }
}

fn factor(suffix: &str) -> Option<i128> {
    let powers = [
        ("", 0),
        ("k", 1),
        ("M", 2),
        ("G", 3),
        ("T", 4),
        ("P", 5),
        ("E", 6),
    ];
    let binary = [
        ("Ki", 1),
        ("Mi", 2),
        ("Gi", 3),
        ("Ti", 4),
        ("Pi", 5),
        ("Ei", 6),
    ];
    let of = |list: &[(&str, u32)], base: i128| {
        let found = list.iter().find(|(name, _)| *name == suffix);
        found.and_then(|(_, power)| base.checked_pow(*power))
    };
    of(&powers, 1000).or_else(|| of(&binary, 1024))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_quantity_has_many_spellings() {
        for (a, b, same) in [
            ("0.2", "200m", true),
            ("1024Mi", "1Gi", true),
            ("1", "1000m", true),
            ("1G", "1Gi", false),
            ("640Mi", "641Mi", false),
            ("1.5Gi", "1536Mi", true),
        ] {
            assert_eq!(same_amount(&json!(a), &json!(b)), same, "{a} {b}");
        }
    }

    #[test]
    fn further_amounts_are_a_limit_ranges_and_fewer_are_not_ours() {
        let expected =
            json!([{ "name": "sallyport", "resources": { "limits": { "cpu": "200m" } } }]);
        let ranged = json!([{ "name": "sallyport", "resources": { "limits": { "cpu": "0.2", "ephemeral-storage": "1Gi" } } }]);
        assert_eq!(differs(&ranged, &expected), None);
        let starved = json!([{ "name": "sallyport", "resources": { "limits": { "cpu": "1m" } } }]);
        assert_eq!(
            differs(&starved, &expected),
            Some("/0/resources".to_owned())
        );
    }

    #[test]
    fn the_first_difference_is_named() {
        let expected = json!({ "spec": { "containers": [{ "image": "a" }] } });
        let found = json!({ "spec": { "containers": [{ "image": "b" }] } });
        assert_eq!(
            differs(&found, &expected),
            Some("/spec/containers/0/image".to_owned())
        );
        let more = json!({ "spec": { "containers": [{ "image": "a", "env": [] }] } });
        assert_eq!(
            differs(&more, &expected),
            Some("/spec/containers/0/env".to_owned())
        );
    }
}
