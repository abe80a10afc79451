//! Where the approval socket lies, and who may reach it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::Path;

use tokio::net::UnixListener;

/// Longest path that fits into a socket's address, with room to spare.
const ADDRESS_LIMIT: usize = 100;

/// Binds inside a folder that nobody else can enter and moves the socket out once its mode is right, so that
/// there is no moment at which too many may connect.
pub(super) fn bind(state: &Path, path: &Path, group: Option<u32>) -> io::Result<UnixListener> {
    let nursery = state.join(format!(".approvals-{}", std::process::id()));
    remove_nursery(&nursery)?;
    DirBuilder::new().mode(0o700).create(&nursery)?;
    let newborn = nursery.join("s");
    let listener = with_short_path(&newborn, |short| UnixListener::bind(short))?;
    match group {
        Some(group) => {
            chown(&newborn, None, Some(group))?;
            fs::set_permissions(&newborn, Permissions::from_mode(0o660))?;
            // Approvers must reach the socket; they cannot list the folder.
            chown(state, None, Some(group))?;
            fs::set_permissions(state, Permissions::from_mode(0o710))?;
        }
        None => fs::set_permissions(&newborn, Permissions::from_mode(0o600))?,
    }
    fs::rename(&newborn, path)?;
    remove_nursery(&nursery)?;
    Ok(listener)
}

fn remove_nursery(nursery: &Path) -> io::Result<()> {
    match fs::remove_dir_all(nursery) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A socket's address holds some hundred bytes; a longer path is reached through its opened folder.
pub(in crate::hold) fn with_short_path<T>(
    path: &Path,
    connect: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    if path.as_os_str().len() <= ADDRESS_LIMIT {
        return connect(path);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = File::open(folder)?;
    let short = format!("/proc/self/fd/{}", folder.as_raw_fd());
    connect(&Path::new(&short).join(name))
}
