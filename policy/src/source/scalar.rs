//! Small values with a written form of their own: durations, sizes, times and literals.
//!
//! Each is checked where it is read and prints what it reads. Their schemas carry `x-sallyport-expected`, a phrase for
//! people that `crds` uses in its messages and takes out of the generated resources.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value};

use crate::time::UnixMillis;

/// A text that is not the value it should be, and what one looks like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {expected}")]
pub struct NotThatScalar {
    pub found: String,
    pub expected: &'static str,
}

impl NotThatScalar {
    fn new(found: &str, expected: &'static str) -> Self {
        Self {
            found: found.chars().take(80).collect(),
            expected,
        }
    }
}

/// Gives a type with `FromStr` and `Display` its serde forms and its schema.
macro_rules! written_as_text {
    ($type:ident, $expected:expr, $schema:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema: Schema = $schema;
                schema.insert("x-sallyport-expected".to_owned(), $expected.into());
                schema
            }
        }
    };
}

/// A Go duration within the limits of the Gateway API (GEP-2257): up to four of `h`, `m`, `s`, `ms`, at most five digits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(Duration);

const A_DURATION: &str = "a duration such as `45s` or `1h30m`";
/// What can be printed again with five digits of hours.
const LONGEST_MILLIS: u64 = 100_000 * 3_600_000 - 1;

impl GoDuration {
    /// At most 99999 hours; what is longer becomes that.
    #[must_use]
    pub fn of(duration: Duration) -> Self {
        let longest = Duration::from_millis(LONGEST_MILLIS);
        Self(duration.min(longest))
    }

