//! The socket at which the validator learns our key and reports. The kernel names its user, so nobody else's report
//! counts, whoever may mount the volume.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sallyport_policy::proof::{GREETING, KEPT, REPORT};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::proven::Proven;

/// Dialling every address of a pod is done sooner than this.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest line that is read, in bytes.
const LINE: u64 = 256;

/// Takes reports.
#[derive(Debug)]
pub struct Reports {
    listener: UnixListener,
    validator: u32,
    key: Vec<u8>,
    proven: Arc<Proven>,
}

impl Reports {
    /// Listens at `path`, in place of what an earlier process of this container left there.
    ///
    /// # Errors
    /// Of the file system.
    pub fn bind(
        path: &Path,
        validator: u32,
        key: Vec<u8>,
        proven: Arc<Proven>,
    ) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        // Another user must be able to dial; who it is is asked of the kernel.
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
        Ok(Self {
            listener,
            validator,
            key,
            proven,
        })
    }

    /// Answers until the task is dropped. One at a time: there is one validator.
    pub async fn take(self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let hearing = tokio::time::timeout(PATIENCE, self.hear(stream));
                    if !matches!(hearing.await, Ok(Ok(()))) {
                        tracing::warn!("a validator went away before it reported");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn hear(&self, mut stream: UnixStream) -> io::Result<()> {
        let uid = stream.peer_cred()?.uid();
        if uid != self.validator {
            tracing::info!(target: "sallyport::audit", code = "report_foreign", uid, "connection refused");
            return Ok(());
        }
        let greeting = format!("{GREETING}{}\n", hex::encode(&self.key));
        stream.write_all(greeting.as_bytes()).await?;
        let mut line = String::new();
        let mut reader = BufReader::new(&mut stream).take(LINE);
        reader.read_line(&mut line).await?;
        if line.trim_end_matches('\n') != REPORT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.proven.learn();
        tracing::info!("proven: every connection to this pod reaches the sidecar");
        stream.write_all(format!("{KEPT}\n").as_bytes()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Readiness;

    async fn report(validator: u32, line: &str) -> (bool, String) {
        let folder = tempfile::tempdir().unwrap();
        let proven = Arc::new(Proven::open(folder.path(), &Readiness::default()).unwrap());
        let path = folder.path().join("socket");
        // What a killed process leaves.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let reports = Reports::bind(&path, validator, vec![7; 32], Arc::clone(&proven)).unwrap();
        let taking = tokio::spawn(reports.take());
        let mut stream = UnixStream::connect(&path).await.unwrap();
        // A refused stranger's line is not read.
        stream.write_all(line.as_bytes()).await.ok();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.ok();
        taking.abort();
        (proven.is_known(), said)
    }

    #[tokio::test]
    async fn the_validators_report_counts_and_nobody_elses() {
        let us = rustix::process::getuid().as_raw();
        let (known, said) = report(us, &format!("{REPORT}\n")).await;
        assert!(known);
        assert_eq!(said, format!("{GREETING}{}\n{KEPT}\n", "07".repeat(32)));
        let (known, said) = report(us + 1, &format!("{REPORT}\n")).await;
        assert!(!known);
        assert_eq!(said, "");
        let (known, _) = report(us, "anything else\n").await;
        assert!(!known);
    }
}
