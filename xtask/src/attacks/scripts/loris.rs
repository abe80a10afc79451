//! Peers that are slow, silent or half gone. Each is given up in time, and others are served meanwhile.

use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::super::bed::Target;
use super::super::wire::Line;
use super::{Script, http2, keys, others_are_served};

pub(super) const ALL: &[(&str, Script)] = &[
    ("loris_connect", loris_connect),
    ("loris_line", loris_line),
    ("loris_headers", loris_headers),
    ("loris_preface", loris_preface),
    ("loris_body", loris_body),
    ("loris_between", loris_between),
    ("loris_reading", loris_reading),
    ("half_closed", half_closed),
    ("endless_chunk_extension", endless_chunk_extension),
    ("many_headers", many_headers),
    ("huge_head", huge_head),
    ("many_begun_bodies", many_begun_bodies),
    ("quiet_stream", quiet_stream),
    ("h2_rapid_reset", http2::rapid_reset),
    ("h2_continuation_flood", http2::continuation_flood),
    ("rotated_keys", keys::rotated_keys),
    ("flood_of_key_ids", keys::flood_of_key_ids),
];

/// Heads have 15 s, bodies 20; the rest is for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(40);

/// Sends a byte each half second until the peer has closed, which it must.
fn trickle(target: &Target, first: &[u8], drop: &[u8]) -> Result<()> {
    let mut line = Line::open_for(target.address, PATIENCE)?;
    line.write(first);
    let mut feeding = line.stream().try_clone()?;
    let until = Instant::now() + PATIENCE;
    let drop = drop.to_vec();
    std::thread::spawn(move || {
        while Instant::now() < until && !drop.is_empty() && feeding.write_all(&drop).is_ok() {
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    ensure!(line.closed(), "it is still connected after {PATIENCE:?}");
    Ok(())
}

fn loris_connect(target: &Target) -> Result<()> {
    trickle(target, b"", b"")
}

fn loris_preface(target: &Target) -> Result<()> {
    trickle(target, b"PRI * HTTP/2.0\r\n", b"")
}

fn loris_line(target: &Target) -> Result<()> {
    trickle(target, b"POST /", b"m")
}

fn loris_headers(target: &Target) -> Result<()> {
    trickle(target, b"POST /mcp HTTP/1.1\r\n", b"X-A: b\r\n")
}

fn loris_body(target: &Target) -> Result<()> {
    let client = target.client("trickling", "2025-06-18")?;
    let whole = client.post(target.address, &[b' '; 1000]);
    let head = whole.get(..whole.len() - 1000).unwrap_or_default();
    trickle(target, head, b" ")
}

fn loris_between(target: &Target) -> Result<()> {
    let client = target.client("pausing", "2025-06-18")?;
    let mut line = Line::open_for(target.address, PATIENCE)?;
    line.write(&client.call(target.address, 1, "echo", r#"{"message":"first"}"#));
    ensure!(
        line.answer()?.is_some_and(|heard| heard.status == 200),
        "the first request is served"
    );
    ensure!(line.closed(), "it is still connected after {PATIENCE:?}");
    Ok(())
}

fn loris_reading(target: &Target) -> Result<()> {
    let client = target.client("unread", "2025-06-18")?;
    let mut lines = Vec::new();
    let long = "x".repeat(200_000);
    for _ in 0..16 {
        let mut line = Line::open_for(target.address, PATIENCE)?;
        line.write(&client.call(
            target.address,
            1,
            "echo",
            &format!(r#"{{"message":"{long}"}}"#),
        ));
        lines.push(line);
    }
    others_are_served(target, "beside-unread")?;
    for line in &mut lines {
        let heard = line.answer()?;
        ensure!(
            heard.is_some_and(|heard| heard.text().contains(&long)),
            "an answer that was read late is not whole"
        );
    }
    Ok(())
}

fn half_closed(target: &Target) -> Result<()> {
    let client = target.client("half", "2025-06-18")?;
    let mut line = Line::open(target.address)?;
    line.write(&client.call(target.address, 1, "echo", r#"{"message":"half"}"#));
    line.stream().shutdown(Shutdown::Write)?;
    // Whoever closes its side has left, or waits for the answer: both are legal, and neither hangs.
    if let Some(heard) = line.answer()? {
        super::super::legal::judge(&heard)?;
    }
    let mut line = Line::open(target.address)?;
    line.write(b"POST /mcp HTTP/1.1\r\nHost: x\r\n");
    line.stream().shutdown(Shutdown::Write)?;
    ensure!(line.closed(), "half a head and half a connection");
    Ok(())
}

fn endless_chunk_extension(target: &Target) -> Result<()> {
    let client = target.client("extending", "2025-06-18")?;
    let head = String::from_utf8_lossy(&client.post(target.address, b""))
        .replace("Content-Length: 0", "Transfer-Encoding: chunked");
    let mut line = Line::open(target.address)?;
    line.write(head.as_bytes());
    line.write(b"28;");
    let refused = (0..64).any(|_| !line.write(&[b'x'; 16 * 1024]));
    let answer = line.answer().ok().flatten();
    ensure!(
        refused || answer.is_some_and(|heard| heard.status >= 400),
        "a megabyte of chunk extension is read"
    );
    Ok(())
}

/// Refused by status, or by an end of the connection while it is still being sent.
fn refused_head(target: &Target, headers: &str) -> Result<()> {
    let client = target.client("heads", "2025-06-18")?;
    let whole =
        String::from_utf8_lossy(&client.call(target.address, 1, "echo", r#"{"message":"head"}"#))
            .replacen("\r\n", &format!("\r\n{headers}"), 1);
    let mut line = Line::open(target.address)?;
    let taken = line.write(whole.as_bytes());
    match line.answer() {
        Ok(Some(heard)) => ensure!([400, 413, 431].contains(&heard.status), "{}", heard.text()),
        Ok(None) => {}
        Err(error) => ensure!(!taken, "{error}"),
    }
    Ok(())
}

fn many_headers(target: &Target) -> Result<()> {
    let headers: String = (0..500)
        .map(|number| format!("X-{number}: 1\r\n"))
        .collect();
    refused_head(target, &headers)
}

fn huge_head(target: &Target) -> Result<()> {
    refused_head(target, &format!("X-Huge: {}\r\n", "x".repeat(1 << 20)))
}

fn many_begun_bodies(target: &Target) -> Result<()> {
    let client = target.client("beginning", "2025-06-18")?;
    let head = String::from_utf8_lossy(&client.post(target.address, b""))
        .replace("Content-Length: 0", "Content-Length: 262144");
    let mut lines = Vec::new();
    for _ in 0..100 {
        let mut line = Line::open(target.address)?;
        line.write(head.as_bytes());
        line.write(b"{");
        lines.push(line);
    }
    others_are_served(target, "beside-bodies")
}

fn quiet_stream(target: &Target) -> Result<()> {
    let client = target.client("quiet", "2025-06-18")?;
    let mut text = "GET /mcp HTTP/1.1\r\n".to_owned();
    for (name, value) in client
        .headers(target.address)
        .iter()
        .filter(|(name, _)| name != "Content-Type")
    {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut line = Line::open_for(target.address, PATIENCE)?;
    line.write((text + "\r\n").as_bytes());
    let heard = line.begin()?;
    ensure!(heard.status == 200, "{}", heard.text());
    ensure!(
        heard.header("x-accel-buffering") == Some("no"),
        "{}",
        heard.head
    );
    ensure!(
        heard
            .header("cache-control")
            .is_some_and(|value| value.contains("no-cache") && value.contains("no-transform")),
        "{}",
        heard.head
    );
    // The first comment is the server's own; the second can only be the guard's.
    line.read_until(":\n")?;
    line.rest(Duration::from_millis(500))?;
    line.read_until(":")?;
    Ok(())
}
