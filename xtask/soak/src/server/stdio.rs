//! The server over stdio: one line a message.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use serde_json::Value;

use super::ledger::Ledger;
use super::{Act, Call, plain};

/// Serves until stdin ends.
pub(crate) fn serve(ledger: &Path) -> Result<()> {
    let ledger = Arc::new(Ledger::open(ledger)?);
    for line in std::io::stdin().lock().lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else {
            continue;
        };
        if message.get("id").is_none() {
            continue;
        }
        let ledger = Arc::clone(&ledger);
        // A call that takes its time must not keep others from being read.
        std::thread::spawn(move || take(&message, &ledger));
    }
    Ok(())
}

fn take(message: &Value, ledger: &Ledger) {
    let acts = match Call::of(message) {
        Some(call) if ledger.ran(&call.nonce).is_ok() => call.acts(),
        Some(_) => vec![Act::Break],
        None => vec![Act::Say(plain(message))],
    };
    for act in acts {
        let mut out = std::io::stdout().lock();
        let said = match act {
            Act::Say(text) => writeln!(out, "{text}"),
            Act::Raw(text) => write!(out, "{text}"),
            Act::Wait(time) => {
                drop(out);
                std::thread::sleep(time);
                continue;
            }
            Act::Break => std::process::exit(3),
        };
        if said.and_then(|()| out.flush()).is_err() {
            return; // nobody listens any more
        }
    }
}
