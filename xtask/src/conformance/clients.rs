//! Client scenarios: the suite plays the server, a real client does what the scenario asks, and what arrives at the suite
//! must be the same with the guard in between.
//!
//! The scenarios about OAuth are left out: they hand the client a resource whose name is the suite's address, which it is
//! not any more with a guard before it.

use anyhow::{Result, ensure};

use crate::tally::Tally;

use super::bed::{Bed, policy};
use super::suite::Checks;
use super::{Equals, again};

/// Scenarios of the older set, and of the newer.
fn scenarios(set: &str) -> &'static [&'static str] {
    match set {
        "2025-11-25" => &[
            "initialize",
            "tools_call",
            "elicitation-sep1034-client-defaults",
            "sse-retry",
        ],
        _ => &[
            "tools_call",
            "request-metadata",
            "sep-2322-client-request-state",
            "http-standard-headers",
            "http-custom-headers",
            "http-invalid-tool-headers",
            "json-schema-ref-no-deref",
        ],
    }
}

/// Every scenario of a set, one after the other: one of them measures time.
pub(crate) fn judge(tally: &mut Tally, bed: &Bed, set: &'static str, equals: &mut Equals) {
    let mut checks = 0;
    tally.step(&format!("conformance {set}: clients"), || {
        for scenario in scenarios(set) {
            checks += one(bed, set, scenario)?;
        }
        Ok(equals.add(checks))
    });
}

fn one(bed: &Bed, set: &str, scenario: &str) -> Result<usize> {
    let direct = run(bed, set, scenario, "client.mjs")?;
    ensure!(
        !direct.all.is_empty() && direct.bad().is_empty(),
        "the client itself does not pass {scenario}:\n    {}",
        direct.bad().join("\n    ")
    );
    let first = run(bed, set, scenario, "through.mjs");
    let name = format!("{set}-client-{scenario}");
    again(&direct, first, &name, || {
        run(bed, set, scenario, "through.mjs")
    })
}

fn run(bed: &Bed, set: &str, scenario: &str, script: &str) -> Result<Checks> {
    let place = bed.place(scenario)?;
    let (policy, states) = (policy(), place.clone());
    let env = [
        ("GUARD", bed.sallyport.as_path()),
        ("GUARD_POLICY", policy.as_path()),
        ("GUARD_STATES", states.as_path()),
    ];
    let client = format!(
        "{} {}",
        bed.node.display(),
        bed.scripts.join(script).display()
    );
    let mut checks = bed
        .suite
        .client(&client, scenario, set, &env, &place.join("checks"))?;
    // What is marked so is the suite's log of the requests that came. The guard asks for the list of tools itself where it
    // has to know a tool before a call of it, so that there is one more.
    checks.all.retain(|check| check.status != "INFO");
    Ok(checks)
}
