//! One JSON object a line, bounded.

use std::io;

use sallyport_policy::control::LINE_BYTES;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// The next line; none at the orderly end. Must not be dropped half-way by a caller that wants to go on.
pub(super) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> io::Result<Option<T>> {
    // What a cancelled read left in `line` is kept: the next one goes on from there.
    let left = LINE_BYTES.saturating_sub(line.len());
    let limit = u64::try_from(left).unwrap_or(u64::MAX);
    let read = from.take(limit).read_until(b'\n', line).await?;
    if line.last() != Some(&b'\n') {
        return match (read, line.is_empty()) {
            (0, true) => Ok(None),
            _ if line.len() >= LINE_BYTES => Err(invalid("a line is too long")),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        };
    }
    let message = serde_json::from_slice(line).map_err(invalid);
    line.clear();
    message.map(Some)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
