//! One mistake in what people wrote: where, what was expected, what was found.

use std::fmt;

use crate::condition::Problem;
use crate::source::consistency::Disagreement;

/// The object that a mistake is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId {
    /// Such as `McpAccessPolicy`.
    pub kind: &'static str,
    /// Empty for cluster-scoped kinds.
    pub namespace: String,
    pub name: String,
}

impl ObjectId {
    #[must_use]
    pub fn gateway(namespace: &str, name: &str) -> Self {
        Self::new("McpGateway", namespace, name)
    }

    #[must_use]
    pub fn policy(namespace: &str, name: &str) -> Self {
        Self::new("McpAccessPolicy", namespace, name)
    }

    #[must_use]
    pub fn guardrail(name: &str) -> Self {
        Self::new("McpGuardrail", "", name)
    }

    fn new(kind: &'static str, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// A mistake or, in lists of warnings, something suspicious.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    pub object: ObjectId,
    /// Such as `spec.rules[2].when[0].values[0]`.
    pub path: String,
    /// A phrase after "expected".
    pub expected: String,
    /// A phrase after "found"; empty where that says nothing.
    pub found: String,
    /// What was perhaps meant, or what to do.
    pub hint: Option<String>,
}

impl Mistake {
    #[must_use]
    pub fn new(
        object: &ObjectId,
        path: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            object: object.clone(),
            path: path.to_owned(),
            expected: expected.into(),
            found: found.into(),
            hint: None,
        }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A problem of a part, with the part's place before its own.
    pub(super) fn of_problem(object: &ObjectId, part: &str, problem: Problem) -> Self {
        let path = match problem.path.as_str() {
            "" => part.to_owned(),
            inner => format!("{part}.{inner}"),
        };
        Self {
            object: object.clone(),
            path,
            expected: problem.expected,
            found: problem.found,
            hint: problem.hint,
        }
    }

    pub(super) fn of_disagreement(object: &ObjectId, disagreement: &Disagreement) -> Self {
        let message = disagreement.message;
        let expected = message.strip_prefix("expected ").unwrap_or(message);
        Self::new(object, &disagreement.path, expected, "")
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}: expected {}",
            self.object, self.path, self.expected
        )?;
        if !self.found.is_empty() {
            write!(f, ", found {}", self.found)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}