    #[must_use]
    pub const fn from_secs(seconds: u32) -> Self {
        let seconds = seconds as u64;
        let longest = LONGEST_MILLIS / 1000;
        Self(Duration::from_secs(if seconds < longest {
            seconds
        } else {
            longest
        }))
    }

    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for GoDuration {
    type Err = NotThatScalar;

    fn from_str(text: &str) -> Result<Self, NotThatScalar> {
        let wrong = || NotThatScalar::new(text, A_DURATION);
        let mut rest = text;
        let mut millis = 0_u64;
        let mut parts = 0;
        while !rest.is_empty() {
            let (part, after) = duration_part(rest).ok_or_else(wrong)?;
            millis = millis.saturating_add(part);
            rest = after;
            parts += 1;
        }
        if parts == 0 || parts > 4 || millis > LONGEST_MILLIS {
            return Err(wrong());
        }
        Ok(Self(Duration::from_millis(millis)))
    }
}

/// The milliseconds of the first number and unit, and what follows.
fn duration_part(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    if !(1..=5).contains(&digits) {
        return None;
    }
    let units = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let (unit, after) = units
        .iter()
        .find_map(|(name, unit)| Some((*unit, rest.strip_prefix(name)?)))?;
    Some((number.parse::<u64>().ok()?.saturating_mul(unit), after))
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, name) in [(3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")] {
            if rest >= unit {
                write!(f, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

written_as_text!(
    GoDuration,
    A_DURATION,
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"
    })
);

/// A number of bytes as Kubernetes writes it: digits and, maybe, `Ki Mi Gi Ti` or `k M G T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u64);

const A_QUANTITY: &str = "a size such as `4Mi` or `500k`";
const UNITS: [(&str, u64); 8] = [
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1000),
];

impl Quantity {
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn mebibytes(mebibytes: u32) -> Self {
        Self((mebibytes as u64) << 20)
    }

    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Quantity {
    type Err = NotThatScalar;

    fn from_str(text: &str) -> Result<Self, NotThatScalar> {
        let wrong = || NotThatScalar::new(text, A_QUANTITY);
        let unit = UNITS
            .iter()
            .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
        let (digits, unit) = unit.unwrap_or((text, 1));
        if digits.len() > 15 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        number.checked_mul(unit).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |(_, unit): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*unit);
        match UNITS.iter().find(exact) {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

written_as_text!(
    Quantity,
    A_QUANTITY,
    json_schema!({
        "type": "string",
        "maxLength": 20,
        "pattern": "^[0-9]{1,15}([KMGT]i|[kMGT])?$"
    })
);

/// A point in time with its offset, RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(UnixMillis);

const A_TIMESTAMP: &str = "a time with offset such as `2026-11-01T00:00:00Z`";

impl Timestamp {
    #[must_use]
    pub const fn new(millis: UnixMillis) -> Self {
        Self(millis)
    }

    #[must_use]
    pub const fn get(self) -> UnixMillis {
        self.0
    }
}

impl FromStr for Timestamp {
    type Err = NotThatScalar;

    fn from_str(text: &str) -> Result<Self, NotThatScalar> {
        let stamp: jiff::Timestamp = text
            .parse()
            .map_err(|_| NotThatScalar::new(text, A_TIMESTAMP))?;
        Ok(Self(UnixMillis(stamp.as_millisecond())))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0.0) {
            Ok(stamp) => write!(f, "{stamp}"),
            Err(_) => write!(f, "{} ms", self.0.0),
        }
    }
}

written_as_text!(
    Timestamp,
    A_TIMESTAMP,
    json_schema!({ "type": "string", "format": "date-time", "maxLength": 64 })
);

/// A time of day, `HH:MM`, in minutes since midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(u16);

const A_TIME_OF_DAY: &str = "a time of day such as `07:00`";

impl TimeOfDay {
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

impl FromStr for TimeOfDay {
    type Err = NotThatScalar;

    fn from_str(text: &str) -> Result<Self, NotThatScalar> {
        let two_digits = |part: &str| match part.as_bytes() {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                Some(u16::from(tens - b'0') * 10 + u16::from(ones - b'0'))
            }
            _ => None,
        };
        text.split_once(':')
            .and_then(|(hours, minutes)| Some((two_digits(hours)?, two_digits(minutes)?)))
            .filter(|(hours, minutes)| *hours < 24 && *minutes < 60)
            .map(|(hours, minutes)| Self(hours * 60 + minutes))
            .ok_or_else(|| NotThatScalar::new(text, A_TIME_OF_DAY))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

written_as_text!(
    TimeOfDay,
    A_TIME_OF_DAY,
    json_schema!({ "type": "string", "maxLength": 5, "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$" })
);

/// A value to compare with: a string, a number or a boolean. Null is not one: `Exists` and `DoesNotExist` ask for that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Literal {
    Bool(bool),
    Number(Number),
    Text(String),
}

/// The longest text of a literal, in characters.
pub const LITERAL_MAX: usize = 4096;

impl Literal {
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone()),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Serialize for Literal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(value) => Ok(Self::Bool(value)),
            Value::Number(number) => Ok(Self::Number(number)),
            Value::String(text) => Ok(Self::Text(text)),
            Value::Null => Err(serde::de::Error::custom(
                "null is not a value to compare with; use `Exists` or `DoesNotExist`",
            )),
            Value::Array(_) | Value::Object(_) => Err(serde::de::Error::custom(
                "a value to compare with is a string, a number or a boolean",
            )),
        }
    }
}

impl JsonSchema for Literal {
    fn schema_name() -> Cow<'static, str> {
        "Literal".into()
    }

    /// A structural schema has no word for "one of three scalar types"; `crds` reads the extra key instead.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-preserve-unknown-fields": true,
            "x-sallyport-types": ["string", "number", "boolean"],
            "x-sallyport-expected": "a string, a number or a boolean"
        })
    }
}

/// The schema of free JSON: an object with any fields.
pub(super) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// The schema of a digest.
pub(super) fn digest(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 71,
        "pattern": "^sha256:[0-9a-f]{64}$",
        "x-sallyport-expected": "`sha256:` and 64 hex digits"
    })
}

#[cfg(test)]
mod tests;
