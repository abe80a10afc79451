//! How results and failures are printed, in one place.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    #[default]
    Table,
    Json,
    Yaml,
}

/// Why a command did not do what was asked, and the exit code that says so to scripts.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// The answer is no.
    pub(crate) fn no(text: impl Into<String>) -> Self {
        Self {
            code: 1,
            text: text.into(),
        }
    }

    /// The command was called wrongly.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self {
            code: 2,
            text: text.into(),
        }
    }

    /// What was given is wrong.
    pub(crate) fn input(text: impl Into<String>) -> Self {
        Self {
            code: 3,
            text: text.into(),
        }
    }

    /// Something outside failed.
    pub(crate) fn outside(text: impl Into<String>) -> Self {
        Self {
            code: 4,
            text: text.into(),
        }
    }

    /// Tells the failure on stderr.
    pub(crate) fn tell(self) -> ExitCode {
        say(&format!("sallyport: {}", self.text));
        ExitCode::from(self.code)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::outside(error.to_string())
    }
}

/// One line to the person, on stderr.
pub(crate) fn say(text: &str) {
    // Nobody is left to tell when stderr is closed.
    writeln!(std::io::stderr().lock(), "{text}").ok();
}

/// Asks a person at a terminal; anything but a yes is a no.
pub(crate) fn confirmed(question: &str) -> Result<bool, Failure> {
    let mut out = std::io::stderr().lock();
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// One line of the result, on stdout.
pub(crate) fn put(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // `| head` closed the pipe: it has what it wanted.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(error.into()),
    }
}

/// A value for programs.
pub(crate) fn put_value(value: &impl Serialize, format: Format) -> Result<(), Failure> {
    let text = match format {
        Format::Json | Format::Table => serde_json::to_string_pretty(value)
            .map_err(|error| Failure::outside(error.to_string()))?,
        Format::Yaml => {
            serde_yaml::to_string(value).map_err(|error| Failure::outside(error.to_string()))?
        }
    };
    put(text.trim_end())
}

/// Columns as wide as their widest cell; the last one is not padded.
pub(crate) fn put_table(head: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    put(&line(head.iter().map(|cell| (*cell).to_owned()), &widths))?;
    for row in rows {
        put(&line(row.iter().cloned(), &widths))?;
    }
    Ok(())
}

fn line(cells: impl Iterator<Item = String>, widths: &[usize]) -> String {
    let padded = cells
        .zip(widths)
        .map(|(cell, width)| format!("{cell:<width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}
