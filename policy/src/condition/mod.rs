//! Conditions: operands, operators and three-valued results (laws 2 and 3). Compiled once; total and bounded.
//!
//! A condition is never an expression: one operand, one operator, values. What cannot be judged says so and is
//! turned against the caller by whoever asked; nothing here decides what follows.

pub mod claim;
mod compile;
pub mod glob;
pub mod scalar;
mod test;
#[cfg(test)]
mod tests;
pub mod uri;
mod values;
pub mod within;

use std::sync::Arc;

pub use compile::Problem;
pub use scalar::Scalar;

use crate::decide::Facts;
use crate::json::Node;
use crate::json::path::Path;
use claim::ClaimPath;
use test::Test;

/// Three-valued truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    /// The value is of a kind that the operator cannot judge.
    CannotBeEvaluated,
}

/// How several nodes and absence are read (law 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// For Allow: all nodes, at least one; what is absent proves nothing.
    Granting,
    /// For Deny and RequireApproval: any node; what is absent is not the value.
    Restricting,
}

/// One condition made ready.
#[derive(Clone, Debug)]
pub struct Predicate {
    operand: Operand,
    test: Test,
    negated: bool,
    text: Arc<str>,
}

#[derive(Clone, Debug)]
enum Operand {
    Argument(Path),
    Principal(ClaimPath),
    Address,
    /// A hint in the tool's annotations.
    Hint(String),
    /// A request header, in lower case.
    Header(String),
}

impl Predicate {
    /// The condition in the words of the policy.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether it looks into the body.
    #[must_use]
    pub fn is_about_arguments(&self) -> bool {
        matches!(self.operand, Operand::Argument(_))
    }

    /// Whether it looks only at the tool's definition.
    #[must_use]
    pub fn is_about_the_tool(&self) -> bool {
        matches!(self.operand, Operand::Hint(_))
    }

    /// Names of members in its path, for the twin check of law 4.
    pub fn member_names(&self) -> impl Iterator<Item = &str> {
        let path = match &self.operand {
            Operand::Argument(path) => Some(path),
            Operand::Principal(_) | Operand::Address | Operand::Hint(_) | Operand::Header(_) => {
                None
            }
        };
        path.into_iter().flat_map(Path::member_names)
    }

    /// Judges the condition; `arguments` is the root that paths start from.
    #[must_use]
    pub fn judge(&self, arguments: Option<Node<'_>>, facts: &Facts<'_>, reading: Reading) -> Truth {
        match &self.operand {
            Operand::Argument(path) => {
                let nodes = arguments.map(|root| path.select(root)).unwrap_or_default();
                self.over(nodes.into_iter().map(Scalar::of_node), reading)
            }
            Operand::Principal(path) => {
                let values = path.select(&facts.principal.claims);
                self.over(values.into_iter().map(Scalar::of_value), reading)
            }
            Operand::Address => match facts.source {
                Some(address) => self.over_address(address),
                None => self.of_absent(reading),
            },
            Operand::Hint(hint) => {
                let annotations = facts.tool.and_then(|tool| tool.annotations);
                let node = annotations.and_then(|object| object.get(hint));
                self.over(node.into_iter().map(Scalar::of_node), reading)
            }
            Operand::Header(name) => {
                let value = (facts.header)(name);
                self.over(
                    value.into_iter().map(|text| Scalar::Text(text.into())),
                    reading,
                )
            }
        }
    }

    fn over<'v>(&self, values: impl Iterator<Item = Scalar<'v>>, reading: Reading) -> Truth {
        let mut values = values.peekable();
        if values.peek().is_none() {
            return self.of_absent(reading);
        }
        let judged = values.map(|value| {
            if value == Scalar::Null {
                self.of_absent(reading)
            } else {
                self.of_value(&value)
            }
        });
        match reading {
            Reading::Granting => judged.fold(Truth::True, Truth::and),
            Reading::Restricting => judged.fold(Truth::False, Truth::or),
        }
    }

    fn over_address(&self, address: std::net::IpAddr) -> Truth {
        self.test.of_address(address).negated_if(self.negated)
    }

    fn of_value(&self, value: &Scalar<'_>) -> Truth {
        self.test.of(value).negated_if(self.negated)
    }

    /// Positive operators are false; `Not*` are true where they restrict and false where they grant.
    fn of_absent(&self, reading: Reading) -> Truth {
        let holds = match reading {
            Reading::Granting => self.test.is_absence(),
            Reading::Restricting => self.test.is_absence() || self.negated,
        };
        Truth::from(holds)
    }
}

impl Truth {
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            (Self::CannotBeEvaluated, Self::True | Self::CannotBeEvaluated)
            | (Self::True, Self::CannotBeEvaluated) => Self::CannotBeEvaluated,
        }
    }

    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.negated().and(other.negated()).negated()
    }

    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::CannotBeEvaluated => Self::CannotBeEvaluated,
        }
    }

    fn negated_if(self, negated: bool) -> Self {
        if negated { self.negated() } else { self }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}
