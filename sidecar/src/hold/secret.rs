//! The per-gateway secret that calls are bound under (law 19), kept in the state folder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use sallyport_policy::approval::BindingKey;
use sallyport_policy::name::{Digest, GatewayName};
use zeroize::Zeroizing;

/// Why there is no key. Without it held calls are refused.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot read or make the approval key `{path}`: {error}")]
    Disk { path: String, error: io::Error },
    #[error(
        "the approval key `{0}` is not 32 bytes; restore it, or remove it to drop all open requests"
    )]
    Damaged(String),
    #[error("no random numbers for a new approval key")]
    Random,
}

/// Reads the gateway's key, or makes it.
pub fn binding_key(state: &Path, gateway: &GatewayName) -> Result<BindingKey, SecretError> {
    let folder = state.join("keys");
    // The digest keeps names that only differ in a separator, or are no file names at all, apart.
    let name = Digest::of(gateway.to_string().as_bytes());
    let name = hex::encode(name.as_bytes());
    let path = folder.join(format!("approval-{}.key", name.get(..16).unwrap_or(&name)));
    let failed = |error| SecretError::Disk {
        path: path.display().to_string(),
        error,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(failed)?;
    match fs::exists(&path).map_err(failed)? {
        true => read(&path),
        false => {
            make(&path)?;
            read(&path)
        }
    }
}

fn read(path: &Path) -> Result<BindingKey, SecretError> {
    let mut text = Zeroizing::new(Vec::with_capacity(33));
    File::open(path)
        .and_then(|file| file.take(33).read_to_end(&mut text))
        .map_err(|error| SecretError::Disk {
            path: path.display().to_string(),
            error,
        })?;
    let bytes: Result<[u8; 32], _> = text.as_slice().try_into();
    let secret = bytes.map_err(|_| SecretError::Damaged(path.display().to_string()))?;
    Ok(BindingKey::new(&Zeroizing::new(secret)))
}

/// Two processes may get here at once: the name is taken by `link`, so the first one's key stays.
fn make(path: &Path) -> Result<(), SecretError> {
    let mut secret = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(secret.as_mut()).map_err(|_| SecretError::Random)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let made = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(secret.as_ref())?;
            file.sync_all()
        })
        .and_then(|()| match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        })
        .and_then(|()| fs::remove_file(&temporary))
        .and_then(|()| {
            let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
            File::open(folder)?.sync_all()
        });
    made.map_err(|error| SecretError::Disk {
        path: path.display().to_string(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn gateway(namespace: &str, name: &str) -> GatewayName {
        GatewayName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn law_19_the_key_is_made_once_for_each_gateway_and_nobody_else_may_read_it() {
        let state = tempfile::tempdir().unwrap();
        let first = binding_key(state.path(), &gateway("shop", "inventory")).unwrap();
        let again = binding_key(state.path(), &gateway("shop", "inventory")).unwrap();
        let other = binding_key(state.path(), &gateway("shop", "orders")).unwrap();
        assert_eq!(first.derive("test"), again.derive("test"));
        assert_ne!(first.derive("test"), other.derive("test"));
        let files: Vec<_> = fs::read_dir(state.path().join("keys")).unwrap().collect();
        assert_eq!(files.len(), 2, "no temporary file stays");
        for file in files {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_key_is_told_and_not_replaced() {
        let state = tempfile::tempdir().unwrap();
        binding_key(state.path(), &gateway("shop", "inventory")).unwrap();
        let file = fs::read_dir(state.path().join("keys")).unwrap().next();
        let path = file.unwrap().unwrap().path();
        fs::write(&path, b"short").unwrap();
        let error = binding_key(state.path(), &gateway("shop", "inventory")).unwrap_err();
        assert!(matches!(error, SecretError::Damaged(_)));
        assert_eq!(fs::read(&path).unwrap(), b"short");
    }
}
