//! The stream of what the server says unasked, and sessions that the server has lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode};
use sallyport_policy::json::{Document, Limits};
use sallyport_policy::mcp::headers;
use sallyport_policy::sse::Item;

use crate::output::say;

use super::bridge::Bridge;
use super::error::Trouble;
use super::exchange::{Events, first_message};
use super::wire::Content;

const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// Streams in a row that brought nothing, after which an answer is given up.
const FRUITLESS: u32 = 8;

/// How long to wait before a stream is opened again: what the server asks for, else longer each time in vain.
#[derive(Debug, Default)]
pub(super) struct Pause {
    asked: Option<Duration>,
    fruitless: u32,
}

impl Pause {
    pub(super) fn heard(&mut self, retry: Option<Duration>, is_message: bool) {
        self.asked = retry.or(self.asked);
        if is_message {
            self.fruitless = 0;
        }
    }

    /// Waits; false when it was in vain too often.
    pub(super) async fn wait(&mut self) -> bool {
        tokio::time::sleep(self.next()).await;
        self.fruitless = self.fruitless.saturating_add(1);
        self.fruitless <= FRUITLESS
    }

    fn next(&self) -> Duration {
        let grown = SHORTEST.saturating_mul(1 << self.fruitless.min(10));
        self.asked.unwrap_or(grown).min(LONGEST)
    }
}

impl Bridge {
    /// Opens the stream of what the server says unasked, once; it is kept open until the client has said its last.
    pub(super) fn listen(self: &Arc<Self>) {
        if self.listening.swap(true, Ordering::AcqRel) {
            return;
        }
        let bridge = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = bridge.ended.cancelled() => {}
                () = bridge.keep_listening() => {}
            }
        });
    }

    async fn keep_listening(&self) {
        let mut last: Option<String> = None;
        let mut pause = Pause::default();
        loop {
            let headers = last
                .as_deref()
                .map_or_else(|| self.known().legacy(), |last| self.resuming(last));
            let session = headers.get(headers::SESSION).cloned();
            match self.wire.get(headers).await {
                Err(trouble) => tell_once(&mut pause, &trouble),
                Ok(answer) => match (answer.content, session) {
                    (Content::Events(events), _) => {
                        self.pass_on(events, &mut last, &mut pause).await;
                    }
                    (_, Some(lost)) if answer.status == StatusCode::NOT_FOUND => {
                        last = None;
                        if self.renew(&lost).await.is_err() {
                            return;
                        }
                    }
                    // The server has nothing to say unasked (405), or forbids it.
                    (Content::Nothing | Content::Json(_) | Content::Other(_), _)
                        if !answer.status.is_server_error() =>
                    {
                        return;
                    }
                    (Content::Nothing | Content::Json(_) | Content::Other(_), _) => {}
                },
            }
            // A server that is away for long is asked every half minute.
            pause.wait().await;
        }
    }

    async fn pass_on(&self, mut events: Events, last: &mut Option<String>, pause: &mut Pause) {
        while let Some(item) = events.next().await {
            let Ok(Item::Event(event)) = item else {
                continue;
            };
            pause.heard(event.retry.map(Duration::from_millis), event.is_message());
            if event.id.is_some() {
                last.clone_from(&event.id);
            }
            if event.is_message()
                && let Some(data) = event.data
            {
                match Document::parse(data, Limits::RESPONSE) {
                    Ok(document) => self.output.say(document.bytes().clone()).await,
                    Err(error) => say(&format!("sallyport: an event that is no message: {error}")),
                }
            }
        }
    }

    /// Opens a new session where the server no longer knows the old one, as a client of its own would: a client behind
    /// stdio cannot know that there was one.
    pub(super) async fn renew(&self, lost: &HeaderValue) -> Result<(), Trouble> {
        let _one_at_a_time = self.renewing.lock().await;
        let hello = {
            let known = self.known();
            let current = known
                .session
                .as_ref()
                .and_then(|session| session.id.as_ref());
            if current != Some(lost) {
                return Ok(());
            }
            known.hello.clone().ok_or(Trouble::SessionGone)?
        };
        say(
            "sallyport: the server has lost the session; a new one is opened, without what the old one knew",
        );
        let answer = self.wire.post(HeaderMap::new(), hello.clone()).await?;
        let id = answer.session.clone();
        let body = first_message(answer).await.ok_or(Trouble::SessionGone)?;
        let result = body.root().get("result").ok_or(Trouble::SessionGone)?;
        self.known().learn_session(result, id, hello);
        let headers = self.known().legacy();
        let initialized =
            Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        let answer = self.wire.post(headers, initialized).await?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(answer.into_trouble())
        }
    }
}

/// The first failure in a row is told, the others are the same.
fn tell_once(pause: &mut Pause, trouble: &Trouble) {
    if pause.fruitless == 0 {
        say(&format!(
            "sallyport: what the server says unasked cannot be heard: {trouble}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_a_server_may_ask_for_its_own() {
        let mut pause = Pause::default();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            pauses.push(pause.next().as_millis());
            pause.fruitless += 1;
        }
        assert_eq!(
            pauses,
            [
                250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000
            ]
        );
        pause.heard(Some(Duration::from_millis(10)), true);
        assert_eq!((pause.next().as_millis(), pause.fruitless), (10, 0));
    }
}
