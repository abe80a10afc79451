//! One mistake in a file, with its place and what to do.

use std::fmt;

use sallyport_policy::compile;
use sallyport_policy::source::consistency::Disagreement;

use super::near::quoted;
use super::place::{ObjectName, Place, Places};

/// Something in a file that its author must change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Absent only where there is no text: a file that cannot be read.
    pub place: Option<Place>,
    pub object: Option<ObjectName>,
    /// Such as `spec.rules[2].when[0].values[0]`; empty for the document as a whole.
    pub path: String,
    /// What should stand there, as a phrase after "expected".
    pub expected: String,
    /// What stands there, as a phrase after "found"; empty where that says nothing.
    pub found: String,
    /// What was perhaps meant, or what to do.
    pub hint: Option<String>,
}

impl Mistake {
    pub(super) fn at(place: &Place, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            place: Some(place.clone()),
            object: None,
            path: String::new(),
            expected: expected.into(),
            found: found.into(),
            hint: None,
        }
    }

    pub(super) fn of_file(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            place: None,
            object: None,
            path: String::new(),
            expected: expected.into(),
            found: found.into(),
            hint: None,
        }
    }

    pub(super) fn with_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds "did you mean", where something is near.
    pub(super) fn with_near(mut self, near: Option<&str>) -> Self {
        if let Some(near) = near {
            self.hint = Some(format!("did you mean {}?", quoted(near)));
        }
        self
    }

    /// A mistake of the compiler, with the place that its field has in the files.
    #[must_use]
    pub fn of_compiler(mistake: compile::Mistake, places: &Places) -> Self {
        let compile::Mistake {
            object,
            path,
            expected,
            found,
            hint,
        } = mistake;
        let object = ObjectName {
            kind: object.kind.to_owned(),
            namespace: object.namespace,
            name: object.name,
        };
        Self {
            place: places.locate(&object, &path).cloned(),
            object: Some(object),
            path,
            expected,
            found,
            hint,
        }
    }

    pub(super) fn of_disagreement(place: &Place, disagreement: &Disagreement) -> Self {
        let message = disagreement.message;
        let expected = message.strip_prefix("expected ").unwrap_or(message);
        Self::at(place, expected, "").with_path(&disagreement.path)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "expected {}", self.expected)?;
        if !self.found.is_empty() {
            write!(f, ", found {}", self.found)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}
