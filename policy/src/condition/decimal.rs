//! Exact comparison of JSON numbers by their lexemes; never through doubles, which would let
//! `1000.00000000000000000001` pass for `1000`.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A number as sign, significant digits and the power of ten before them: `0.digits * 10^exponent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal<'a> {
    negative: bool,
    /// Without leading or trailing zeros; empty for zero.
    digits: Cow<'a, str>,
    exponent: i64,
}

/// Exponents beyond this are not compared; strict parsing bounds them long before.
const MOST_EXPONENT: i64 = 1_000_000;

impl<'a> Decimal<'a> {
    /// None for a text that is no JSON number or whose exponent is absurd.
    #[must_use]
    pub fn parse(lexeme: &'a str) -> Option<Self> {
        let (negative, unsigned) = match lexeme.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, lexeme),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        if exponent.abs() > MOST_EXPONENT {
            return None;
        }
        Some(Self::normal(negative, whole, fraction, exponent))
    }

    fn normal(negative: bool, whole: &'a str, fraction: &'a str, exponent: i64) -> Self {
        let digits: Cow<'a, str> = if fraction.is_empty() {
            Cow::Borrowed(whole)
        } else {
            Cow::Owned([whole, fraction].concat())
        };
        let leading = digits.len() - digits.trim_start_matches('0').len();
        let point = i64::try_from(whole.len()).unwrap_or(i64::MAX);
        let zeros = i64::try_from(leading).unwrap_or(i64::MAX);
        let digits = match digits {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches('0')),
            Cow::Owned(text) => Cow::Owned(text.trim_matches('0').to_owned()),
        };
        if digits.is_empty() {
            return Self {
                negative: false,
                digits,
                exponent: 0,
            };
        }
        Self {
            negative,
            digits,
            exponent: exponent.saturating_add(point).saturating_sub(zeros),
        }
    }

    /// The same value with its own text.
    #[must_use]
    pub fn into_owned(self) -> Decimal<'static> {
        Decimal {
            negative: self.negative,
            digits: Cow::Owned(self.digits.into_owned()),
            exponent: self.exponent,
        }
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        // Digits have no leading zeros, so the exponent decides first; then text order is value order.
        self.exponent
            .cmp(&other.exponent)
            .then_with(|| self.digits.as_bytes().cmp(other.digits.as_bytes()))
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
        }
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(a: &str, b: &str) -> Ordering {
        Decimal::parse(a).unwrap().cmp(&Decimal::parse(b).unwrap())
    }

    #[test]
    fn numbers_compare_by_exact_value_in_any_spelling() {
        let rows = [
            ("1", "1.0", Ordering::Equal),
            ("1", "1e0", Ordering::Equal),
            ("100", "1E+2", Ordering::Equal),
            ("0.001", "1e-3", Ordering::Equal),
            ("-0", "0.00", Ordering::Equal),
            ("0e9", "0", Ordering::Equal),
            ("1000.00000000000000000001", "1000", Ordering::Greater),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("-2", "-1", Ordering::Less),
            ("-1", "1", Ordering::Less),
            ("0.09", "0.1", Ordering::Less),
            ("12", "2", Ordering::Greater),
            ("105", "1050e-1", Ordering::Equal),
        ];
        for (a, b, expected) in rows {
            assert_eq!(order(a, b), expected, "{a} and {b}");
            assert_eq!(order(b, a), expected.reverse(), "{b} and {a}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_read_as_one() {
        for text in [
            "",
            "-",
            "1.2.3",
            "0x10",
            "1e",
            "1e99999999999",
            "١",
            "NaN",
            ".5",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn integers_order_as_integers(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(order(&a.to_string(), &b.to_string()), a.cmp(&b));
        }

        #[test]
        fn a_shifted_point_changes_nothing(a in any::<i32>(), shift in 0_u32..20) {
            let shifted = format!("{a}{}e-{shift}", "0".repeat(shift as usize));
            prop_assert_eq!(order(&a.to_string(), &shifted), Ordering::Equal);
        }
    }
}
