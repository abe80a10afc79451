//! The writer's thread: takes, writes, syncs, answers.

use sallyport_policy::record::Head;

use super::RecordError;

/// The running writer. Close it at exit; when it is dropped instead, the folder is left as after a crash.
#[derive(Debug)]
pub struct Spool {}

impl Spool {
    /// Ends every open session (`Shutdown`), signs the last checkpoint and waits for the thread.
    ///
    /// # Errors
    /// The last events cannot be stored.
    pub async fn close(self) -> Result<Head, RecordError> {
        todo!()
    }
}
