//! No secret of the run may lie in what the guard wrote (state folder, recordings, log) or come to a server that it is
//! not for.

use anyhow::{Result, bail};

use crate::files::{holds, walk};

use super::bench::{COOKIE, CREDENTIAL, Guarded, SECRETS};
use super::ear::Ear;

/// An error that names each file and what was found in it.
pub(crate) fn none_in(guarded: &Guarded) -> Result<()> {
    let mut secrets: Vec<(&str, String)> = SECRETS
        .iter()
        .chain([&CREDENTIAL])
        .map(|secret| (secret.name, secret.value()))
        .collect();
    secrets.extend(the_callers(guarded));
    let mut files = vec![guarded.log()];
    walk(guarded.folder(), &mut |path| {
        files.push(path.to_path_buf());
        Ok(())
    })?;
    let mut found = Vec::new();
    for file in &files {
        for (name, value) in &secrets {
            if holds(file, value)? {
                found.push(format!("{name} in {}", file.display()));
            }
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!("secrets were written: {}", found.join(", "))
}

/// The server saw nothing of its callers' tokens and cookies, and its own credential with each request.
pub(crate) fn none_upstream(guarded: &Guarded) -> Result<()> {
    let heard = guarded.server.ear.all()?;
    let bodies = heard
        .messages
        .iter()
        .map(|message| message.body.to_string());
    let heads = heard.heads.iter().map(|head| format!("{head:?}"));
    let texts: Vec<String> = bodies.chain(heads).collect();
    for (name, value) in the_callers(guarded) {
        if texts.iter().any(|text| text.contains(&value)) {
            bail!("the server was told {name}");
        }
    }
    let own = format!("Bearer {}", CREDENTIAL.value());
    let bare = |head: &&super::heard::Head| head.get("authorization") != Some(&own);
    if let Some(head) = heard.heads.iter().find(bare) {
        bail!("a request came without the server's own credential: {head:?}");
    }
    if matches!(guarded.server.ear, Ear::Port(_)) && heard.heads.is_empty() {
        bail!("nothing was heard before the server, so that nothing is shown");
    }
    Ok(())
}

fn the_callers(guarded: &Guarded) -> Vec<(&'static str, String)> {
    let tokens = guarded.tokens().into_iter();
    let mut secrets: Vec<_> = tokens.map(|token| ("a caller's token", token)).collect();
    secrets.push(("a caller's cookie", COOKIE.into()));
    secrets
}
