//! Keys of issuers over time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::super::bed::Target;
use super::super::issuer::Caller;
use super::super::wire::{self, Heard};
use super::until;

fn ask(target: &Target, token: &str) -> Result<Heard> {
    let host = target.address;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let bytes = format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    wire::ask(host, bytes.as_bytes())
}

pub(super) fn rotated_keys(target: &Target) -> Result<()> {
    let caller = Caller::clerk("rotated");
    let former = target.issuer.rotating_token(caller, false);
    let heard = ask(target, &former)?;
    ensure!(
        heard.status != 401,
        "the key is published: {}",
        heard.text()
    );
    target.issuer.rotate();
    let newer = target.issuer.rotating_token(caller, true);
    until("the new key", Duration::from_secs(30), || {
        Ok((ask(target, &newer)?.status != 401).then_some(()))
    })?;
    let heard = ask(target, &former)?;
    ensure!(
        heard.status == 401,
        "a token of a key that was taken back: {}",
        heard.text()
    );
    Ok(())
}

pub(super) fn flood_of_key_ids(target: &Target) -> Result<()> {
    let before = target.issuer.fetches.load(Ordering::Relaxed);
    for number in 0..300 {
        let heard = ask(target, &target.issuer.unknown_key_token(number))?;
        ensure!(heard.status == 401, "{}", heard.text());
    }
    // Other guards and the rotation ask too, each once in ten seconds at most.
    let fetches = target.issuer.fetches.load(Ordering::Relaxed) - before;
    ensure!(
        fetches < 60,
        "three hundred invented keys made {fetches} fetches"
    );
    Ok(())
}
