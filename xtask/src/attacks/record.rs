//! What the recording says afterwards: it proves itself, each call has one end, and each refusal its reason.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sallyport_policy::name::SessionId;
use sallyport_policy::record::chain::EventRecord;
use sallyport_policy::record::event::Event;
use sallyport_policy::record::line::{self, LineKind};

use super::bed::Target;
use super::run::Recorded;
use crate::guard;

/// Ends of calls by who made them and why they ended.
pub(super) type Ends = BTreeMap<(String, String), usize>;

/// Reads what was recorded, after the guard has stopped.
pub(super) fn check(target: &mut Target, expected: &[Recorded]) -> Result<String> {
    target.guard.stop()?;
    target
        .guard
        .command(&["verify"])
        .context("`sallyport verify`")?;
    let (ends, calls) = ends(&target.state)?;
    let mut wanted: BTreeMap<&Recorded, usize> = BTreeMap::new();
    for recorded in expected {
        *wanted.entry(recorded).or_default() += 1;
    }
    for (recorded, count) in &wanted {
        let found = ends
            .get(&(recorded.user.clone(), recorded.reason.clone()))
            .copied()
            .unwrap_or(0);
        if found != *count {
            bail!(
                "the recording has `{}` of {} {found} times, and it was told {count} times",
                recorded.reason,
                recorded.user
            );
        }
    }
    leaks(target)?;
    Ok(format!("{calls} calls recorded, each ended once"))
}

/// Every call has exactly one end (law 30).
fn ends(state: &Path) -> Result<(Ends, usize)> {
    let mut users: BTreeMap<SessionId, String> = BTreeMap::new();
    let mut open = BTreeMap::new();
    let mut ends = Ends::new();
    let mut calls = 0;
    for record in records(state)? {
        if let Event::SessionBegan(began) = &record.event {
            users.insert(record.session.clone(), began.caller.subject.to_string());
        }
        if let Event::CallRequested(requested) = &record.event {
            calls += 1;
            open.insert(requested.call.clone(), false);
        }
        if let Event::CallEnded(ended) = record.event {
            if open.insert(ended.call.clone(), true) != Some(false) {
                bail!("call {} has no beginning, or two ends", ended.call);
            }
            let user = users.get(&record.session).cloned().unwrap_or_default();
            let reason = ended.reason.unwrap_or_default();
            *ends.entry((user, reason)).or_default() += 1;
        }
    }
    match open.values().filter(|ended| !**ended).count() {
        0 => Ok((ends, calls)),
        open => bail!("{open} calls have no end"),
    }
}

fn records(state: &Path) -> Result<Vec<EventRecord>> {
    let mut files: Vec<_> = std::fs::read_dir(state.join("recordings/segments"))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let mut records = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file)?;
        for raw in line::lines(&bytes).filter(|raw| raw.whole) {
            let Ok(line) = line::decode(raw.text) else {
                bail!("a damaged line in {}", file.display());
            };
            if line.kind == LineKind::Event {
                records.push(serde_json::from_slice(line.json)?);
            }
        }
    }
    Ok(records)
}

/// Nothing that the guard wrote holds its credential, and its log no whole token.
fn leaks(target: &Target) -> Result<()> {
    let log = std::fs::read_to_string(guard::log_of(&target.state))?;
    for secret in [super::bed::CREDENTIAL, "eyJhbGciOiJFUzI1NiIs"] {
        if log.contains(secret) {
            bail!("the guard's log shows `{secret}`");
        }
    }
    crate::files::walk(&target.state, &mut |file| {
        if crate::files::holds(file, super::bed::CREDENTIAL)? {
            bail!("{} holds the server's credential", file.display());
        }
        Ok(())
    })
}
