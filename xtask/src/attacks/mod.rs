//! The attack suite: the corpus of attacks against the running guard, with real servers behind it. What policy denied
//! never reaches a server, each answer is a legal one, one event tells the reason, and nothing hangs.

mod bed;
mod h2;
mod hostile;
mod issuer;
mod legal;
mod record;
mod run;
mod scripts;
mod tap;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Result, bail};
use sallyport_attacks::{Case, Chapter, TRAPS, chapters};

use crate::console::say;
use crate::matrix::servers::Server;
use crate::tally::{Count, Tally};
use bed::{Bed, Client, Target};

/// What is refused before anybody knows which tools there are, so that it can be put to a server without those tools.
const EARLY: [u16; 9] = [400, 401, 403, 404, 405, 408, 413, 415, 421];

/// What came of the cases of one server.
#[derive(Debug)]
struct Outcome {
    passed: usize,
    failures: Vec<String>,
    note: String,
}

/// Runs every case whose name contains `only`; what the judge's line is to say.
pub(crate) fn run(tally: &mut Tally, only: Option<&str>) -> Result<String> {
    let began = Instant::now();
    let bed = Bed::set_up()?;
    let chapters = chapters()?;
    let cases: usize = chapters.iter().map(|chapter| chapter.cases.len()).sum();
    std::thread::scope(|scope| {
        let mut jobs: Vec<_> = SERVERS
            .iter()
            .map(|(name, server)| {
                let work = || before(&bed, name, *server, &chapters, only);
                (format!("attacks before {name}"), scope.spawn(work))
            })
            .collect();
        let scripts = scope.spawn(|| scripts::run(&bed, &chapters, only));
        jobs.push((
            "attacks that take time, crowds or approvers".to_owned(),
            scripts,
        ));
        for (name, job) in jobs {
            tell(
                tally,
                &name,
                job.join().unwrap_or_else(|_| bail!("it panicked")),
            );
        }
    });
    Ok(format!(
        "{cases} cases, all {TRAPS} traps, {} servers, {:.0} s",
        SERVERS.len(),
        began.elapsed().as_secs_f64()
    ))
}

fn tell(tally: &mut Tally, name: &str, outcome: Result<Outcome>) {
    let mut failures = Vec::new();
    tally.step(name, || {
        let outcome = outcome?;
        failures = outcome.failures;
        Ok(Count {
            passed: outcome.passed,
            failed: failures.len(),
            note: outcome.note,
        })
    });
    for failure in failures {
        say(&format!("    {failure}"));
    }
}

/// Names as the corpus has them; none is the server of our own.
const SERVERS: [(&str, Option<Server>); 4] = [
    ("own", None),
    ("everything", Some(Server::EverythingHttp)),
    ("dual", Some(Server::Python)),
    ("time", Some(Server::Time)),
];

fn before(
    bed: &Bed,
    name: &'static str,
    server: Option<Server>,
    chapters: &[Chapter],
    only: Option<&str>,
) -> Result<Outcome> {
    let mut target = match server {
        None => bed.own(name)?,
        Some(server) => bed.real(name, server)?,
    };
    let mut outcome = Outcome {
        passed: 0,
        failures: Vec::new(),
        note: String::new(),
    };
    let mut recorded = Vec::new();
    let cases = chapters.iter().flat_map(|chapter| &chapter.cases);
    for (number, case) in cases
        .enumerate()
        .filter(|(_, case)| wanted(case, only) && is_for(case, &target))
    {
        match run::case(&target, case, number) {
            Ok(found) => {
                outcome.passed += 1;
                recorded.extend(found);
            }
            Err(error) => outcome.failures.push(format!("{}: {error:#}", case.name)),
        }
    }
    match record::check(&mut target, &recorded) {
        Ok(note) => outcome.note = note,
        Err(error) => outcome.failures.push(format!("the recording: {error:#}")),
    }
    Ok(outcome)
}

fn wanted(case: &Case, only: Option<&str>) -> bool {
    case.script.is_none() && only.is_none_or(|text| case.name.contains(text))
}

/// Each server is put what it can make sense of: its era, and tools that it has.
fn is_for(case: &Case, target: &Target) -> bool {
    let modern = case.revision == "2026-07-28";
    let early = || {
        case.steps().all(|step| {
            !step.expect.executed
                && step
                    .expect
                    .status
                    .is_some_and(|status| EARLY.contains(&status))
        })
    };
    let makes_sense = match target.name {
        "everything" => !modern,
        "dual" => modern,
        "time" => !modern && early(),
        _ => true,
    };
    makes_sense && case.is_for(target.name)
}

/// Clients of a server on a pipe, which are made once.
fn kept(user: &str, revision: &str, make: impl FnOnce() -> Result<Client>) -> Result<Client> {
    static KEPT: Mutex<BTreeMap<(String, String), Client>> = Mutex::new(BTreeMap::new());
    let key = (user.to_owned(), revision.to_owned());
    if let Some(client) = KEPT
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&key)
    {
        return Ok(client.clone());
    }
    let client = make()?;
    KEPT.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(key, client.clone());
    Ok(client)
}
