//! One request and everything that comes of it: an answer as JSON, or a stream that ends with it.
//!
//! A request is sent once. It is sent again only where the server has said that it did not look at it: the session was
//! unknown, or a mirrored header was missing.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderValue, StatusCode};
use sallyport_policy::json::{Document, Limits, Node, Splice};
use sallyport_policy::mcp::answer::code;
use sallyport_policy::mcp::message::{Outcome, Response};
use sallyport_policy::mcp::{Body, Id, Message, headers};
use sallyport_policy::sse::Item;
use sallyport_sidecar::upstream::UpstreamError;

use crate::output::say;

use super::bridge::Bridge;
use super::error::Trouble;
use super::stream::Pause;
use super::wire::{Answer, Content};

/// Most pages of a tool list that are read for the sake of mirrored arguments.
const PAGES: usize = 32;

/// A message with requests in it.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) document: Document,
    /// The requests that have no answer yet.
    pub(super) waiting: BTreeSet<Id>,
    pub(super) modern: bool,
    /// None for a batch.
    pub(super) method: Option<String>,
}

pub(super) type Events = BoxStream<'static, Result<Item, UpstreamError>>;

impl Sent {
    fn is(&self, method: &str) -> bool {
        self.method.as_deref() == Some(method)
    }
}

impl Bridge {
    /// Sends a request and passes on all that comes of it; whatever happens, each request is answered.
    pub(super) async fn exchange(&self, mut sent: Sent) {
        let ended = self.converse(&mut sent).await;
        let trouble = ended.err().unwrap_or(Trouble::NoAnswer);
        for id in &sent.waiting {
            self.output.say(trouble.answer(id)).await;
        }
    }

    async fn converse(&self, sent: &mut Sent) -> Result<(), Trouble> {
        let headers = self.known().headers(&sent.document)?;
        let session = headers.get(headers::SESSION).cloned();
        let answer = self
            .wire
            .post(headers, sent.document.bytes().clone())
            .await?;
        let again = match session {
            Some(lost) if answer.status == StatusCode::NOT_FOUND => {
                self.renew(&lost).await?;
                true
            }
            Some(_) | None => self.lacks_mirrors(&answer, sent) && self.learn_tools(sent).await?,
        };
        if !again {
            return self.hear(answer, sent).await;
        }
        let headers = self.known().headers(&sent.document)?;
        let answer = self
            .wire
            .post(headers, sent.document.bytes().clone())
            .await?;
        self.hear(answer, sent).await
    }

    async fn hear(&self, answer: Answer, sent: &mut Sent) -> Result<(), Trouble> {
        let session = answer.session.clone();
        match answer.content {
            Content::Json(ref bytes) => {
                let bytes = bytes.clone();
                if self.deliver(bytes, sent, session.as_ref()).await {
                    Ok(())
                } else {
                    Err(answer.into_trouble())
                }
            }
            Content::Events(events) => self.follow(events, sent, session.as_ref()).await,
            Content::Nothing | Content::Other(_) => Err(answer.into_trouble()),
        }
    }

    /// Passes on a stream until all requests are answered. A legacy stream that ends before is taken up again where it
    /// stopped, if its events have ids.
    async fn follow(
        &self,
        mut events: Events,
        sent: &mut Sent,
        session: Option<&HeaderValue>,
    ) -> Result<(), Trouble> {
        let mut last = None;
        let mut pause = Pause::default();
        loop {
            let broken = self
                .read(&mut events, sent, session, &mut last, &mut pause)
                .await;
            if sent.waiting.is_empty() {
                return Ok(());
            }
            let Some(id) = last.clone().filter(|_| !sent.modern) else {
                return Err(broken);
            };
            if !pause.wait().await {
                return Err(broken);
            }
            let answer = self.wire.get(self.resuming(&id)).await?;
            match answer.content {
                Content::Events(next) => events = next,
                Content::Nothing | Content::Json(_) | Content::Other(_) => {
                    return Err(answer.into_trouble());
                }
            }
        }
    }

    /// Reads one stream to its end, and says how it ended.
    async fn read(
        &self,
        events: &mut Events,
        sent: &mut Sent,
        session: Option<&HeaderValue>,
        last: &mut Option<String>,
        pause: &mut Pause,
    ) -> Trouble {
        while let Some(item) = events.next().await {
            let event = match item {
                Ok(Item::Event(event)) => event,
                Ok(Item::Comment(_)) => continue,
                Err(error) => return Trouble::BrokeOff(error.to_string()),
            };
            pause.heard(event.retry.map(Duration::from_millis), event.is_message());
            if event.id.is_some() {
                last.clone_from(&event.id);
            }
            if event.is_message()
                && let Some(data) = event.data
                && !self.deliver(data, sent, session).await
            {
                say("sallyport: the server sent an event that is no message; dropped");
            }
            if sent.waiting.is_empty() {
                break;
            }
        }
        Trouble::NoAnswer
    }

