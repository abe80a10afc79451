//! Official clients before real servers: each scenario is run straight at the server and through the guard, and what
//! the client saw and what the server was told is compared. What nobody polices must be equal; the rest must be what
//! the policy says.

mod approver;
mod bench;
mod docs;
mod ear;
mod heard;
mod judge;
mod leaks;
mod oauth;
mod rows;
mod scenario;
pub(crate) mod servers;
mod versions;

use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::tally::{Count, Tally};
use bench::{Bench, Guarded};
use rows::Row;
use servers::Overheard;

/// What came of one row.
#[derive(Debug)]
struct Ran {
    row: Row,
    good: bool,
    /// The revision that was spoken.
    revision: String,
}

/// A line of the run, from the thread that came to it.
struct Line {
    name: String,
    took: Duration,
    result: Result<Count>,
    ran: Option<Ran>,
}

/// Runs every row whose name contains `only`.
pub(crate) fn run(tally: &mut Tally, only: Option<&str>) -> Result<()> {
    rows_of(tally, only).map(|_| ())
}

/// `cargo xtask matrix`. True: nothing failed.
pub(crate) fn alone(only: Option<&str>, write_docs: bool) -> Result<bool> {
    let mut tally = Tally::default();
    let ran = rows_of(&mut tally, only)?;
    if write_docs {
        docs::write(&ran)?;
    }
    Ok(tally.close())
}

fn rows_of(tally: &mut Tally, only: Option<&str>) -> Result<Vec<Ran>> {
    let bench = Bench::set_up()?;
    let wanted =
        |row: &Row| row.impossible().is_none() && only.is_none_or(|text| row.name().contains(text));
    let (sender, lines) = mpsc::channel();
    let mut ran = Vec::new();
    std::thread::scope(|scope| {
        for (number, mut rows) in rows::groups().into_iter().enumerate() {
            rows.retain(wanted);
            let (bench, sender) = (&bench, sender.clone());
            scope.spawn(move || before_one_server(&sender, bench, number, &rows));
        }
        for mode in oauth::MODES {
            let name = oauth::name(mode);
            if only.is_none_or(|text| name.contains(text)) {
                let (bench, sender) = (&bench, sender.clone());
                scope.spawn(move || say(&sender, name, None, || oauth::run(bench, mode)));
            }
        }
        drop(sender);
        for line in lines {
            tally.tell(&line.name, line.took, line.result);
            ran.extend(line.ran);
        }
    });
    Ok(ran)
}

/// All rows of one group share one guard, as its callers would.
fn before_one_server(lines: &Sender<Line>, bench: &Bench, number: usize, rows: &[Row]) {
    let Some(Row { server, .. }) = rows.first() else {
        return;
    };
    let name = format!("{number}-{server:?}").to_lowercase();
    let ready = bench
        .guard(*server, &name)
        .and_then(|guarded| Ok((guarded, bench.straight(*server, &name)?)));
    let (mut guarded, straight) = match ready {
        Ok(ready) => ready,
        Err(error) => {
            return say(lines, format!("the guard before {server}"), None, || {
                Err(error)
            });
        }
    };
    for row in rows {
        say(lines, row.name(), Some(*row), || {
            one(bench, row, &straight, &guarded)
        });
    }
    say(
        lines,
        format!("recordings and secrets after {server}"),
        None,
        || {
            guarded.stop()?;
            leaks::none_upstream(&guarded)?;
            leaks::none_in(&guarded)?;
            guarded.verify()
        },
    );
}

fn say(lines: &Sender<Line>, name: String, row: Option<Row>, work: impl FnOnce() -> Result<Count>) {
    let began = Instant::now();
    let result = work();
    let ran = row.map(|row| Ran {
        row,
        good: result.is_ok(),
        revision: result.as_ref().map_or(String::new(), |count| {
            count.note.rsplit(' ').next().unwrap_or_default().to_owned()
        }),
    });
    let line = Line {
        name,
        took: began.elapsed(),
        result,
        ran,
    };
    if lines.send(line).is_err() {
        // Whoever counts is gone, and the run with it.
    }
}

fn one(bench: &Bench, row: &Row, straight: &Overheard, guarded: &Guarded) -> Result<Count> {
    let direct = bench.direct(row, straight)?;
    let told = bench.through(row, guarded)?;
    let steps = bench.steps(row);
    judge::all(row, &steps, &direct, &told)?;
    Ok(Count::one(format!(
        "{} steps, {}",
        steps.len(),
        judge::revision(&told.seen)
    )))
}
