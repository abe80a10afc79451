//! Writes the custom resource definitions and their reference page; with `--check`, says whether they are already there.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sallyport_crds::{generate, reference};

const USAGE: &str = "usage: crdgen [--check] DIRECTORY REFERENCE.md";

fn main() -> ExitCode {
    let (flags, names): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with('-'));
    let check = flags.iter().any(|flag| flag == "--check");
    let outcome = match names.as_slice() {
        [directory, page] if flags.iter().all(|flag| flag == "--check") => {
            run(Path::new(directory), Path::new(page), check)
        }
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nothing can be said if stderr is closed; the exit code still tells.
            drop(writeln!(std::io::stderr(), "crdgen: {message}"));
            ExitCode::FAILURE
        }
    }
}

fn run(directory: &Path, page: &Path, check: bool) -> Result<(), String> {
    let files = generate::files().map_err(|error| error.to_string())?;
    let mut outputs: Vec<(PathBuf, String)> = files
        .into_iter()
        .map(|(name, text)| (directory.join(name), text))
        .collect();
    let reference = reference::page().map_err(|error| error.to_string())?;
    outputs.push((page.to_owned(), reference));
    outputs
        .iter()
        .try_for_each(|(path, text)| put(path, text, check))
}

fn put(path: &Path, text: &str, check: bool) -> Result<(), String> {
    let shown = path.display();
    let told = |error: std::io::Error| format!("`{shown}`: {error}");
    if !check {
        return std::fs::write(path, text).map_err(told);
    }
    if std::fs::read_to_string(path).map_err(told)? == text {
        Ok(())
    } else {
        Err(format!(
            "`{shown}` is out of date; run crdgen without --check"
        ))
    }
}
