//! What the tests of the data path share: a server to script, a guard to start, a client that hides nothing.

mod client;
mod guard;
mod server;

use std::future::Future;
use std::time::Duration;

pub(crate) use client::{Client, Reply, Stream, raw};
pub(crate) use guard::{Guard, Plan, Token, UPSTREAM_SECRET};
pub(crate) use server::{Play, Seen, Server, Step, answer, event, mcp, result_of};

/// Nothing in these tests may take longer; what does, hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Fails the test instead of hanging it.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what} hangs"),
    }
}

/// Waits until `found` gives something.
pub(crate) async fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    soon(what, async {
        loop {
            if let Some(found) = found() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}
