//! Writes the custom resource definitions into a directory; with `--check`, says whether they are already there.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use sallyport_crds::generate;

fn main() -> ExitCode {
    let mut check = false;
    let mut directory = None;
    for argument in std::env::args().skip(1) {
        if argument == "--check" {
            check = true;
        } else {
            directory = Some(argument);
        }
    }
    let outcome = match directory {
        Some(directory) => run(Path::new(&directory), check),
        None => Err("usage: crdgen [--check] DIRECTORY".to_owned()),
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

fn run(directory: &Path, check: bool) -> Result<(), String> {
    for (name, text) in generate::files().map_err(|e| e.to_string())? {
        let path = directory.join(name);
        let told = |e: std::io::Error| format!("`{}`: {e}", path.display());
        if !check {
            std::fs::write(&path, text).map_err(told)?;
        } else if std::fs::read_to_string(&path).map_err(told)? != text {
            let path = path.display();
            return Err(format!(
                "`{path}` is out of date; run crdgen without --check"
            ));
        }
    }
    Ok(())
}
