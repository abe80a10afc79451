//! Why recordings cannot be read or purged.

use std::path::{Path, PathBuf};

use sallyport_policy::name::SessionId;

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("no recordings in `{0}`: give the folder with `--state`")]
    NoRecordings(PathBuf),
    #[error("no session `{0}`: `sallyport sessions` lists them")]
    NoSession(SessionId),
    #[error("`{0}` names several sessions: give more of its id")]
    Ambiguous(String),
    #[error("session `{session}` is on legal hold ({reason}): lift the hold first")]
    Held { session: SessionId, reason: String },
    #[error("cannot {doing} `{path}`: {why}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        why: String,
    },
    #[error("the audit chain in `{0}` cannot be read: run `sallyport verify`")]
    Audit(PathBuf),
    #[error("`{0}` is not a signing key: restore it from where it is kept")]
    BadKey(PathBuf),
    #[error("cannot write down this access, so it is refused: {0}")]
    NotWritten(String),
    #[error("the index failed: {0}; it is rebuilt when `index.redb` is deleted")]
    Index(String),
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
    #[error("line {line} of the export is no exported event: {why}")]
    Export { line: usize, why: String },
}

/// Says what was tried with which file.
pub(crate) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ReadError {
    let path = path.to_owned();
    move |error| ReadError::Io {
        doing,
        path,
        why: error.to_string(),
    }
}

/// The index is made of one library's errors, all of the same consequence.
pub(crate) fn index(error: impl Into<redb::Error>) -> ReadError {
    ReadError::Index(error.into().to_string())
}
