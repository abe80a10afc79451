//! Finds a mask that the schemas at a place accept.

use serde_json::{Value, json};

use super::{Schema, format};

/// `preferred`, or another text that says nothing of `original` and fits; none where there is none (law 27).
pub(in crate::mask) fn fit_text(
    schemas: &[Schema<'_>],
    preferred: &str,
    original: &str,
) -> Option<String> {
    if schemas.is_empty() {
        return Some(preferred.to_owned());
    }
    let mut candidates = vec![preferred.to_owned()];
    let flat = flatten(schemas);
    let formats = flat
        .iter()
        .filter_map(|schema| schema.own.get("format")?.as_str());
    candidates.extend(formats.filter_map(format::blank).map(str::to_owned));
    let least = flat
        .iter()
        .filter_map(|schema| schema.count("minLength"))
        .max()
        .unwrap_or(0);
    let most = flat
        .iter()
        .filter_map(|schema| schema.count("maxLength"))
        .min()
        .unwrap_or(usize::MAX);
    // A schema may demand any length; a mask of more than a few thousand characters is none of our making.
    let stars = preferred
        .chars()
        .count()
        .clamp(least.min(4096), most.max(least).min(4096));
    candidates.push(format!("{preferred:*<stars$}"));
    candidates.push("*".repeat(4.max(least.min(4096)).min(most)));
    candidates.extend(shape_of(original));
    choose(schemas, &candidates.into_iter().map(Value::String)).and_then(|value| match value {
        Value::String(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    })
}

/// A number that says nothing and fits, as JSON text.
pub(in crate::mask) fn fit_number(schemas: &[Schema<'_>]) -> Option<String> {
    let mut candidates = vec![json!(0)];
    for schema in flatten(schemas) {
        for (key, step) in [
            ("minimum", 0.0),
            ("exclusiveMinimum", 1.0),
            ("maximum", 0.0),
            ("exclusiveMaximum", -1.0),
        ] {
            let Some(bound) = schema.number(key) else {
                continue;
            };
            candidates.extend(
                [bound + step, bound.ceil() + step, bound.floor() + step]
                    .into_iter()
                    .map(plain),
            );
            if let Some(of) = schema.number("multipleOf").filter(|of| *of > 0.0) {
                candidates.extend(
                    [(bound / of).ceil() * of, (bound / of).floor() * of]
                        .into_iter()
                        .map(plain),
                );
            }
        }
    }
    choose(schemas, &candidates.into_iter()).map(|value| value.to_string())
}

pub(in crate::mask) fn fit_bool(schemas: &[Schema<'_>]) -> Option<bool> {
    choose(schemas, &[json!(false), json!(true)].into_iter())?.as_bool()
}

/// Whether the empty array or object fits.
pub(in crate::mask) fn fit_container(schemas: &[Schema<'_>], empty: &Value) -> bool {
    schemas.iter().all(|schema| schema.accepts(empty))
}

fn flatten<'s>(schemas: &[Schema<'s>]) -> Vec<Schema<'s>> {
    let mut all = Vec::new();
    for schema in schemas {
        schema.flat(6, &mut all);
    }
    all
}

/// Branches of a union may disagree; the whole document is checked afterwards, so one that some accept will do.
fn choose(
    schemas: &[Schema<'_>],
    candidates: &(impl Iterator<Item = Value> + Clone),
) -> Option<Value> {
    let all = |value: &Value| schemas.iter().all(|schema| schema.accepts(value));
    let some = |value: &Value| schemas.iter().any(|schema| schema.accepts(value));
    candidates
        .clone()
        .find(all)
        .or_else(|| candidates.clone().find(some))
}

fn plain(number: f64) -> Value {
    match number.fract() == 0.0 && number.abs() < 9e15 {
        // Exact below 2^53, and schemas of integers want it without a fraction.
        true => format!("{number:.0}")
            .parse::<i64>()
            .map_or(Value::Null, Value::from),
        false => Value::from(number),
    }
}

/// The same shape with every digit a `0` and every letter an `x`, for patterns; none where nothing is hidden so.
fn shape_of(original: &str) -> Option<String> {
    let hide = |c: char| match c {
        '0'..='9' => '0',
        'A'..='Z' => 'X',
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        _ => 'x',
    };
    let hidden = original
        .chars()
        .any(|c| c.is_ascii_alphanumeric() || !c.is_ascii());
    (hidden && original.len() <= 4096).then(|| original.chars().map(hide).collect())
}
