//! One mistake or warning as the commands tell it: with its place, its line of text and what to do.
//!
//! Lines of Secrets are never shown, and of documents that could not be recognised neither: they might be one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use sallyport_crds::yaml::{self, ObjectName, Place, Places};
use sallyport_policy::compile;
use serde::Serialize;

/// How many characters of a line are shown around its place.
const BEFORE: usize = 60;
const SHOWN: usize = 120;
/// Larger files are not read a second time for their lines.
const LARGEST: u64 = 16 << 20;

/// Whether something keeps the files from being accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// Where it stands. Ordered so that problems come in the order of their files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Where {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// The object that it is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Object {
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// A mistake or a warning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    #[serde(flatten)]
    pub(crate) place: Option<Where>,
    pub(crate) severity: Severity,
    pub(crate) object: Option<Object>,
    /// The field, such as `spec.rules[2].when[0].values[0]`.
    pub(crate) path: String,
    pub(crate) expected: String,
    pub(crate) found: String,
    pub(crate) hint: Option<String>,
}

impl Problem {
    /// A mistake of reading.
    pub(crate) fn read(mistake: yaml::Mistake) -> Self {
        Self {
            place: mistake.place.as_ref().map(Where::of),
            severity: Severity::Error,
            object: mistake.object.map(|object| Object {
                kind: object.kind,
                namespace: object.namespace,
                name: object.name,
            }),
            path: mistake.path,
            expected: mistake.expected,
            found: mistake.found,
            hint: mistake.hint,
        }
    }

    /// A mistake or warning of compiling, with the place that its field has in the files.
    pub(crate) fn compiled(
        severity: Severity,
        mistake: &compile::Mistake,
        places: &Places,
    ) -> Self {
        let object = &mistake.object;
        let place = place_of(places, object, &mistake.path);
        Self {
            place: place.map(Where::of),
            severity,
            object: Some(Object {
                kind: object.kind.to_owned(),
                namespace: object.namespace.clone(),
                name: object.name.clone(),
            }),
            path: mistake.path.clone(),
            expected: mistake.expected.clone(),
            found: mistake.found.clone(),
            hint: mistake.hint.clone(),
        }
    }

    fn may_show_line(&self) -> bool {
        self.object
            .as_ref()
            .is_some_and(|object| object.kind != "Secret")
    }

    /// As a compiler tells it: what and where, the line, the object and what to do.
    fn render(&self, lines: &mut Lines) -> String {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut text = format!("{word}: ");
        if !self.path.is_empty() {
            let _infallible = write!(text, "{}: ", self.path);
        }
        let _infallible = write!(text, "expected {}", self.expected);
        if !self.found.is_empty() {
            let _infallible = write!(text, ", found {}", self.found);
        }
        if let Some(place) = &self.place {
            let _infallible = write!(
                text,
                "\n  --> {}:{}:{}",
                place.file, place.line, place.column
            );
            if self.may_show_line() {
                text.push_str(&lines.excerpt(place));
            }
        }
        if let Some(object) = &self.object {
            let _infallible = write!(text, "\n   in {} {}", object.kind, object.full_name());
        }
        if let Some(hint) = &self.hint {
            let _infallible = write!(text, "\n help: {hint}");
        }
        text
    }
}

/// Where a field of an object stands, or else the nearest section around it.
pub(crate) fn place_of<'p>(
    places: &'p Places,
    object: &compile::ObjectId,
    path: &str,
) -> Option<&'p Place> {
    let name = ObjectName {
        kind: object.kind.to_owned(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
    };
    places.locate(&name, path)
}

impl Where {
    fn of(place: &Place) -> Self {
        Self {
            file: place.file.to_string(),
            line: place.line,
            column: place.column,
        }
    }
}

impl Object {
    fn full_name(&self) -> String {
        if self.namespace.is_empty() {
            self.name.clone()
        } else {
            format!("{}/{}", self.namespace, self.name)
        }
    }
}

/// Tells all problems, each with an empty line after it.
pub(crate) fn tell_all<E>(
    problems: &[Problem],
    mut tell: impl FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    let mut lines = Lines::default();
    for problem in problems {
        tell(&problem.render(&mut lines))?;
        tell("")?;
    }
    Ok(())
}

/// `1 mistake`, `3 warnings`.
pub(crate) fn counted(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}

/// The lines of files, read once each. A file that has gone meanwhile has none.
#[derive(Default)]
struct Lines(BTreeMap<String, Vec<String>>);

impl Lines {
    fn excerpt(&mut self, place: &Where) -> String {
        let lines = self
            .0
            .entry(place.file.clone())
            .or_insert_with(|| read(&place.file));
        let Some(line) = place.line.checked_sub(1).and_then(|index| lines.get(index)) else {
            return String::new();
        };
        let from = place.column.saturating_sub(BEFORE);
        let shown: String = line.chars().skip(from).take(SHOWN).map(printable).collect();
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(place.column.saturating_sub(1).saturating_sub(from));
        format!(
            "\n{margin} |\n{number} | {}\n{margin} | {indent}^",
            shown.trim_end()
        )
    }
}

fn read(file: &str) -> Vec<String> {
    let path = Path::new(file);
    let small =
        std::fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.len() <= LARGEST);
    let text = if small {
        std::fs::read_to_string(path).unwrap_or_default()
    } else {
        String::new()
    };
    text.lines().map(str::to_owned).collect()
}

/// A file of somebody else must not move the reader's cursor.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str, file: &Path) -> Problem {
        Problem {
            place: Some(Where {
                file: file.display().to_string(),
                line: 2,
                column: 10,
            }),
            severity: Severity::Error,
            object: Some(Object {
                kind: kind.to_owned(),
                namespace: "shop".to_owned(),
                name: "x".to_owned(),
            }),
            path: "spec.a".to_owned(),
            expected: "`b`".to_owned(),
            found: "`c`".to_owned(),
            hint: Some("did you mean `b`?".to_owned()),
        }
    }

    #[test]
    fn a_problem_reads_like_a_compilers() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.yaml");
        std::fs::write(&file, "first:\n  second: hunter2\u{1b}[2J\n").unwrap();
        let text = problem("McpAccessPolicy", &file).render(&mut Lines::default());
        let expected = format!(
            "error: spec.a: expected `b`, found `c`\n  --> {}:2:10\n  |\n2 |   second: hunter2 [2J\n  |          ^\n   in McpAccessPolicy shop/x\n help: did you mean `b`?",
            file.display()
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn no_line_of_a_secret_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.yaml");
        std::fs::write(&file, "first:\n  second: hunter2\n").unwrap();
        let text = problem("Secret", &file).render(&mut Lines::default());
        assert!(!text.contains("hunter2"), "{text}");
        let unknown = Problem {
            object: None,
            ..problem("Secret", &file)
        };
        assert!(!unknown.render(&mut Lines::default()).contains("hunter2"));
    }
}
