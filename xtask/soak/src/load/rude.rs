//! Clients that do not behave: they vanish, hang up half-way, change their mind, leave without a word.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Client, Revision};
use super::tally::Outcome;
use super::wire::{Connection, LIMIT};

impl Client {
    /// Sends a call, and closes the connection before it can be answered.
    pub(crate) async fn vanish(&mut self, tool: &str, arguments: &Value) {
        let (_, _, message) = self.tool_call(tool, arguments.clone());
        let request = self.post(&message);
        let mut connection = Connection::new(self.target.address);
        let after = Duration::from_millis(self.chance.below(250));
        // Ends when the time is over: connection and request are dropped where they stand.
        let early = tokio::time::timeout(after, connection.send(request)).await;
        drop(early);
        drop(connection);
        self.count("Vanish", Outcome::Left, None);
        // The oldest transport's stream is what its client really is.
        if self.revision == Revision::Oldest {
            self.pipe = None;
        }
    }

    /// Opens another session, and is gone before it hears so.
    pub(crate) async fn vanish_opening(&mut self) {
        if !self.revision.streams() {
            return;
        }
        let (_, hello) = self.hello();
        let mut request = self.post(&hello);
        request.headers_mut().remove("mcp-session-id");
        let mut connection = Connection::new(self.target.address);
        let after = Duration::from_millis(self.chance.below(20));
        let early = tokio::time::timeout(after, connection.send(request)).await;
        drop(early);
        self.count("VanishOpening", Outcome::Left, None);
    }

    /// Says that an answer is no longer wanted.
    pub(crate) async fn cancel(&mut self) {
        if self.revision == Revision::Newest {
            return self.vanish("echo", &json!({ "fault": "late" })).await;
        }
        let (_, id, message) = self.tool_call("echo", json!({ "fault": "late" }));
        let request = self.post(&message);
        let mut connection = Connection::new(self.target.address);
        let calling = tokio::spawn(async move {
            connection
                .send(request)
                .await
                .map(|response| (response, connection))
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let cancelled = json!({
            "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id, "reason": "soak" },
        });
        let outcome = match self.notify(&cancelled).await {
            Ok(202) => Outcome::Left,
            Ok(404) if self.plan.outages || self.shaken => {
                (self.session, self.pipe) = (None, None);
                Outcome::Lost
            }
            Ok(401) if self.tokens.renewed("401", &self.tally) => Outcome::Refused,
            Ok(status) => Outcome::Unexpected(format!("cancelled: {status}")),
            Err(error) => self.without_answer(&format!("{error:#}")),
        };
        self.count("Cancel", outcome, None);
        // The answer may come or not; what comes is looked at.
        let answered = tokio::time::timeout(Duration::from_secs(3), calling).await;
        if let Ok(Ok(Ok((response, _connection)))) = answered
            && self.revision != Revision::Oldest
        {
            let heard = tokio::time::timeout(
                Duration::from_secs(3),
                self.hear(id, response, Duration::ZERO),
            )
            .await;
            drop(heard);
        }
    }

    /// Sends a call, says that nothing more will come, and still reads.
    pub(crate) async fn half_close(&mut self) {
        if self.revision == Revision::Oldest {
            return;
        }
        let (_, _, message) = self.tool_call("echo", json!({ "fault": "late" }));
        let bytes = raw(&self.post(&message), &message);
        let text = tokio::time::timeout(LIMIT, half_closed(self.target.address, &bytes)).await;
        let outcome = match text {
            Ok(Ok(text)) => {
                self.tally.look(&text, &self.owner);
                Outcome::Left
            }
            // A reset says as clearly that the guard is done with it.
            Ok(Err(_)) => Outcome::Left,
            Err(_) => Outcome::Unexpected("a half-closed connection stays open".into()),
        };
        self.count("HalfClose", outcome, None);
    }

    /// Leaves: in good order, or just so. The next step begins with a new session.
    pub(crate) async fn leave(&mut self) {
        if self.chance.below(2) == 0 {
            self.close().await;
        } else {
            (self.session, self.pipe) = (None, None);
            self.connection.leave();
        }
        self.count("Leave", Outcome::Left, None);
    }

    /// The same message in somebody else's session.
    pub(crate) fn as_stranger(&self, message: &Value, session: &str) -> Request<Full<Bytes>> {
        let mut request = self.post(message);
        if self.revision == Revision::Oldest {
            *request.uri_mut() = session.parse().unwrap_or_default();
        } else if let Ok(value) = HeaderValue::from_str(session) {
            request.headers_mut().insert("mcp-session-id", value);
        }
        request
    }
}

async fn half_closed(to: std::net::SocketAddr, bytes: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(bytes).await?;
    stream.shutdown().await?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The request as it goes over the wire.
fn raw(request: &Request<Full<Bytes>>, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        head.push_str(&format!(
            "{name}: {}\r\n",
            value.to_str().unwrap_or_default()
        ));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    head.into_bytes()
}
