//! The promise that an event is on the disk.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use sallyport_policy::record::EventRef;
use tokio::sync::oneshot;

use super::RecordError;
use super::mail::Bell;
use super::spool::Message;

pub(super) type Stored = Result<EventRef, RecordError>;

/// Ready once the event is durable (law 31) or cannot be. Dropping it loses nothing: the event is written all the
/// same, only nobody waits for it (`BestEffort`).
#[derive(Debug)]
pub struct Durable(State);

#[derive(Debug)]
enum State {
    /// Whoever begins to wait hurries the writer.
    Sent(oneshot::Receiver<Stored>, Bell<Message>),
    Waiting(oneshot::Receiver<Stored>),
    /// Known without asking the writer; none once it was told.
    Refused(Option<RecordError>),
}

impl Durable {
    pub(super) fn sent(receiver: oneshot::Receiver<Stored>, bell: Bell<Message>) -> Self {
        Self(State::Sent(receiver, bell))
    }

    pub(super) fn refused(error: RecordError) -> Self {
        Self(State::Refused(Some(error)))
    }
}

impl Future for Durable {
    type Output = Stored;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Stored> {
        let (receiver, bell) = match &mut self.0 {
            State::Refused(error) => {
                return Poll::Ready(Err(error.take().unwrap_or(RecordError::Closed)));
            }
            State::Sent(receiver, bell) => (receiver, Some(&*bell)),
            State::Waiting(receiver) => (receiver, None),
        };
        if let Poll::Ready(told) = Pin::new(receiver).poll(context) {
            return Poll::Ready(told.unwrap_or(Err(RecordError::Closed)));
        }
        if let Some(bell) = bell {
            bell.ring();
        }
        self.0.rung();
        Poll::Pending
    }
}

impl State {
    /// The writer knows; it need not be told at each poll.
    fn rung(&mut self) {
        let sent = std::mem::replace(self, Self::Refused(None));
        *self = match sent {
            Self::Sent(receiver, _) | Self::Waiting(receiver) => Self::Waiting(receiver),
            Self::Refused(error) => Self::Refused(error),
        };
    }
}
