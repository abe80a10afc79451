//! What has changed, told to whoever listens: streams of the newer era, and every session of the older one.

use rmcp::RoleServer;
use rmcp::model::ResourceUpdatedNotificationParam;
use rmcp::service::{Peer, SubscriptionContext};
use tokio::sync::broadcast::{self, Receiver, Sender};

use crate::fixture::Watched;

/// Waiting changes of one listener; one that is slower misses some, as lists are read anew anyway.
const CAPACITY: usize = 64;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Tools,
    Prompts,
    Resource(String),
}

/// Who tells, and whom one can listen to.
#[derive(Debug)]
pub(crate) struct Changes {
    sender: Sender<Change>,
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self {
            sender: broadcast::channel(CAPACITY).0,
        }
    }

    pub(crate) fn tell(&self, change: Change) {
        // An error says that nobody listens.
        self.sender.send(change).ok();
    }

    pub(crate) fn listen(&self) -> Receiver<Change> {
        self.sender.subscribe()
    }
}

/// Passes on what this subscription accepts, until it is cancelled.
pub(crate) async fn to_stream(mut changes: Receiver<Change>, context: &SubscriptionContext) {
    let sink = context.sink();
    loop {
        let change = tokio::select! {
            () = context.cancelled() => return,
            change = next(&mut changes) => change,
        };
        // What the filter leaves out is refused by the sink, and is none of this listener's business.
        match change {
            Some(Change::Tools) => sink.notify_tool_list_changed().await.ok(),
            Some(Change::Prompts) => sink.notify_prompt_list_changed().await.ok(),
            Some(Change::Resource(uri)) => sink.notify_resource_updated(uri).await.ok(),
            None => return,
        };
    }
}

/// Passes on what a session of the older era is told unasked, until the session is gone.
pub(crate) async fn to_session(
    mut changes: Receiver<Change>,
    peer: Peer<RoleServer>,
    watched: Watched,
) {
    while let Some(change) = next(&mut changes).await {
        let told = match change {
            Change::Tools => peer.notify_tool_list_changed().await,
            Change::Prompts => peer.notify_prompt_list_changed().await,
            Change::Resource(uri) if watched.contains(&uri) => {
                let update = ResourceUpdatedNotificationParam::new(uri);
                peer.notify_resource_updated(update).await
            }
            Change::Resource(_) => Ok(()),
        };
        if told.is_err() {
            return;
        }
    }
}

/// None: nobody can tell anything any more.
async fn next(changes: &mut Receiver<Change>) -> Option<Change> {
    loop {
        match changes.recv().await {
            Ok(change) => return Some(change),
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}
