//! Numbers as exact decimals: compared, range-checked and printed without ever becoming doubles (laws 13, 19).

use std::cmp::Ordering;

use super::parse::SHORT_NUMBER;

/// A JSON number as sign, significant digits and the place of its point; it borrows the lexeme.
///
/// `1`, `1.0`, `10e-1` are equal; so are `0` and `-0`. Order is that of the exact values.
#[derive(Clone, Copy, Debug)]
pub struct Decimal<'a> {
    negative: bool,
    /// Significant digits: no zeros in front of the first, none behind the last. Empty for zero.
    whole: &'a str,
    fraction: &'a str,
    /// The value is `0.DIGITS` times ten to the power of this.
    point: i64,
}

impl<'a> Decimal<'a> {
    /// Reads the lexeme of a JSON number (RFC 8259 section 6); none if it is not one.
    #[must_use]
    pub fn parse(lexeme: &'a str) -> Option<Self> {
        (number_length(lexeme.as_bytes()) == Ok(lexeme.len())).then(|| Self::of_lexeme(lexeme))
    }

    /// Reads a lexeme whose grammar has been checked.
    pub(super) fn of_lexeme(lexeme: &'a str) -> Self {
        let (negative, magnitude) = match lexeme.strip_prefix('-') {
            Some(magnitude) => (true, magnitude),
            None => (false, lexeme),
        };
        let (mantissa, exponent) = match magnitude.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)),
            None => (magnitude, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        Self::normalised(negative, whole, fraction, exponent)
    }

    fn normalised(negative: bool, whole: &'a str, fraction: &'a str, exponent: i64) -> Self {
        let mut whole = whole.trim_start_matches('0');
        let mut fraction = fraction.trim_end_matches('0');
        let mut place = length(whole);
        if whole.is_empty() {
            let significant = fraction.trim_start_matches('0');
            place = length(significant) - length(fraction);
            fraction = significant;
        }
        if fraction.is_empty() {
            whole = whole.trim_end_matches('0');
        }
        let zero = whole.is_empty() && fraction.is_empty();
        Self {
            negative: negative && !zero,
            whole,
            fraction,
            point: if zero {
                0
            } else {
                exponent.saturating_add(place)
            },
        }
    }

    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    /// Whether no digit stands behind the point.
    #[must_use]
    pub fn is_integer(&self) -> bool {
        self.digit_count() <= self.point || self.is_zero()
    }

    /// Whether the magnitude is at most 2^53 - 1, so that every reader of doubles sees the same integer.
    pub(super) fn is_safe(&self) -> bool {
        const LARGEST: &[u8] = b"9007199254740991";
        match self.point.cmp(&length(LARGEST)) {
            Ordering::Less => true,
            Ordering::Equal => self.digits().le(LARGEST.iter().copied()),
            Ordering::Greater => false,
        }
    }

    /// Whether readers of doubles would see infinity. `lexeme` is what this value was read from.
    pub(super) fn overflows(&self, lexeme: &str) -> bool {
        // The largest double is 0.17976... times ten to the power of 309.
        match self.point.cmp(&309) {
            Ordering::Less => false,
            Ordering::Equal => lexeme.parse().is_ok_and(f64::is_infinite),
            Ordering::Greater => true,
        }
    }

    /// The power of ten of the first significant digit, as scientific notation writes it.
    pub(super) fn exponent(&self) -> i64 {
        if self.is_zero() {
            0
        } else {
            self.point.saturating_sub(1)
        }
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.bytes().chain(self.fraction.bytes())
    }

    fn digit_count(&self) -> i64 {
        length(self.whole) + length(self.fraction)
    }

    /// Appends the value in the layout of ECMAScript (which RFC 8785 prescribes), with all of its digits.
    pub(super) fn push_to(&self, text: &mut String) {
        if self.is_zero() {
            text.push('0');
            return;
        }
        if self.negative {
            text.push('-');
        }
        match self.point {
            point if (1..=21).contains(&point) => self.push_plain(text, point),
            point if (-5..=0).contains(&point) => {
                text.push_str("0.");
                push_zeros(text, -point);
                text.extend(self.digits().map(char::from));
            }
            _ => self.push_scientific(text),
        }
    }

    fn push_plain(&self, text: &mut String, point: i64) {
        for (place, digit) in (0..).zip(self.digits()) {
            if place == point {
                text.push('.');
            }
            text.push(char::from(digit));
        }
        push_zeros(text, point - self.digit_count());
    }

    fn push_scientific(&self, text: &mut String) {
        for (place, digit) in self.digits().enumerate() {
            if place == 1 {
                text.push('.');
            }
            text.push(char::from(digit));
        }
        let exponent = self.exponent();
        let sign = if exponent < 0 { '-' } else { '+' };
        text.push('e');
        text.push(sign);
        text.push_str(&exponent.unsigned_abs().to_string());
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitudes = || {
            self.point
                .cmp(&other.point)
                .then_with(|| self.digits().cmp(other.digits()))
        };
        let sign = |value: &Self| match (value.negative, value.is_zero()) {
            (true, _) => -1,
            (false, true) => 0,
            (false, false) => 1,
        };
        sign(self).cmp(&sign(other)).then_with(|| {
            if self.negative {
                magnitudes().reverse()
            } else {
                magnitudes()
            }
        })
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal<'_> {}

/// What is wrong with a number, and how far it was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotANumber {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// The length of an integer that `bytes` begin with, where it has no sign and is below 2^53 by its length alone: what
/// most numbers are. None says nothing.
pub(super) fn short_integer(bytes: &[u8]) -> Option<usize> {
    let digits = bytes
        .iter()
        .take(SHORT_NUMBER + 1)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let leads = bytes.first() != Some(&b'0') || digits == 1;
    let over = !matches!(bytes.get(digits), Some(b'.' | b'e' | b'E'));
    ((1..=SHORT_NUMBER).contains(&digits) && leads && over).then_some(digits)
}

/// How many bytes of the longest JSON number that `bytes` begins with.
pub(super) fn number_length(bytes: &[u8]) -> Result<usize, NotANumber> {
    let byte = |at: usize| bytes.get(at).copied();
    let mut at = usize::from(byte(0) == Some(b'-'));
    at = match byte(at) {
        Some(b'0') => at + 1,
        Some(_) | None => skip_digits(bytes, at)?,
    };
    if byte(at) == Some(b'.') {
        at = skip_digits(bytes, at + 1)?;
    }
    if matches!(byte(at), Some(b'e' | b'E')) {
        let signed = matches!(byte(at + 1), Some(b'+' | b'-'));
        at = skip_digits(bytes, at + 1 + usize::from(signed))?;
    }
    Ok(at)
}

fn skip_digits(bytes: &[u8], from: usize) -> Result<usize, NotANumber> {
    let digits = bytes.get(from..).unwrap_or_default();
    match digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count()
    {
        0 => Err(NotANumber {
            at: from,
            what: "expected a digit",
        }),
        count => Ok(from + count),
    }
}

/// Saturates: what is beyond any use stays beyond it.
fn read_exponent(text: &str) -> i64 {
    let magnitude = text
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0_i64, |value, digit| {
            value
                .saturating_mul(10)
                .saturating_add(i64::from(digit - b'0'))
        });
    if text.starts_with('-') {
        -magnitude
    } else {
        magnitude
    }
}

fn push_zeros(text: &mut String, count: i64) {
    text.extend((0..count).map(|_| '0'));
}

/// A length as a signed number. Texts are shorter than 4 GiB, so this never saturates.
fn length(text: impl AsRef<[u8]>) -> i64 {
    i64::try_from(text.as_ref().len()).unwrap_or(i64::MAX)
}
