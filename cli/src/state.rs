//! The state folder: keys, requests, recordings, pins of the standalone guard.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use clap::Args;

use crate::output::Failure;

/// Where state is kept.
#[derive(Args, Clone, Debug)]
pub(crate) struct StateArgs {
    /// Folder of keys, requests and recordings [default: $XDG_STATE_HOME/sallyport, else ~/.local/state/sallyport]
    #[arg(
        long = "state",
        value_name = "DIR",
        env = "SALLYPORT_STATE",
        hide_env = true
    )]
    dir: Option<PathBuf>,
}

impl StateArgs {
    /// The folder, which need not exist.
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        if let Some(dir) = &self.dir {
            return Ok(dir.clone());
        }
        let home = std::env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let home = home.or_else(|| {
            std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"))
        });
        home.map(|home| home.join("sallyport")).ok_or_else(|| {
            Failure::usage("neither XDG_STATE_HOME nor HOME is set; name the folder with --state")
        })
    }

    /// The folder, made for its owner alone where it does not exist.
    pub(crate) fn made(&self) -> Result<PathBuf, Failure> {
        let path = self.path()?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| {
            Failure::outside(format!("cannot make `{}`: {error}", path.display()))
        })?;
        Ok(path)
    }
}
