//! `policy test`: the tests that policies carry, as admission runs them.

use std::process::ExitCode;

use sallyport_policy::compile::{self, TestResult};
use sallyport_policy::decide::Explanation;
use serde::Serialize;

use crate::output::{Failure, Format, put_value, say};

use super::input::{self, Files};
use super::problem::place_of;
use super::report::{self, Shape};
use super::verdict;

/// Run the tests that policies carry.
#[derive(clap::Args, Debug)]
#[command(after_help = "Exit codes: 0 all tests pass; 1 a test fails; 3 the files are wrong")]
pub(crate) struct TestArgs {
    #[command(flatten)]
    files: Files,
    /// How the results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Shape,
}

/// One result, as all formats tell it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    pub(super) policy: String,
    pub(super) name: String,
    pub(super) passed: bool,
    pub(super) file: Option<String>,
    pub(super) line: Option<usize>,
    pub(super) path: String,
    pub(super) expected: String,
    pub(super) found: Option<String>,
    /// Why the test could not be run.
    pub(super) problem: Option<String>,
    /// The rules that were looked at.
    pub(super) explanation: Vec<String>,
}

pub(crate) fn run(args: &TestArgs) -> Result<ExitCode, Failure> {
    let loaded = input::read_right(&args.files.files)?;
    let outcomes: Vec<Outcome> = compile::run_tests(&loaded.sources)
        .iter()
        .map(|result| {
            let place = place_of(&loaded.places, &result.policy, &result.path);
            let mut outcome = Outcome::of(result);
            outcome.file = place.map(|place| place.file.to_string());
            outcome.line = place.map(|place| place.line);
            outcome
        })
        .collect();
    if outcomes.is_empty() {
        say("sallyport: no policy in the files carries tests");
    }
    match args.format {
        Shape::Json => put_value(&outcomes, Format::Json)?,
        Shape::Human | Shape::Junit | Shape::Tap => report::put_all(&outcomes, args.format)?,
    }
    let failed = outcomes.iter().any(|outcome| !outcome.passed);
    Ok(if failed {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

impl Outcome {
    fn of(result: &TestResult) -> Self {
        let by = result
            .expected_rule
            .as_ref()
            .map(|rule| format!(" by rule `{rule}`"));
        let expected = verdict::effect(result.expected);
        Self {
            policy: format!("{}/{}", result.policy.namespace, result.policy.name),
            name: result.name.clone(),
            passed: result.passed(),
            file: None,
            line: None,
            path: result.path.clone(),
            expected: format!("{expected}{}", by.unwrap_or_default()),
            found: result
                .found
                .map(|found| verdict::whole(found, result.rule.as_ref(), result.reason)),
            problem: result.problem.clone(),
            explanation: lines_of(&result.explanation),
        }
    }
}

fn lines_of(explanation: &Explanation) -> Vec<String> {
    explanation.to_string().lines().map(str::to_owned).collect()
}
