//! More than anybody should send. The guard's memory stays bounded, and others are served.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::bed::Target;
use super::super::h2::{self, Connection, END_HEADERS, END_STREAM, HEADERS, PING, SETTINGS, frame};
use super::super::hostile::Play;
use super::super::wire::{self, Line};
use super::{Script, http2, others_are_served, own};

pub(super) const ALL: &[(&str, Script)] = &[
    ("pending_requests", pending_requests),
    ("endless_server_head", endless_server_head),
    ("h2_control_flood", control_flood),
    ("h2_reset_cancels", http2::reset_cancels),
];

/// By how much the guard may grow, in KiB: far below what a hundred thousand requests would take.
const GROWTH: u64 = 96 * 1024;
const REQUESTS: u32 = 100_000;
const SENDING: Duration = Duration::from_secs(15);

fn memory(target: &Target) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", target.process()))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn pending_requests(target: &Target) -> Result<()> {
    let client = target.client("pending", "2025-06-18")?;
    others_are_served(target, "before-pending")?;
    let before = memory(target)?;
    let request = client.call(target.address, 1, "echo", r#"{"message":"pipelined"}"#);
    let mut line = Line::open(target.address)?;
    let until = Instant::now() + SENDING;
    let many = request.repeat(100);
    let sent = (0..REQUESTS / 100)
        .take_while(|_| Instant::now() < until && line.write(&many))
        .count();
    let during = memory(target)?;
    others_are_served(target, "beside-pending")?;
    ensure!(
        during < before + GROWTH,
        "HTTP/1.1: from {before} to {during} KiB, {sent} hundred requests were taken"
    );
    drop(line);

    let headers: Vec<(String, String)> =
        [(":method", "POST"), (":scheme", "http"), (":path", "/mcp")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .chain([(":authority".to_owned(), target.address.to_string())])
            .chain(
                client
                    .headers(target.address)
                    .into_iter()
                    .filter(|(name, _)| name != "Host")
                    .map(|(name, value)| (name.to_lowercase(), value)),
            )
            .collect();
    let block = h2::block(&headers);
    let mut connection = Connection::open(target.address)?;
    let until = Instant::now() + SENDING;
    // Each stream asks and never sends its body.
    let opened = (0..REQUESTS)
        .take_while(|number| {
            Instant::now() < until
                && connection.send(&frame(HEADERS, END_HEADERS, number * 2 + 1, &block))
        })
        .count();
    let during = memory(target)?;
    others_are_served(target, "beside-streams")?;
    ensure!(
        during < before + GROWTH,
        "HTTP/2: from {before} to {during} KiB, {opened} streams"
    );
    connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block));
    Ok(())
}

fn endless_server_head(target: &Target) -> Result<()> {
    let before = memory(target)?;
    let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n".to_vec();
    for number in 0..200_000 {
        bytes.extend_from_slice(format!("X-{number}: {}\r\n", "y".repeat(60)).as_bytes());
    }
    own(target)?.play(
        "tools/call",
        Play {
            bytes,
            hangs: false,
            after: Duration::ZERO,
        },
    );
    let ada = target.client("endless-head", "2025-06-18")?;
    let heard = wire::ask(target.address, &ada.call(target.address, 1, "play", "{}"))?;
    ensure!(
        heard.text().contains("error") || heard.status >= 500,
        "{}",
        heard.text()
    );
    let during = memory(target)?;
    ensure!(during < before + GROWTH, "from {before} to {during} KiB");
    Ok(())
}

fn control_flood(target: &Target) -> Result<()> {
    let before = memory(target)?;
    let mut connection = Connection::open(target.address)?;
    let mut some = Vec::new();
    for _ in 0..1000 {
        some.extend(frame(PING, 0, 0, &[7; 8]));
        some.extend(frame(SETTINGS, 0, 0, &[]));
    }
    // Answers are not read: at some point either side stops, and nobody else notices.
    let until = Instant::now() + SENDING;
    let taken = (0..10_000)
        .take_while(|_| Instant::now() < until && connection.send(&some))
        .count();
    let during = memory(target)?;
    others_are_served(target, "beside-pings")?;
    ensure!(
        during < before + GROWTH,
        "from {before} to {during} KiB, {taken} thousand pings were taken"
    );
    Ok(())
}
