//! What HTTP/2 makes cheap for the sender and dear for the receiver.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::super::bed::Target;
use super::super::h2::{
    self, CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, frame,
};
use super::super::hostile::Play;
use super::super::tap::Arrived;
use super::{others_are_served, own, until};

const SHORT: Duration = Duration::from_secs(20);

fn headers(target: &Target, user: &str, revision: &str) -> Result<Vec<(String, String)>> {
    let client = target.client(user, revision)?;
    let mut headers: Vec<(String, String)> =
        [(":method", "POST"), (":scheme", "http"), (":path", "/mcp")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    headers.push((":authority".to_owned(), target.address.to_string()));
    let rest = client
        .headers(target.address)
        .into_iter()
        .filter(|(name, _)| name != "Host");
    headers.extend(rest.map(|(name, value)| (name.to_lowercase(), value)));
    Ok(headers)
}

pub(super) fn rapid_reset(target: &Target) -> Result<()> {
    let block = h2::block(&headers(target, "resetting", "2025-06-18")?);
    let mut connection = Connection::open(target.address)?;
    for number in 0..20_000_u32 {
        let stream = number * 2 + 1;
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &block);
        bytes.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
        if !connection.send(&bytes) {
            break;
        }
    }
    ensure!(connection.ended(SHORT), "twenty thousand resets are taken");
    others_are_served(target, "beside-resets")
}

pub(super) fn continuation_flood(target: &Target) -> Result<()> {
    let block = h2::block(&headers(target, "continuing", "2025-06-18")?);
    let mut connection = Connection::open(target.address)?;
    connection.send(&frame(HEADERS, 0, 1, &block));
    let more = h2::block(&[("x-more".to_owned(), "y".repeat(8000))]);
    let taken = (0..4000).all(|_| connection.send(&frame(CONTINUATION, 0, 1, &more)));
    ensure!(
        !taken || connection.ended(SHORT),
        "thirty megabytes of headers are taken"
    );
    others_are_served(target, "beside-continuations")
}

/// In the newest revision a client that leaves has cancelled; in the older ones its call goes on.
pub(super) fn reset_cancels(target: &Target) -> Result<()> {
    let server = own(target)?;
    let mut headers = headers(target, "leaving", "2026-07-28")?;
    for (name, value) in [("mcp-method", "tools/call"), ("mcp-name", "play")] {
        headers.push((name.to_owned(), value.to_owned()));
    }
    server.play("tools/call", Play::stream(":\n\n", true));
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"play","arguments":{"message":"reset-me"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let left = server.left.load(Ordering::Relaxed);
    let mut connection = Connection::open(target.address)?;
    connection.send(&frame(HEADERS, END_HEADERS, 1, &h2::block(&headers)));
    connection.send(&frame(DATA, END_STREAM, 1, body));
    let arrived = |call: &Arrived| call.text().contains("reset-me");
    until("the call", SHORT, || {
        Ok(server.calls("tools/call").iter().any(arrived).then_some(()))
    })?;
    connection.send(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    until("the end of the server's stream", SHORT, || {
        Ok((server.left.load(Ordering::Relaxed) > left).then_some(()))
    })
}
