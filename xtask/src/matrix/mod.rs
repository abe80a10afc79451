//! Official clients before real servers: each scenario is run straight at the server and through the guard, and what
//! the client saw is compared. What nobody polices must be equal; the rest must be what the policy says.

mod bench;
mod judge;
mod leaks;
mod rows;
mod scenario;
pub(crate) mod servers;

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use crate::tally::{Count, Tally};
use bench::Bench;
use rows::Row;

/// Runs every row whose name contains `only`.
pub(crate) fn run(tally: &mut Tally, only: Option<&str>) -> Result<()> {
    let bench = Bench::set_up()?;
    let wanted: Vec<Row> = rows::all()
        .into_iter()
        .filter(|row| only.is_none_or(|text| row.name().contains(text)))
        .collect();
    let mut direct = BTreeMap::new();
    for server in servers::Server::ALL {
        let rows: Vec<&Row> = wanted.iter().filter(|row| row.server == server).collect();
        if !rows.is_empty() {
            before_one_server(tally, &bench, server, &rows, &mut direct);
        }
    }
    Ok(())
}

/// All rows of one server share one guard, as its callers would.
fn before_one_server(
    tally: &mut Tally,
    bench: &Bench,
    server: servers::Server,
    rows: &[&Row],
    direct: &mut BTreeMap<String, Value>,
) {
    let mut guarded = match bench.guard(server) {
        Ok(guarded) => guarded,
        Err(error) => {
            tally.step(&format!("the guard before {server}"), || Err(error));
            return;
        }
    };
    for row in rows {
        tally.step(&row.name(), || {
            let expected = bench.direct(row, direct)?;
            let seen = bench.through(row, &guarded)?;
            let steps = scenario::steps(row);
            judge::all(row, &steps, &expected, &seen)?;
            Ok(Count::one(format!(
                "{} steps, {}",
                steps.len(),
                judge::revision(&seen)
            )))
        });
    }
    tally.step(&format!("recordings and secrets after {server}"), || {
        guarded.guard.stop()?;
        leaks::none_in(&guarded)?;
        guarded.verify()
    });
}
