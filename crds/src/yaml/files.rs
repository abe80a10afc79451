//! Which files are read: those that are named, and those of directories, in a fixed order.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::mistake::Mistake;
use super::near::quoted;

/// One file may be so large; a policy of ten thousand rules has about three MiB.
const LARGEST: u64 = 16 << 20;
/// Directories may be nested so deep, which also ends loops of links.
const DEEPEST: usize = 16;

/// Something to read.
#[derive(Clone, Debug)]
pub enum Input {
    /// A file of any name, or a directory with its `.yaml`, `.yml` and `.json` files.
    Path(PathBuf),
    /// A text, and the name that its places have.
    Text { name: String, text: String },
}

/// A text with the name that its places have. It may hold Secrets, so it is wiped.
pub(super) struct Text {
    pub(super) name: String,
    pub(super) text: Zeroizing<String>,
    pub(super) path: Option<PathBuf>,
}

/// The texts of all inputs, directories unfolded, and what cannot be read.
pub(super) fn texts(inputs: &[Input]) -> (Vec<Text>, Vec<Mistake>) {
    let mut texts = Vec::new();
    let mut mistakes = Vec::new();
    for input in inputs {
        match input {
            Input::Text { name, text } => texts.push(Text {
                name: name.clone(),
                text: Zeroizing::new(text.clone()),
                path: None,
            }),
            Input::Path(path) => {
                let mut files = Vec::new();
                if let Err(mistake) = unfold(path, 0, &mut files) {
                    mistakes.push(*mistake);
                }
                for file in files {
                    match read(&file) {
                        Ok(text) => texts.push(text),
                        Err(mistake) => mistakes.push(*mistake),
                    }
                }
            }
        }
    }
    (texts, mistakes)
}

/// The files of a directory, sorted by name at each level. Hidden ones are left out: a mounted ConfigMap keeps its
/// files a second time in `..data`, a repository its own in `.git`.
fn unfold(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Box<Mistake>> {
    let unreadable = |error: io::Error| Box::new(unreadable(path, &error));
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if depth > DEEPEST {
        let found = format!("more in {}", quoted(&path.display().to_string()));
        let expected = format!("at most {DEEPEST} levels of directories");
        return Err(Box::new(Mistake::of_file(expected, found)));
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    for entry in entries {
        let hidden = entry
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && (entry.is_dir() || is_ours(&entry)) {
            unfold(&entry, depth + 1, files)?;
        }
    }
    Ok(())
}

fn is_ours(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
}

fn read(path: &Path) -> Result<Text, Box<Mistake>> {
    let unreadable = |error: io::Error| Box::new(unreadable(path, &error));
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut text = Zeroizing::new(String::new());
    file.take(LARGEST + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LARGEST {
        let found = format!("more in {}", quoted(&path.display().to_string()));
        return Err(Box::new(Mistake::of_file("at most 16 MiB", found)));
    }
    Ok(Text {
        name: path.display().to_string(),
        text,
        path: Some(path.to_owned()),
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Mistake {
    let expected = format!("to read {}", quoted(&path.display().to_string()));
    Mistake::of_file(expected, error.to_string())
}
