//! What an operator asks of one value.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use regex::RegexSet;

use super::within::{PlainPath, canonical_address};
use super::{Scalar, Truth};
use crate::json::Decimal;

/// The positive question of an operator; `Not*` is its negation.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Present,
    Absent,
    OneOf(Values),
    Pattern(RegexSet),
    StartsWith(Vec<String>),
    EndsWith(Vec<String>),
    Order(Order, Exact),
    Networks(Vec<IpNet>),
    Paths(Vec<PlainPath>),
}

/// Values of `Equals` and `In` by kind: a value of a kind that none of them has cannot be compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    pub(super) texts: BTreeSet<String>,
    pub(super) numbers: Vec<Exact>,
    pub(super) flags: BTreeSet<bool>,
}

/// A number of a policy, kept as its lexeme and compared by exact value.
#[derive(Clone, Debug)]
pub(super) struct Exact(String);

impl Exact {
    /// None for a text that is no JSON number.
    pub(super) fn new(lexeme: String) -> Option<Self> {
        Decimal::parse(&lexeme)?;
        Some(Self(lexeme))
    }

    fn compared_to(&self, number: &Decimal<'_>) -> Option<Ordering> {
        Decimal::parse(&self.0).map(|own| own.cmp(number))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Test {
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// `value` is not null; null counts as absent and never gets here.
    pub(super) fn of(&self, value: &Scalar<'_>) -> Truth {
        match self {
            Self::Present => Truth::True,
            Self::Absent => Truth::False,
            Self::OneOf(values) => values.hold(value),
            Self::Pattern(set) => on_text(value, |text| Truth::from(set.is_match(text))),
            Self::StartsWith(prefixes) => on_text(value, |text| {
                Truth::from(prefixes.iter().any(|p| text.starts_with(&**p)))
            }),
            Self::EndsWith(suffixes) => on_text(value, |text| {
                Truth::from(suffixes.iter().any(|s| text.ends_with(&**s)))
            }),
            Self::Order(order, bound) => on_number(value, |number| {
                let found = bound.compared_to(number).map(Ordering::reverse);
                found.map_or(Truth::CannotBeEvaluated, |found| {
                    Truth::from(order.holds(found))
                })
            }),
            Self::Networks(_) => on_text(value, |text| match text.parse() {
                Ok(address) => self.of_address(address),
                Err(_) => Truth::CannotBeEvaluated,
            }),
            Self::Paths(prefixes) => on_text(value, |text| match PlainPath::parse(text) {
                Some(path) => Truth::from(prefixes.iter().any(|prefix| path.is_within(prefix))),
                None => Truth::CannotBeEvaluated,
            }),
        }
    }

    pub(super) fn of_address(&self, address: IpAddr) -> Truth {
        match self {
            Self::Present => Truth::True,
            Self::Absent => Truth::False,
            Self::Networks(networks) => {
                let address = canonical_address(address);
                Truth::from(networks.iter().any(|network| network.contains(&address)))
            }
            Self::OneOf(_)
            | Self::Pattern(_)
            | Self::StartsWith(_)
            | Self::EndsWith(_)
            | Self::Order(..)
            | Self::Paths(_) => Truth::CannotBeEvaluated,
        }
    }
}

impl Values {
    fn hold(&self, value: &Scalar<'_>) -> Truth {
        match value {
            Scalar::Text(text) if !self.texts.is_empty() => {
                Truth::from(self.texts.contains(&**text))
            }
            Scalar::Bool(flag) if !self.flags.is_empty() => Truth::from(self.flags.contains(flag)),
            Scalar::Number(_) if !self.numbers.is_empty() => on_number(value, |number| {
                let equal = |own: &Exact| own.compared_to(number) == Some(Ordering::Equal);
                Truth::from(self.numbers.iter().any(equal))
            }),
            Scalar::Text(_)
            | Scalar::Bool(_)
            | Scalar::Number(_)
            | Scalar::Null
            | Scalar::Compound => Truth::CannotBeEvaluated,
        }
    }
}

impl Order {
    fn holds(self, found: Ordering) -> bool {
        match self {
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
        }
    }
}

fn on_text(value: &Scalar<'_>, judge: impl FnOnce(&str) -> Truth) -> Truth {
    match value {
        Scalar::Text(text) => judge(text),
        Scalar::Bool(_) | Scalar::Number(_) | Scalar::Null | Scalar::Compound => {
            Truth::CannotBeEvaluated
        }
    }
}

fn on_number(value: &Scalar<'_>, judge: impl FnOnce(&Decimal<'_>) -> Truth) -> Truth {
    match value {
        Scalar::Number(lexeme) => {
            Decimal::parse(lexeme).map_or(Truth::CannotBeEvaluated, |number| judge(&number))
        }
        Scalar::Text(_) | Scalar::Bool(_) | Scalar::Null | Scalar::Compound => {
            Truth::CannotBeEvaluated
        }
    }
}
