//! What `cargo xtask fuzz` asks for before and after a run: the list, the seeds, and one input again.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use sallyport_fuzz::{TARGETS, Target, named};

const USAGE: &str = "usage: list | prepare TARGET FOLDER | replay TARGET FILE...";

pub(crate) fn run() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["list"] => list(),
        ["prepare", target, folder] => with(target, |target| prepare(target, Path::new(folder))),
        ["replay", target, files @ ..] => with(target, |target| replay(target, files)),
        _ => Err(io::Error::other(USAGE)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let told = writeln!(io::stderr(), "{error}");
            ExitCode::from(if told.is_ok() { 1 } else { 2 })
        }
    }
}

fn with(name: &str, work: impl FnOnce(&Target) -> io::Result<()>) -> io::Result<()> {
    let target =
        named(name).ok_or_else(|| io::Error::other(format!("no target is called `{name}`")))?;
    work(target)
}

/// One line a target: name, longest input, kept corpus, law; tabs between.
fn list() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for target in TARGETS {
        let Target {
            name, law, longest, ..
        } = target;
        let corpus = sallyport_fuzz::corpus::folder(target);
        writeln!(out, "{name}\t{longest}\t{}\t{law}", corpus.display())?;
    }
    Ok(())
}

/// Writes the made inputs into `FOLDER/seeds` and the dictionary into `FOLDER/words`.
fn prepare(target: &Target, folder: &Path) -> io::Result<()> {
    let seeds = folder.join("seeds");
    fs::create_dir_all(&seeds)?;
    for (place, seed) in (target.seeds)().iter().enumerate() {
        fs::write(seeds.join(format!("seed-{place:04}")), seed)?;
    }
    let words: Vec<String> = target.words.iter().map(|word| escaped(word)).collect();
    fs::write(folder.join("words"), words.join("\n") + "\n")
}

/// As libFuzzer's dictionaries spell it.
fn escaped(word: &str) -> String {
    let byte = |byte: u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    format!("\"{}\"", word.bytes().map(byte).collect::<String>())
}

/// Runs inputs through the property, which panics where a law does not hold.
fn replay(target: &Target, files: &[&str]) -> io::Result<()> {
    for file in files {
        (target.property)(&fs::read(file)?);
    }
    writeln!(io::stdout(), "{} inputs, nothing found", files.len())
}
