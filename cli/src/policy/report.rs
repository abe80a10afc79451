//! Test results in the formats that people and build servers read.

use std::collections::BTreeMap;

use crate::output::{Failure, put};

use super::problem::counted;
use super::test::Outcome;

/// How test results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shape {
    /// A line a test, and why it fails
    #[default]
    Human,
    /// JUnit XML
    Junit,
    /// Test Anything Protocol, version 14
    Tap,
    Json,
}

pub(super) fn put_all(outcomes: &[Outcome], shape: Shape) -> Result<(), Failure> {
    let text = match shape {
        Shape::Human | Shape::Json => human(outcomes),
        Shape::Junit => junit(outcomes),
        Shape::Tap => tap(outcomes),
    };
    put(text.trim_end())
}

impl Outcome {
    /// Expected and found, and why; one fact a line.
    fn reasons(&self) -> Vec<String> {
        let mut lines = vec![format!("expected {}", self.expected)];
        match (&self.problem, &self.found) {
            (Some(problem), _) => lines.push(format!("not run: {problem}")),
            (None, Some(found)) => lines.push(format!("found    {found}")),
            (None, None) => {}
        }
        if self.problem.is_none() {
            if self.explanation.is_empty() {
                lines.push("because no rule is about such a call".to_owned());
            } else {
                lines.push("because".to_owned());
                lines.extend(self.explanation.iter().map(|line| format!("  {line}")));
            }
        }
        lines
    }

    fn place(&self) -> String {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (Some(file), None) => file.clone(),
            (None, _) => self.path.clone(),
        }
    }
}

fn human(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let word = if outcome.passed { "ok  " } else { "FAIL" };
        text.push_str(&format!("{word} {}: {}\n", outcome.policy, outcome.name));
        if !outcome.passed {
            text.push_str(&format!("     at {}\n", outcome.place()));
            for line in outcome.reasons() {
                text.push_str(&format!("     {line}\n"));
            }
        }
    }
    let passed = outcomes.iter().filter(|outcome| outcome.passed).count();
    let failed = outcomes.len() - passed;
    text + &format!(
        "{}: {passed} passed, {failed} failed\n",
        counted(outcomes.len(), "test")
    )
}

fn tap(outcomes: &[Outcome]) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", outcomes.len());
    for (index, outcome) in outcomes.iter().enumerate() {
        let word = if outcome.passed { "ok" } else { "not ok" };
        let name = format!("{}: {}", outcome.policy, outcome.name);
        text.push_str(&format!("{word} {} - {}\n", index + 1, tap_text(&name)));
        if !outcome.passed {
            let quoted = |text: &str| serde_json::Value::from(text).to_string();
            text.push_str("  ---\n");
            text.push_str(&format!("  at: {}\n", quoted(&outcome.place())));
            text.push_str(&format!(
                "  message: {}\n  ...\n",
                quoted(&outcome.reasons().join("\n"))
            ));
        }
    }
    text
}

/// A description in which nothing reads as a directive.
fn tap_text(text: &str) -> String {
    let one_line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    one_line.replace('\\', "\\\\").replace('#', "\\#")
}

fn junit(outcomes: &[Outcome]) -> String {
    let mut suites: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        suites.entry(&outcome.policy).or_default().push(outcome);
    }
    let failures =
        |outcomes: &[&Outcome]| outcomes.iter().filter(|outcome| !outcome.passed).count();
    let all: Vec<&Outcome> = outcomes.iter().collect();
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    text.push_str(&format!(
        "<testsuites tests=\"{}\" failures=\"{}\">\n",
        all.len(),
        failures(&all)
    ));
    for (policy, outcomes) in suites {
        let (name, tests, failed) = (xml(policy), outcomes.len(), failures(&outcomes));
        text.push_str(&format!(
            "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failed}\">\n"
        ));
        outcomes
            .iter()
            .for_each(|outcome| text.push_str(&test_case(outcome)));
        text.push_str("  </testsuite>\n");
    }
    text + "</testsuites>\n"
}

fn test_case(outcome: &Outcome) -> String {
    let name = xml(&outcome.name);
    let class = xml(&outcome.policy);
    let file = outcome
        .file
        .as_ref()
        .map(|file| format!(" file=\"{}\"", xml(file)))
        .unwrap_or_default();
    let line = outcome
        .line
        .map(|line| format!(" line=\"{line}\""))
        .unwrap_or_default();
    let head = format!("    <testcase name=\"{name}\" classname=\"{class}\"{file}{line}");
    if outcome.passed {
        return format!("{head}/>\n");
    }
    let reasons = outcome.reasons();
    let message = reasons
        .iter()
        .take(2)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    let body = xml(&reasons.join("\n"));
    format!(
        "{head}>\n      <failure message=\"{}\">{body}</failure>\n    </testcase>\n",
        xml(&message)
    )
}

/// As XML text or attribute; what XML cannot hold becomes a question mark.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            '\u{fffe}' | '\u{ffff}' => escaped.push('?'),
            c if c.is_control() => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(name: &str) -> Outcome {
        Outcome {
            policy: "shop/clerks".to_owned(),
            name: name.to_owned(),
            passed: false,
            file: Some("a&b.yaml".to_owned()),
            line: Some(7),
            path: "spec.tests[0]".to_owned(),
            expected: "Allow".to_owned(),
            found: Some("Deny (no_rule)".to_owned()),
            problem: None,
            explanation: vec!["clerks/read: not matched: `$.limit` < 5".to_owned()],
        }
    }

    #[test]
    fn names_cannot_break_out_of_the_formats() {
        let outcomes = [failed("a # skip \"x\" <b>\u{1b}\nnot ok 7")];
        let tap = tap(&outcomes);
        assert!(
            tap.contains("not ok 1 - shop/clerks: a \\# skip \"x\" <b>  not ok 7\n"),
            "{tap}"
        );
        let junit = junit(&outcomes);
        assert!(
            junit.contains("name=\"a # skip &quot;x&quot; &lt;b&gt;?\nnot ok 7\""),
            "{junit}"
        );
        assert!(
            junit.contains("file=\"a&amp;b.yaml\" line=\"7\""),
            "{junit}"
        );
        assert!(junit.contains("`$.limit` &lt; 5"), "{junit}");
    }

    #[test]
    fn a_failure_tells_expected_found_and_why() {
        let text = human(&[failed("reads")]);
        for part in [
            "FAIL shop/clerks: reads",
            "at a&b.yaml:7",
            "expected Allow",
            "found    Deny (no_rule)",
            "because",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.ends_with("1 test: 0 passed, 1 failed\n"), "{text}");
    }
}
