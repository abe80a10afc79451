//! Reads one state of the mounted folder, bounded, never half of one and half of another.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sallyport_policy::bundle::shards::{
    MANIFEST, Manifest, SHARD_BYTES, SHARDS, ShardError, shard_name,
};

/// The link that the kubelet renames when the content changes.
const DATA: &str = "..data";
/// The largest manifest, in bytes; four digests take a tenth of it.
const MANIFEST_BYTES: usize = 4096;

/// A whole envelope, not verified yet.
pub(super) struct Found {
    pub(super) envelope: Vec<u8>,
    pub(super) generation: u64,
}

/// Why the folder holds no whole envelope.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("no policy lies in `{}` yet", .0.display())]
    Empty(PathBuf),
    #[error("`{}` cannot be read: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("`{}` is larger than {most} bytes", path.display())]
    TooLarge { path: PathBuf, most: usize },
    #[error(transparent)]
    Shards(#[from] ShardError),
}

pub(super) fn read(folder: &Path) -> Result<Found, FolderError> {
    let state = state(folder)?;
    let path = state.join(MANIFEST);
    let text = match bounded(&path, MANIFEST_BYTES) {
        Err(FolderError::Read { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            return Err(FolderError::Empty(folder.to_owned()));
        }
        other => other?,
    };
    let manifest = Manifest::read(&text)?;
    let mut shards: [Vec<u8>; SHARDS] = Default::default();
    for (place, shard) in shards.iter_mut().enumerate() {
        *shard = bounded(&state.join(shard_name(place)), SHARD_BYTES)?;
    }
    Ok(Found {
        envelope: manifest.join(&shards)?,
        generation: manifest.generation(),
    })
}

/// The link is followed once, so that all files are of one state even if it is renamed meanwhile.
fn state(folder: &Path) -> Result<PathBuf, FolderError> {
    let link = folder.join(DATA);
    match fs::canonicalize(&link) {
        Ok(state) => Ok(state),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(folder.to_owned()),
        Err(error) => Err(FolderError::Read { path: link, error }),
    }
}

fn bounded(path: &Path, most: usize) -> Result<Vec<u8>, FolderError> {
    let failed = |error| FolderError::Read {
        path: path.to_owned(),
        error,
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() > most {
        return Err(FolderError::TooLarge {
            path: path.to_owned(),
            most,
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn put(folder: &Path, envelope: &[u8], generation: u64) {
        let (manifest, shards) = Manifest::split(envelope, generation).unwrap();
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(MANIFEST), manifest).unwrap();
        for (place, shard) in shards.iter().enumerate() {
            fs::write(folder.join(shard_name(place)), shard).unwrap();
        }
    }

    #[test]
    fn files_are_read_where_the_link_of_the_kubelet_points() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), b"stale copies beside the link", 1);
        put(&folder.path().join("..2026"), b"the envelope", 2);
        symlink("..2026", folder.path().join(DATA)).unwrap();
        let found = read(folder.path()).unwrap();
        assert_eq!(
            (&*found.envelope, found.generation),
            (&b"the envelope"[..], 2)
        );
    }

    #[test]
    fn an_empty_folder_is_no_mistake_and_anything_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(matches!(read(path), Err(FolderError::Empty(_))));
        put(path, b"the envelope", 2);
        fs::remove_file(path.join(shard_name(2))).unwrap();
        assert!(matches!(read(path), Err(FolderError::Read { .. })));
        fs::write(path.join(shard_name(2)), vec![0; SHARD_BYTES + 1]).unwrap();
        assert!(matches!(read(path), Err(FolderError::TooLarge { .. })));
        fs::write(path.join(shard_name(2)), b"?").unwrap();
        assert!(matches!(
            read(path),
            Err(FolderError::Shards(ShardError::Differs(2)))
        ));
        symlink("nowhere", path.join(DATA)).unwrap();
        assert!(
            matches!(read(path), Err(FolderError::Shards(_))),
            "a link to nothing: the files beside it are judged"
        );
    }
}
