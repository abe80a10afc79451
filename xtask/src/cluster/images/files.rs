//! What goes into an image: programs with the libraries they load, folders as they are, single files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::archive::{Entry, Files};
use crate::process;

const ASK: Duration = Duration::from_secs(20);

/// A program at `at`, and every library it loads, each at the place where its own loader looks for it.
pub(super) fn program(files: &mut Files, from: &Path, at: &str) -> Result<()> {
    file(files, from, at)?;
    for library in libraries(from)? {
        let at = library.display().to_string();
        file(files, &library, at.trim_start_matches('/'))?;
    }
    Ok(())
}

/// One file, with its mode; a link is followed.
pub(super) fn file(files: &mut Files, from: &Path, at: &str) -> Result<()> {
    let read = || -> Result<Entry> {
        Ok(Entry::File {
            mode: fs::metadata(from)?.permissions().mode() & 0o755,
            content: fs::read(from)?,
        })
    };
    let entry = read().with_context(|| format!("cannot read {}", from.display()))?;
    files.insert(at.to_owned(), entry);
    Ok(())
}

/// A folder with all below it; links stay links. `wanted` is asked with each path relative to the folder.
pub(super) fn folder(
    files: &mut Files,
    from: &Path,
    at: &str,
    wanted: &impl Fn(&Path) -> bool,
) -> Result<()> {
    below(files, from, Path::new(""), at, wanted)
}

fn below(
    files: &mut Files,
    root: &Path,
    inner: &Path,
    at: &str,
    wanted: &impl Fn(&Path) -> bool,
) -> Result<()> {
    let here = root.join(inner);
    for entry in fs::read_dir(&here).with_context(|| format!("cannot read {}", here.display()))? {
        let entry = entry?;
        let inner = inner.join(entry.file_name());
        if !wanted(&inner) {
            continue;
        }
        let (kind, target) = (entry.file_type()?, format!("{at}/{}", inner.display()));
        if kind.is_dir() {
            below(files, root, &inner, at, wanted)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(entry.path())?.display().to_string();
            files.insert(target, Entry::Link(link));
        } else {
            file(files, &entry.path(), &target)?;
        }
    }
    Ok(())
}

/// The folder of modules that a program loads when it needs them: beside the library of its own that loads them.
pub(super) fn loaded_later(program: &str, folder: &str) -> Result<PathBuf> {
    let program = Path::new("/usr/sbin").join(program);
    let beside = libraries(&program)?;
    // The loader says `/lib/…`, which is `/usr/lib/…` since Debian merged the two.
    let folders = beside.iter().filter_map(|library| library.parent());
    folders
        .map(|parent| Path::new("/usr").join(parent.strip_prefix("/").unwrap_or(parent)))
        .map(|parent| parent.join(folder))
        .find(|place| place.is_dir())
        .with_context(|| format!("{} has no folder `{folder}`", program.display()))
}

/// What the loader would load with a program; nothing for a static one.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let said = process::run(Command::new("ldd").arg(program), "", ASK)?;
    let told = format!("{}{}", said.stdout, said.stderr);
    if told.contains("statically linked") || told.contains("not a dynamic executable") {
        return Ok(Vec::new());
    }
    if !said.status.success() || told.contains("not found") {
        bail!("{} lacks a library: {}", program.display(), told.trim());
    }
    Ok(named(&said.stdout))
}

/// `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, or the loader itself by its path alone.
fn named(told: &str) -> Vec<PathBuf> {
    let places = told.lines().filter_map(|line| {
        let after = line.split_once("=>").map_or(line, |(_, place)| place);
        after.split_whitespace().next()
    });
    places
        .filter(|place| place.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_where_the_loader_says() {
        let told = "\tlinux-vdso.so.1 (0x00007f)\n\tlibm.so.6 => /lib/libm.so.6 (0x00007f)\n\t/lib64/ld.so.2 (0x00007f)\n";
        assert_eq!(
            named(told),
            [
                PathBuf::from("/lib/libm.so.6"),
                PathBuf::from("/lib64/ld.so.2")
            ]
        );
    }
}
