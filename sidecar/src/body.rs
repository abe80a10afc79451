//! Bodies on both sides: bounded reading, and the one type of body that we answer with.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream::BoxStream;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

/// What we answer with: nothing, one buffer, or a stream of server-sent events.
pub enum ReplyBody {
    Empty,
    Full(Option<Bytes>),
    Stream(BoxStream<'static, Bytes>),
}

impl ReplyBody {
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Full(Some(bytes.into()))
    }
}

impl std::fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Full(_) => "Full",
            Self::Stream(_) => "Stream",
        })
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream
                .as_mut()
                .poll_next(cx)
                .map(|next| next.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_none(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// Why a body could not be read whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("the body broke off: {0}")]
    Broken(String),
    #[error("the process holds too many bodies already")]
    NoRoom,
}

/// How fast a body must come.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Longest silence between two pieces.
    pub pause: Duration,
    /// Bytes a second, on the whole, once `pause` has gone by: a body in drops would hold its memory for days. None: as
    /// slow as its sender likes.
    pub least: Option<u32>,
}

impl Pace {
    /// How long the next piece may take, when so many bytes have come in `spent`.
    fn patience(self, so_far: usize, spent: Duration) -> Duration {
        let Some(least) = self.least else {
            return self.pause;
        };
        let bytes = u32::try_from(so_far).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1) * bytes / least.max(1);
        self.pause.min((self.pause + earned).saturating_sub(spent))
    }
}

/// Reads a body of at most `limit` bytes; `pause` is the longest silence between two pieces.
pub async fn read_whole<B>(body: B, limit: usize, pause: Duration) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let pace = Pace { pause, least: None };
    read_counted(body, limit, pace, |_| true).await
}

/// The same, asking before each piece is kept whether there is `room` for so many bytes.
pub async fn read_counted<B>(
    mut body: B,
    limit: usize,
    pace: Pace,
    mut room: impl FnMut(usize) -> bool,
) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    // A declared length beyond the limit is refused before one byte is read.
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLarge { limit });
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let began = tokio::time::Instant::now();
    loop {
        let so_far = first.as_ref().map_or(0, Bytes::len) + rest.len();
        let patience = pace.patience(so_far, began.elapsed());
        let frame = tokio::time::timeout(patience, body.frame())
            .await
            .map_err(|_| BodyError::TooSlow)?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let so_far = so_far + data.len();
        if so_far > limit {
            return Err(BodyError::TooLarge { limit });
        }
        if !room(so_far) {
            return Err(BodyError::NoRoom);
        }
        match &first {
            None => first = Some(data),
            Some(_) => rest.extend_from_slice(&data),
        }
    }
    // Most bodies arrive in one piece and are then never copied.
    Ok(match first {
        None => Bytes::new(),
        Some(first) if rest.is_empty() => first,
        Some(first) => {
            let mut whole = BytesMut::with_capacity(first.len() + rest.len());
            whole.extend_from_slice(&first);
            whole.extend_from_slice(&rest);
            whole.freeze()
        }
    })
}

/// A stream of byte pieces as they come from a response, errors as text.
pub fn pieces<B>(body: B) -> impl Stream<Item = Result<Bytes, String>> + Send
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: std::fmt::Display,
{
    futures_util::stream::unfold(Some(body), |body| async move {
        let mut body = body?;
        loop {
            match body.frame().await? {
                Err(error) => return Some((Err(error.to_string()), None)),
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some((Ok(data), Some(body)));
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_drops_runs_out_of_patience_and_one_that_flows_does_not() {
        let pace = Pace {
            pause: Duration::from_secs(20),
            least: Some(1024),
        };
        let rows = [
            ("nothing yet", 0, 0, 20),
            ("nothing after a while", 0, 15, 5),
            ("a drop now and then", 3, 20, 0),
            ("a drop now and then, for long", 100, 1900, 0),
            ("a slow line that flows", 1024 * 1024, 1000, 20),
            ("a slow line that falls silent", 64 * 1024, 80, 4),
        ];
        for (row, bytes, spent, left) in rows {
            let patience = pace.patience(bytes, Duration::from_secs(spent));
            assert_eq!(patience.as_secs(), left, "{row}");
        }
        let patient = Pace {
            least: None,
            ..pace
        };
        assert_eq!(patient.patience(0, Duration::from_secs(9999)), pace.pause);
    }
}
