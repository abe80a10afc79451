//! The promise that an event is on the disk.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use sallyport_policy::record::EventRef;
use tokio::sync::oneshot;

use super::RecordError;

/// Ready once the event is durable (law 31) or cannot be. Dropping it loses nothing: the event is written all the
/// same, only nobody waits for it (`BestEffort`).
#[derive(Debug)]
pub struct Durable(State);

#[derive(Debug)]
enum State {
    Waiting(oneshot::Receiver<Result<EventRef, RecordError>>),
    Known(Option<Result<EventRef, RecordError>>),
}

impl Future for Durable {
    type Output = Result<EventRef, RecordError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        todo!()
    }
}