    /// The headers that take up a stream after an event.
    pub(super) fn resuming(&self, last: &str) -> HeaderMap {
        let mut headers = self.known().legacy();
        if let Ok(value) = HeaderValue::from_str(last) {
            headers.insert(headers::LAST_EVENT, value);
        }
        headers
    }

    /// Passes one body or event on; false if it is no message.
    async fn deliver(&self, bytes: Bytes, sent: &mut Sent, session: Option<&HeaderValue>) -> bool {
        let Ok(document) = Document::parse(bytes, Limits::RESPONSE) else {
            return false;
        };
        let mut said = document.bytes().clone();
        {
            let Ok(body) = Body::parse(&document) else {
                return false;
            };
            for message in body.messages() {
                let Message::Response(response) = message else {
                    continue;
                };
                self.learn(response, sent, session);
                match &response.id {
                    Some(id) => {
                        sent.waiting.remove(id);
                    }
                    // Whoever could not read the request could not repeat its id; the client waits for it all the same.
                    None => {
                        if let Some(id) = sent.waiting.pop_first() {
                            let mut splice = Splice::new();
                            splice.set_member(response.node, "id", id.to_json());
                            said = splice.apply(&document);
                        }
                    }
                }
            }
        }
        self.output.say(said).await;
        true
    }

    fn learn(&self, response: &Response<'_>, sent: &Sent, session: Option<&HeaderValue>) {
        let Outcome::Result(result) = &response.outcome else {
            return;
        };
        if response
            .id
            .as_ref()
            .is_none_or(|id| !sent.waiting.contains(id))
        {
            return;
        }
        if sent.is("initialize") {
            self.known()
                .learn_session(*result, session.cloned(), sent.document.bytes().clone());
        } else if sent.is("tools/list") {
            self.known().learn_tools(*result);
        }
    }

    /// Whether a tool call was refused because its arguments were not mirrored, and the tool was never listed.
    fn lacks_mirrors(&self, answer: &Answer, sent: &Sent) -> bool {
        let Content::Json(bytes) = &answer.content else {
            return false;
        };
        if !sent.modern || !sent.is("tools/call") || answer.status != StatusCode::BAD_REQUEST {
            return false;
        }
        let name = sent
            .document
            .root()
            .get("params")
            .and_then(|params| params.get("name"))
            .and_then(Node::as_str);
        let Ok(document) = Document::parse(bytes.clone(), Limits::RESPONSE) else {
            return false;
        };
        let found = document
            .root()
            .get("error")
            .and_then(|error| error.get("code"))
            .and_then(Node::as_i64);
        found == Some(code::HEADER_MISMATCH)
            && name.is_some_and(|name| !self.known().knows_tool(&name))
    }

    /// Reads the server's tools in the circumstances of the call; false if there is nothing new to know.
    async fn learn_tools(&self, sent: &Sent) -> Result<bool, Trouble> {
        let Some(meta) = sent
            .document
            .root()
            .get("params")
            .and_then(|params| params.get("_meta"))
        else {
            return Ok(false);
        };
        let meta = String::from_utf8_lossy(meta.raw()).into_owned();
        let mut cursor = String::new();
        for page in 0..PAGES {
            let request = format!(
                r#"{{"jsonrpc":"2.0","id":"sallyport-connect-{page}","method":"tools/list","params":{{{cursor}"_meta":{meta}}}}}"#
            );
            let request = Document::parse(Bytes::from(request), Limits::RESPONSE)
                .map_err(|error| Trouble::Unsendable(error.to_string()))?;
            let headers = self.known().headers(&request)?;
            let answer = self.wire.post(headers, request.bytes().clone()).await?;
            let Some(body) = first_message(answer).await else {
                return Ok(page > 0);
            };
            let Some(result) = body.root().get("result") else {
                return Ok(page > 0);
            };
            self.known().learn_tools(result);
            match result.get("nextCursor") {
                Some(next) => {
                    cursor = format!(r#""cursor":{},"#, String::from_utf8_lossy(next.raw()));
                }
                None => return Ok(true),
            }
        }
        Ok(true)
    }
}

/// The response in an answer that carries nothing else that the client needs.
pub(super) async fn first_message(answer: Answer) -> Option<Document> {
    let is_response = |document: &Document| document.root().get("method").is_none();
    let mut events = match answer.content {
        Content::Json(bytes) => {
            return Document::parse(bytes, Limits::RESPONSE)
                .ok()
                .filter(is_response);
        }
        Content::Events(events) => events,
        Content::Nothing | Content::Other(_) => return None,
    };
    while let Some(Ok(item)) = events.next().await {
        let Item::Event(event) = item else { continue };
        if let Some(data) = event.data.clone().filter(|_| event.is_message())
            && let Some(document) = Document::parse(data, Limits::RESPONSE)
                .ok()
                .filter(is_response)
        {
            return Some(document);
        }
    }
    None
}
