//! What an unquoted word means, where every reader agrees on it.
//!
//! Files go through a YAML 1.2 parser here and through a YAML 1.1 one on the way to the API server. A word that the two
//! take differently is refused: a rule must not mean one thing standalone and another in a cluster.

use serde_json::Number;

/// What a scalar is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Resolved {
    Null,
    Boolean(bool),
    Number(Number),
    Text,
}

/// A plain scalar that readers take differently, and how to write it instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ambiguous(pub(super) &'static str);

const BOOLEAN: Ambiguous =
    Ambiguous("some readers take it for a boolean; put it in quotes, or write `true` or `false`");
const OTHER_BASE: Ambiguous = Ambiguous(
    "some readers take it for a number in another base; put it in quotes or write it plainly",
);
const TOO_PRECISE: Ambiguous =
    Ambiguous("readers round such a number differently; put it in quotes or shorten it");
const NO_JSON: Ambiguous = Ambiguous("JSON has no such number; put it in quotes");

/// What a plain (unquoted) scalar is.
pub(super) fn resolve(text: &str) -> Result<Resolved, Ambiguous> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Resolved::Null),
        "true" | "True" | "TRUE" => return Ok(Resolved::Boolean(true)),
        "false" | "False" | "FALSE" => return Ok(Resolved::Boolean(false)),
        _ => {}
    }
    let folded = text.to_ascii_lowercase();
    match folded.as_str() {
        "y" | "n" | "yes" | "no" | "on" | "off" => Err(BOOLEAN),
        ".inf" | "+.inf" | "-.inf" | ".nan" => Err(NO_JSON),
        folded => resolve_number(folded),
    }
}

fn resolve_number(text: &str) -> Result<Resolved, Ambiguous> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut bytes = unsigned.bytes();
    let starts_as_number = match bytes.next() {
        Some(first) if first.is_ascii_digit() => true,
        Some(b'.') => bytes.next().is_some_and(|second| second.is_ascii_digit()),
        Some(_) | None => false,
    };
    if !starts_as_number {
        return Ok(Resolved::Text);
    }
    if in_other_base(unsigned) {
        return Err(OTHER_BASE);
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return integer(text);
    }
    if unsigned
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'+' | b'-'))
    {
        return float(text);
    }
    Ok(Resolved::Text)
}

/// `0x1f`, `0o17`, `0b1`, `010`, `1_000`.
fn in_other_base(text: &str) -> bool {
    let digits = |rest: &str, radix: u32| {
        !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix) || c == '_')
    };
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)]
        .iter()
        .any(|(prefix, radix)| {
            text.strip_prefix(prefix)
                .is_some_and(|rest| digits(rest, *radix))
        });
    let octal = text.strip_prefix('0').is_some_and(|rest| digits(rest, 10));
    let grouped = text.contains('_')
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '_' | '.'));
    prefixed || octal || grouped
}

fn integer(text: &str) -> Result<Resolved, Ambiguous> {
    let plain = text.strip_prefix('+').unwrap_or(text);
    if let Ok(value) = plain.parse::<i64>() {
        return Ok(Resolved::Number(value.into()));
    }
    Err(TOO_PRECISE)
}

fn float(text: &str) -> Result<Resolved, Ambiguous> {
    let Ok(value) = text.parse::<f64>() else {
        return Ok(Resolved::Text);
    };
    let digits = text
        .bytes()
        .take_while(|byte| *byte != b'e')
        .filter(u8::is_ascii_digit)
        .count();
    match Number::from_f64(value) {
        // Fifteen decimal digits survive a double; more may not.
        Some(number) if digits <= 15 => Ok(Resolved::Number(number)),
        Some(_) | None => Err(TOO_PRECISE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_mean_what_every_reader_takes_them_for() {
        for (text, meaning) in [
            ("", Resolved::Null),
            ("~", Resolved::Null),
            ("true", Resolved::Boolean(true)),
            ("1000", Resolved::Number(1000.into())),
            ("-3", Resolved::Number((-3).into())),
            ("0", Resolved::Number(0.into())),
            ("1.5", Resolved::Number(Number::from_f64(1.5).unwrap())),
            ("Deny", Resolved::Text),
            ("45s", Resolved::Text),
            ("4Mi", Resolved::Text),
            ("2026-11-01T00:00:00Z", Resolved::Text),
            ("2026-11-01", Resolved::Text),
            ("10.0.0.0/8", Resolved::Text),
            ("1.2.3", Resolved::Text),
            ("07:00", Resolved::Text),
            ("none", Resolved::Text),
        ] {
            assert_eq!(resolve(text), Ok(meaning), "{text}");
        }
    }

    #[test]
    fn words_that_readers_take_differently_are_refused() {
        for text in [
            "yes",
            "No",
            "on",
            "OFF",
            "y",
            "0x1F",
            "0o17",
            "010",
            "1_000",
            ".inf",
            ".nan",
            "99999999999999999999",
            "0.1234567890123456789",
            "1e999",
        ] {
            assert!(resolve(text).is_err(), "{text}");
        }
    }
}
