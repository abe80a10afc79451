//! The ledger: a line for each call that ran, written before it is answered.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

#[derive(Debug)]
pub(crate) struct Ledger(File);

impl Ledger {
    /// Many processes write the same file; each line is one write at its end.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        Ok(Self(file.with_context(|| {
            format!("cannot write {}", path.display())
        })?))
    }

    pub(crate) fn ran(&self, nonce: &str) -> Result<()> {
        (&self.0).write_all(format!("{nonce}\n").as_bytes())?;
        Ok(())
    }
}
