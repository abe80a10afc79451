//! The promise that an event is on the disk.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use sallyport_policy::record::EventRef;
use tokio::sync::oneshot;

use super::RecordError;

pub(super) type Stored = Result<EventRef, RecordError>;

/// Ready once the event is durable (law 31) or cannot be. Dropping it loses nothing: the event is written all the
/// same, only nobody waits for it (`BestEffort`).
#[derive(Debug)]
pub struct Durable(State);

#[derive(Debug)]
enum State {
    Waiting(oneshot::Receiver<Stored>),
    /// Known without asking the writer; none once it was told.
    Refused(Option<RecordError>),
}

impl Durable {
    pub(super) fn waiting() -> (oneshot::Sender<Stored>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(State::Waiting(receiver)))
    }

    pub(super) fn refused(error: RecordError) -> Self {
        Self(State::Refused(Some(error)))
    }
}

impl Future for Durable {
    type Output = Stored;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Stored> {
        match &mut self.0 {
            State::Refused(error) => Poll::Ready(Err(error.take().unwrap_or(RecordError::Closed))),
            State::Waiting(receiver) => Pin::new(receiver)
                .poll(context)
                .map(|told| told.unwrap_or(Err(RecordError::Closed))),
        }
    }
}
