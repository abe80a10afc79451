//! The other readers: small programs that read frames from a pipe and answer each with what they read.
//!
//! A frame is a mode (`d` for a digest, `t` for the text), a length of four bytes and the document; an answer is a
//! length and a text, which begins with `-` where the document is refused.

use std::fmt;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use super::reading::{FIELDS, Reading};
use crate::setup;
use crate::workspace;

/// Whose JSON it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    SerdeJson,
    Python,
    Node,
    Go,
}

impl Reader {
    /// Go reads into structs, which take no text where an object belongs; a server that refuses does nothing wrong.
    pub(super) const fn may_refuse(self) -> bool {
        matches!(self, Self::Go)
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SerdeJson => "serde_json",
            Self::Python => "Python's json",
            Self::Node => "Node's JSON.parse",
            Self::Go => "Go's encoding/json",
        })
    }
}

/// All readers, running.
#[derive(Debug)]
pub(super) struct Readers {
    programs: Vec<(Reader, Program)>,
}

/// What a reader answered, document by document.
pub(super) type Answers = Vec<(Reader, Vec<String>)>;

impl Readers {
    pub(super) fn start() -> Result<Self> {
        let folder = workspace::root().join("xtask/src/differential/readers");
        let fields = serde_json::to_string(FIELDS)?;
        let mut python = Command::new(setup::Python::second()?.program());
        python.arg(folder.join("reader.py")).arg(&fields);
        let mut node = Command::new(setup::Node::installed()?.program());
        node.arg(folder.join("reader.mjs")).arg(&fields);
        let go = Command::new(built(&folder)?);
        let programs = [
            (Reader::Python, python),
            (Reader::Node, node),
            (Reader::Go, go),
        ];
        let started = programs
            .into_iter()
            .map(|(reader, command)| Ok((reader, Program::start(command)?)));
        Ok(Self {
            programs: started.collect::<Result<_>>()?,
        })
    }

    /// A digest of every reader's reading of every document; `-` where it refuses.
    pub(super) fn digests(&mut self, batch: &[Vec<u8>]) -> Result<Answers> {
        let mut answers: Answers = Vec::new();
        thread::scope(|scope| {
            let asked: Vec<_> = self
                .programs
                .iter_mut()
                .map(|(reader, program)| (*reader, scope.spawn(|| program.ask(b'd', batch))))
                .collect();
            let read = |document: &Vec<u8>| {
                Reading::by_serde(document).map_or("-".to_owned(), |read| read.digest())
            };
            answers.push((Reader::SerdeJson, batch.iter().map(read).collect()));
            for (reader, thread) in asked {
                let Ok(told) = thread.join() else {
                    bail!("{reader} could not be asked");
                };
                answers.push((reader, told.with_context(|| format!("{reader} has ended"))?));
            }
            Ok(())
        })?;
        Ok(answers)
    }

    /// What one reader makes of one document, in full.
    pub(super) fn text(&mut self, reader: Reader, document: &[u8]) -> Result<String> {
        let Some((_, program)) = self.programs.iter_mut().find(|(known, _)| *known == reader)
        else {
            return Ok(
                Reading::by_serde(document).map_or("-".to_owned(), |read| read.text().to_owned())
            );
        };
        let answers = program.ask(b't', &[document.to_vec()])?;
        Ok(answers.into_iter().next().unwrap_or_default())
    }
}

/// The reader in Go, compiled once for each version of its text.
fn built(folder: &Path) -> Result<PathBuf> {
    setup::go_program("go-reader", &folder.join("reader.go"))
}

/// A running reader; its end of input is its end.
#[derive(Debug)]
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("the reader's stdout")?);
        Ok(Self {
            child,
            input,
            output,
        })
    }

    /// Writes while it reads: neither side's pipe holds a whole batch.
    fn ask(&mut self, mode: u8, batch: &[Vec<u8>]) -> Result<Vec<String>> {
        let input = self.input.as_mut().context("the reader's stdin")?;
        let output = &mut self.output;
        thread::scope(|scope| {
            let writing = scope.spawn(move || write_all(input, mode, batch));
            let answers: Result<Vec<String>> = batch.iter().map(|_| answer(output)).collect();
            match writing.join() {
                Ok(written) => written?,
                Err(_) => bail!("the writer stopped"),
            }
            answers
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.input.take();
        if let Err(error) = self.child.wait() {
            crate::console::say(&format!("a reader could not be ended: {error}"));
        }
    }
}

fn write_all(input: &mut ChildStdin, mode: u8, batch: &[Vec<u8>]) -> Result<()> {
    let mut frames = Vec::new();
    for document in batch {
        frames.push(mode);
        frames.extend_from_slice(&u32::try_from(document.len())?.to_be_bytes());
        frames.extend_from_slice(document);
    }
    input.write_all(&frames)?;
    input.flush()?;
    Ok(())
}

fn answer(output: &mut BufReader<ChildStdout>) -> Result<String> {
    let mut length = [0; 4];
    output.read_exact(&mut length)?;
    let mut text = vec![0; usize::try_from(u32::from_be_bytes(length))?];
    output.read_exact(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
